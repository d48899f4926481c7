/**
 * The VGA's graphics modes: how the shift registers turn a cell's four plane bytes into dots
 * (IBM VGA XGA Technical Reference, section 2, "Graphics mode register").
 */
import { attributeColours, dacColours } from './colours.ts';
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

/** The colour index, 0..15, of dot 0..7 in the planes of one cell. */
function planarIndex(memory: Uint8Array, at: number, dot: number): number {
  const bit = 7 - dot;
  return (
    ((memory[at]! >> bit) & 1) |
    (((memory[at + 1]! >> bit) & 1) << 1) |
    (((memory[at + 2]! >> bit) & 1) << 2) |
    (((memory[at + 3]! >> bit) & 1) << 3)
  );
}

/** Shift interleave: planes 0 and 1 hold four dots of two bits each, planes 2 and 3 the upper two bits. */
function interleavedIndex(memory: Uint8Array, at: number, dot: number): number {
  const plane = dot >> 2;
  const shift = 6 - 2 * (dot & 3);
  return ((memory[at + plane]! >> shift) & 3) | (((memory[at + plane + 2]! >> shift) & 3) << 2);
}

/** Draws `dots.length` dots from planar cells, the first `skip` dots of cell `start` left out. No wrapping. */
export function drawPlanarRow(
  memory: Uint8Array,
  start: number,
  skip: number,
  colours: Uint32Array,
  dots: Uint32Array,
): void {
  for (let x = 0; x < dots.length; x++) {
    const at = (start + ((x + skip) >> 3)) * 4;
    if (at + 3 >= memory.length) return;
    dots[x] = colours[planarIndex(memory, at, (x + skip) & 7)]!;
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

/** Gives the word for a dot of a cell, by its byte address. */
type ReadDot = (memory: Uint8Array, at: number, dot: number) => number;

function dotReader(display: DisplayState): ReadDot {
  const { attribute } = display;
  const mode = display.graphics[GC_MODE]!;
  if (mode & GC_MODE_256_COLOURS && attribute[AC_MODE]! & AC_MODE_EIGHT_BIT) {
    // Each byte lasts two dot clocks.
    const dac = dacColours(display);
    return (memory, at, dot) => dac[memory[at + (dot >> 1)]!]!;
  }
  const colours = attributeColours(display);
  if (mode & GC_MODE_256_COLOURS) return (memory, at, dot) => colours[memory[at + (dot >> 1)]! & 0xf]!;
  const index = mode & GC_MODE_INTERLEAVE ? interleavedIndex : planarIndex;
  return (memory, at, dot) => colours[index(memory, at, dot)]!;
}

/** Draws a VGA graphics mode. */
export function drawGraphics(view: DisplayView, canvas: Canvas): void {
  const { display, memory } = view;
  const { width, height, dots } = canvas;
  const read = dotReader(display);
  const modeControl = display.crtc[CRTC_MODE_CONTROL]!;
  const widthShift = display.sequencer[SEQ_CLOCKING_MODE]! & SEQ_CLOCKING_HALF ? 1 : 0;

  const line = ({ y, cell, rowScan, panning }: ScanLine): void => {
    if (y >= height) return;
    // Above seven the panning register shifts nothing in graphics.
    const skip = panning < DOTS_PER_CELL ? panning : 0;
    for (let x = 0; x < width; x++) {
      const dot = (x >> widthShift) + skip;
      const at = (banked(cell + (dot >> 3), rowScan, modeControl) % CELLS) * 4;
      if (at + 3 < memory.length) dots[y * width + x] = read(memory, at, dot & 7);
    }
  };
  walkScanLines(display, line);
}
