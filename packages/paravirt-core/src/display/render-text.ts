/**
 * Text modes: characters, attributes, fonts and the cursor
 * (IBM VGA XGA Technical Reference, section 2, "Alphanumeric modes", "Cursor start/end", "Character map select").
 */
import { attributeColours } from './colours.ts';
import type { DisplayState, DisplayView } from './display-state.ts';
import type { BlinkPhase, Canvas } from './frame.ts';
import { CELLS, walkScanLines, type ScanLine } from './scan-lines.ts';
import {
  AC_MODE,
  AC_MODE_BLINK,
  AC_MODE_LINE_GRAPHICS,
  CRTC_CURSOR_END,
  CRTC_CURSOR_HIGH,
  CRTC_CURSOR_LOW,
  CRTC_CURSOR_OFF,
  CRTC_CURSOR_START,
  CRTC_UNDERLINE,
  SEQ_CHARACTER_MAP,
  SEQ_CLOCKING_EIGHT_DOTS,
  SEQ_CLOCKING_HALF,
  SEQ_CLOCKING_MODE,
} from './vga-registers.ts';

const CHARACTER_PLANE = 0;
const ATTRIBUTE_PLANE = 1;
const FONT_PLANE = 2;
const GLYPH_ROWS = 32;

const ATTRIBUTE_FONT_A = 1 << 3;
const ATTRIBUTE_BLINK = 1 << 7;
/** The foreground colour that is underlined where the underline row lies within the cell. */
const UNDERLINED_COLOUR = 1;
/** Codes whose ninth dot repeats the eighth, so that lines join. */
const LINE_GRAPHICS_FIRST = 0xc0;
const LINE_GRAPHICS_LAST = 0xdf;

/** The first cell of plane 2 for a three-bit font number: bits 1..0 count 16 KiB, bit 2 adds 8 KiB. */
const fontCell = (font: number): number => (font & 3) * 0x4000 + (font >> 2) * 0x2000;

/** The fonts for characters whose attribute bit 3 is set (A) and clear (B). */
function fonts(display: DisplayState): { a: number; b: number } {
  const map = display.sequencer[SEQ_CHARACTER_MAP]!;
  return {
    a: fontCell(((map >> 2) & 3) | ((map >> 3) & 4)),
    b: fontCell((map & 3) | ((map >> 2) & 4)),
  };
}

/** The rows of the cursor and where it is; `cell` is -1 when it is not shown. */
function cursorOf({ crtc }: DisplayState, blink: BlinkPhase): { cell: number; first: number; last: number } {
  const start = crtc[CRTC_CURSOR_START]!;
  const shown = blink.cursor && !(start & CRTC_CURSOR_OFF);
  const end = crtc[CRTC_CURSOR_END]!;
  const skew = (end >> 5) & 3;
  const at = (crtc[CRTC_CURSOR_HIGH]! << 8) | crtc[CRTC_CURSOR_LOW]!;
  return { cell: shown ? (at + skew) % CELLS : -1, first: start & 0x1f, last: end & 0x1f };
}

/** Dots to shift to the left: nine-dot cells count from 8 (none), 0 (one) to 7 (eight). */
function shiftOf(panning: number, cellWidth: number): number {
  if (cellWidth === 9) return panning >= 8 ? 0 : panning + 1;
  return panning < 8 ? panning : 0;
}

/** Draws a text mode. */
export function drawText({ display, memory }: DisplayView, blink: BlinkPhase, canvas: Canvas): void {
  const { width, height, dots } = canvas;
  const clocking = display.sequencer[SEQ_CLOCKING_MODE]!;
  const cellWidth = clocking & SEQ_CLOCKING_EIGHT_DOTS ? 8 : 9;
  const widthShift = clocking & SEQ_CLOCKING_HALF ? 1 : 0;
  const mode = display.attribute[AC_MODE]!;
  const colours = attributeColours(display);
  const { a, b } = fonts(display);
  const cursor = cursorOf(display, blink);
  const underline = display.crtc[CRTC_UNDERLINE]! & 0x1f;

  /** The nine dots of one row of a character, leftmost in bit 8. */
  const pattern = (cell: number, rowScan: number, attribute: number): number => {
    const code = memory[cell * 4 + CHARACTER_PLANE]!;
    if (cell === cursor.cell && rowScan >= cursor.first && rowScan <= cursor.last) return 0x1ff;
    if (rowScan === underline && (attribute & 7) === UNDERLINED_COLOUR) return 0x1ff;
    if (mode & AC_MODE_BLINK && attribute & ATTRIBUTE_BLINK && !blink.text) return 0;
    const font = attribute & ATTRIBUTE_FONT_A ? a : b;
    const bits = memory[(font + code * GLYPH_ROWS + rowScan) * 4 + FONT_PLANE] ?? 0;
    const joins = mode & AC_MODE_LINE_GRAPHICS && code >= LINE_GRAPHICS_FIRST && code <= LINE_GRAPHICS_LAST;
    return (bits << 1) | (joins ? bits & 1 : 0);
  };

  const line = ({ y, cell: start, rowScan, panning }: ScanLine): void => {
    if (y >= height) return;
    const row = dots.subarray(y * width, (y + 1) * width);
    let x = -shiftOf(panning, cellWidth) << widthShift;
    for (let column = 0; x < width; column++) {
      const cell = (start + column) % CELLS;
      if (cell * 4 + 3 >= memory.length) return;
      const attribute = memory[cell * 4 + ATTRIBUTE_PLANE]!;
      const foreground = colours[attribute & 0x0f]!;
      const background = colours[(attribute >> 4) & (mode & AC_MODE_BLINK ? 0x07 : 0x0f)]!;
      const bits = pattern(cell, rowScan, attribute);
      for (let dot = 0; dot < cellWidth << widthShift; dot++, x++) {
        // Dots before the left edge are those panned away; typed arrays drop what lies behind the right one.
        if (x >= 0) row[x] = bits & (0x100 >> (dot >> widthShift)) ? foreground : background;
      }
    }
  };
  walkScanLines(display, line);
}
