/**
 * The VGA's graphics modes: how the shift registers turn a cell's four plane bytes into dots
 * (IBM VGA XGA Technical Reference, section 2, "Graphics mode register").
 */
import { attributeColours, BLACK, dacColours } from './colours.ts';
import type { DisplayState, DisplayView } from './display-state.ts';
import type { Canvas } from './frame.ts';
import { CELLS, walkScanLines, type ScanLine } from './scan-lines.ts';
import {
  AC_MODE,
  AC_MODE_EIGHT_BIT,
  CRTC_MODE_BYTE_ADDRESSES,
  CRTC_MODE_CONTROL,
  CRTC_MODE_NO_CGA_BANKS,
  CRTC_MODE_NO_HERCULES_BANKS,
  GC_MODE,
  GC_MODE_256_COLOURS,
  GC_MODE_INTERLEAVE,
  SEQ_CLOCKING_HALF,
  SEQ_CLOCKING_MODE,
} from './vga-registers.ts';

const DOTS_PER_CELL = 8;

/** Writes the eight dots of the cell at byte `at` to `dots[to ..]`; the cell lies in memory. */
type DrawCell = (memory: Uint8Array, at: number, dots: Uint32Array, to: number) => void;

/** One bit of each plane makes a colour index. */
const planarCell =
  (colours: Uint32Array): DrawCell =>
  (memory, at, dots, to) => {
    const [p0, p1, p2, p3] = [memory[at]!, memory[at + 1]!, memory[at + 2]!, memory[at + 3]!];
    for (let bit = 7; bit >= 0; bit--) {
      const index = ((p0 >> bit) & 1) | (((p1 >> bit) & 1) << 1) | (((p2 >> bit) & 1) << 2) | (((p3 >> bit) & 1) << 3);
      dots[to + 7 - bit] = colours[index]!;
    }
  };

/** Shift interleave: planes 0 and 1 hold four dots of two bits each, planes 2 and 3 the upper two bits. */
const interleavedCell =
  (colours: Uint32Array): DrawCell =>
  (memory, at, dots, to) => {
    for (let dot = 0; dot < DOTS_PER_CELL; dot++) {
      const plane = at + (dot >> 2);
      const shift = 6 - 2 * (dot & 3);
      dots[to + dot] = colours[((memory[plane]! >> shift) & 3) | (((memory[plane + 2]! >> shift) & 3) << 2)]!;
    }
  };

/** Each byte is a colour index and lasts two dot clocks. */
const byteCell =
  (colours: Uint32Array, mask: number): DrawCell =>
  (memory, at, dots, to) => {
    for (let dot = 0; dot < DOTS_PER_CELL; dot++) dots[to + dot] = colours[memory[at + (dot >> 1)]! & mask]!;
  };

/** Draws `dots.length` dots from planar cells, the first `skip` dots of cell `start` left out. No wrapping. */
export function drawPlanarRow(
  memory: Uint8Array,
  start: number,
  skip: number,
  colours: Uint32Array,
  dots: Uint32Array,
): void {
  const draw = planarCell(colours);
  const eight = new Uint32Array(DOTS_PER_CELL);
  for (let x = -skip, at = start * 4; x < dots.length; x += DOTS_PER_CELL, at += 4) {
    if (at + 3 >= memory.length) return;
    draw(memory, at, eight, 0);
    for (let dot = Math.max(0, -x); dot < DOTS_PER_CELL && x + dot < dots.length; dot++) dots[x + dot] = eight[dot]!;
  }
}

/** The cell that the CRTC really addresses: on CGA and Hercules layouts the row scan counter picks a bank. */
function banked(cell: number, rowScan: number, modeControl: number): number {
  // Words (two bytes a cell) put the CGA's 8 KiB banks one address bit lower than bytes do.
  const cgaBit = modeControl & CRTC_MODE_BYTE_ADDRESSES ? 13 : 12;
  let at = cell;
  if (!(modeControl & CRTC_MODE_NO_CGA_BANKS)) at = (at & ~(1 << cgaBit)) | ((rowScan & 1) << cgaBit);
  if (!(modeControl & CRTC_MODE_NO_HERCULES_BANKS)) {
    const bit = cgaBit + 1;
    at = (at & ~(1 << bit)) | (((rowScan >> 1) & 1) << bit);
  }
  return at;
}

function cellDrawer(display: DisplayState): DrawCell {
  const mode = display.graphics[GC_MODE]!;
  if (mode & GC_MODE_256_COLOURS) {
    return display.attribute[AC_MODE]! & AC_MODE_EIGHT_BIT
      ? byteCell(dacColours(display), 0xff)
      : byteCell(attributeColours(display), 0x0f);
  }
  const colours = attributeColours(display);
  return mode & GC_MODE_INTERLEAVE ? interleavedCell(colours) : planarCell(colours);
}

/** Draws a VGA graphics mode. */
export function drawGraphics(view: DisplayView, canvas: Canvas): void {
  const { display, memory } = view;
  const { width, height, dots } = canvas;
  const draw = cellDrawer(display);
  const modeControl = display.crtc[CRTC_MODE_CONTROL]!;
  const widthShift = display.sequencer[SEQ_CLOCKING_MODE]! & SEQ_CLOCKING_HALF ? 1 : 0;
  // One cell more than fits, for panning.
  const cells = Math.ceil((width >> widthShift) / DOTS_PER_CELL) + 1;
  const row = new Uint32Array(cells * DOTS_PER_CELL);

  const line = ({ y, cell, rowScan, panning }: ScanLine): void => {
    if (y >= height) return;
    row.fill(BLACK);
    for (let column = 0; column < cells; column++) {
      const at = (banked(cell + column, rowScan, modeControl) % CELLS) * 4;
      if (at + 3 < memory.length) draw(memory, at, row, column * DOTS_PER_CELL);
    }
    // Above seven the panning register shifts nothing in graphics.
    const skip = panning < DOTS_PER_CELL ? panning : 0;
    const start = y * width;
    for (let x = 0; x < width; x++) dots[start + x] = row[(x >> widthShift) + skip]!;
  };
  walkScanLines(display, line);
}
