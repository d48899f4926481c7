/** The mode a machine without firmware finds at power-on: what a PC's video BIOS would have left behind. */
import { FONT_8X16, FONT_GLYPHS, FONT_HEIGHT } from '../display/font-8x16.ts';
import { mode13Palette } from '../display/palette.ts';
import { AC_PALETTE_ENABLED, MISC_COLOUR_PORTS, MISC_ENABLE_MEMORY } from '../display/vga-registers.ts';
import { MODE_TEXT, type VgaMode } from '../display/vga-modes.ts';
import { DISPI_ENABLED, DISPI_INDEX_ENABLE, DISPI_LINEAR, writeDispi } from './vga-dispi.ts';
import type { VgaState } from './vga-state.ts';
import type { BitsPerPixel } from '../display/display-state.ts';

/** `reset`: registers are zero, as firmware expects them. */
export type InitialMode =
  | 'reset'
  | 'text'
  | { readonly width: number; readonly height: number; readonly bitsPerPixel: Exclude<BitsPerPixel, 4> };

/** A glyph takes 32 bytes of plane 2, whatever its height. */
const GLYPH_BYTES = 32;
const FONT_PLANE = 2;
const SCREEN_CELLS = 0x4000;
const BLANK = 0x20;
const GREY_ON_BLACK = 0x07;

/** Loads the registers and the palette of a mode; video memory stays as it is. */
export function loadMode(state: VgaState, mode: VgaMode): void {
  state.miscOutput = mode.miscOutput;
  state.enable = 1;
  state.sequencer = Uint8Array.from(mode.sequencer);
  state.crtc = Uint8Array.from(mode.crtc);
  state.graphics = Uint8Array.from(mode.graphics);
  state.attribute = Uint8Array.from(mode.attribute);
  state.attributeIndex = AC_PALETTE_ENABLED;
  state.pelMask = 0xff;
  state.palette = mode.palette();
}

/** Puts the font into plane 2 and blanks the text screen. Does nothing when there is no video memory. */
export function clearText(memory: Uint8Array): void {
  if (memory.length < SCREEN_CELLS * 4) return;
  for (let cell = 0; cell < SCREEN_CELLS; cell++) {
    memory[cell * 4] = BLANK;
    memory[cell * 4 + 1] = GREY_ON_BLACK;
    memory[cell * 4 + FONT_PLANE] = 0;
  }
  for (let code = 0; code < FONT_GLYPHS; code++) {
    for (let row = 0; row < FONT_HEIGHT; row++) {
      memory[(code * GLYPH_BYTES + row) * 4 + FONT_PLANE] = FONT_8X16[code * FONT_HEIGHT + row]!;
    }
  }
}

/** Sets the initial mode on a VGA that has just been reset. */
export function startIn(mode: InitialMode, state: VgaState, memory: Uint8Array): void {
  if (mode === 'reset') return;
  if (mode === 'text') {
    loadMode(state, MODE_TEXT);
    clearText(memory);
    return;
  }
  state.miscOutput = MISC_COLOUR_PORTS | MISC_ENABLE_MEMORY;
  state.enable = 1;
  state.attributeIndex = AC_PALETTE_ENABLED;
  state.palette = mode13Palette();
  state.dispiWidth = mode.width;
  state.dispiHeight = mode.height;
  state.dispiBitsPerPixel = mode.bitsPerPixel;
  writeDispi(state, DISPI_INDEX_ENABLE, DISPI_ENABLED | DISPI_LINEAR, memory);
}
