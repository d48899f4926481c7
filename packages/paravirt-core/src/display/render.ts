/** The picture that a display adapter's registers and video memory make. Pure: the same view gives the same frame. */
import type { Nanoseconds } from '@tomei/kit';
import { BLACK } from './colours.ts';
import { MAX_FRAME_DOTS, MAX_FRAME_SIDE, type DisplayState, type DisplayView } from './display-state.ts';
import type { BlinkPhase, Canvas, Frame } from './frame.ts';
import { drawGraphics } from './render-graphics.ts';
import { drawLinear } from './render-linear.ts';
import { drawText } from './render-text.ts';
import { displayedLines } from './scan-lines.ts';
import { drawScanout } from './scanout.ts';
import {
  CRTC_HORIZONTAL_DISPLAY_END,
  GC_MISCELLANEOUS,
  GC_MISC_GRAPHICS,
  SEQ_CLOCKING_EIGHT_DOTS,
  SEQ_CLOCKING_HALF,
  SEQ_CLOCKING_MODE,
  SEQ_CLOCKING_SCREEN_OFF,
} from './vga-registers.ts';

/** A blank screen takes the size of the mode when that is at least this, and otherwise the size of text mode. */
const SMALLEST_MODE = 64;
const TEXT_SIZE = { width: 720, height: 400 } as const;

/** A VGA counts frames: the cursor changes every 8, blinking characters every 16 (at the 70 Hz of text mode). */
const FRAME_NS = 1e9 / 70;
const CURSOR_FRAMES = 8;
const TEXT_FRAMES = 16;

/** The blink phase at a time. Both parts start lit. */
export function blinkAt(time: Nanoseconds): BlinkPhase {
  const frame = Math.floor(time / FRAME_NS);
  return { cursor: Math.floor(frame / CURSOR_FRAMES) % 2 === 0, text: Math.floor(frame / TEXT_FRAMES) % 2 === 0 };
}

/** Whether the screen shows characters rather than dots. */
export const isTextMode = (display: DisplayState): boolean =>
  display.scanout === undefined && display.linear === null && !(display.graphics[GC_MISCELLANEOUS]! & GC_MISC_GRAPHICS);

/** Within what a frame may have. */
function clip(width: number, height: number): { width: number; height: number } {
  const across = Math.max(1, Math.min(width, MAX_FRAME_SIDE));
  return { width: across, height: Math.max(1, Math.min(height, MAX_FRAME_SIDE, Math.floor(MAX_FRAME_DOTS / across))) };
}

/** Size of the picture in dots. VGA modes count the monitor's dots: mode 13h is 640x400. */
export function frameSize(display: DisplayState): { width: number; height: number } {
  const { linear, crtc, scanout } = display;
  if (scanout !== undefined) return clip(scanout.width, scanout.height);
  if (linear !== null) return clip(linear.width, linear.height);
  const clocking = display.sequencer[SEQ_CLOCKING_MODE]!;
  const dots = isTextMode(display) && !(clocking & SEQ_CLOCKING_EIGHT_DOTS) ? 9 : 8;
  const width = (crtc[CRTC_HORIZONTAL_DISPLAY_END]! + 1) * dots * (clocking & SEQ_CLOCKING_HALF ? 2 : 1);
  return clip(width, displayedLines(crtc));
}

/** A blank screen is black. The screen-off bit is the VGA's own and does not reach linear modes. */
function isBlank(display: DisplayState): boolean {
  if (display.scanout !== undefined) return false;
  if (!display.paletteEnabled) return true;
  return display.linear === null && (display.sequencer[SEQ_CLOCKING_MODE]! & SEQ_CLOCKING_SCREEN_OFF) !== 0;
}

/**
 * Draws the screen. `blink` defaults to everything lit. Never throws: what lies outside video memory is black.
 * The frame is new and belongs to the caller.
 */
export function renderFrame(view: DisplayView, blink: BlinkPhase = { cursor: true, text: true }): Frame {
  const { display } = view;
  const blank = isBlank(display);
  const size = frameSize(display);
  const { width, height } = blank && (size.width < SMALLEST_MODE || size.height < SMALLEST_MODE) ? TEXT_SIZE : size;
  const dots = new Uint32Array(width * height).fill(BLACK);
  const canvas: Canvas = { width, height, dots };
  if (!blank) {
    if (display.scanout !== undefined) drawScanout(display.scanout, view.memory, canvas);
    else if (display.linear !== null) drawLinear(view, display.linear, canvas);
    else if (isTextMode(display)) drawText(view, blink, canvas);
    else drawGraphics(view, canvas);
  }
  return { width, height, rgba: new Uint8Array(dots.buffer) };
}
