/**
 * The CRTC's walk through video memory: which cells and which row of a character each scan line shows
 * (IBM VGA XGA Technical Reference, section 2, "CRT controller": start address, preset row scan, line compare, offset).
 * Addresses count cells of four plane bytes; every addressing mode of the CRTC steps by cells in interleaved memory.
 */
import type { DisplayState } from './display-state.ts';
import {
  AC_MODE,
  AC_MODE_SPLIT_PANNING,
  AC_PANNING,
  CRTC_LINE_COMPARE,
  CRTC_MAXIMUM_SCAN_DOUBLE,
  CRTC_MAXIMUM_SCAN_LINE,
  CRTC_OFFSET,
  CRTC_OVERFLOW,
  CRTC_PRESET_ROW_SCAN,
  CRTC_START_HIGH,
  CRTC_START_LOW,
  CRTC_VERTICAL_DISPLAY_END,
} from './vga-registers.ts';

export interface ScanLine {
  readonly y: number;
  /** Cell of the line's first character or eight dots, not yet wrapped to 16 bits. */
  readonly cell: number;
  /** Row within the character, 0..31. */
  readonly rowScan: number;
  /** Dots by which the line is shifted to the left, as the panning register says it. */
  readonly panning: number;
}

/** Cells of a plane: addresses wrap here. */
export const CELLS = 0x1_0000;

/** Scan lines of the picture. */
export function displayedLines(crtc: Uint8Array): number {
  const overflow = crtc[CRTC_OVERFLOW]!;
  return (crtc[CRTC_VERTICAL_DISPLAY_END]! | ((overflow & 0x02) << 7) | ((overflow & 0x40) << 3)) + 1;
}

/** Scan lines of a character cell (of a row of dots in graphics), before doubling. */
export const cellHeight = (crtc: Uint8Array): number => (crtc[CRTC_MAXIMUM_SCAN_LINE]! & 0x1f) + 1;

/** Calls `line` for each scan line from the top. */
export function walkScanLines(display: DisplayState, line: (scan: ScanLine) => void): void {
  const { crtc, attribute } = display;
  const maximum = crtc[CRTC_MAXIMUM_SCAN_LINE]!;
  const lastRow = maximum & 0x1f;
  const repeat = maximum & CRTC_MAXIMUM_SCAN_DOUBLE ? 2 : 1;
  const lineCompare = crtc[CRTC_LINE_COMPARE]! | ((crtc[CRTC_OVERFLOW]! & 0x10) << 4) | ((maximum & 0x40) << 3);
  const cellsPerRow = crtc[CRTC_OFFSET]! * 2;
  const preset = crtc[CRTC_PRESET_ROW_SCAN]!;
  const height = displayedLines(crtc);

  let cell = ((crtc[CRTC_START_HIGH]! << 8) | crtc[CRTC_START_LOW]!) + ((preset >> 5) & 3);
  let rowScan = preset & 0x1f;
  let panning = attribute[AC_PANNING]! & 0xf;
  let shown = 0;
  for (let y = 0; y < height; y++) {
    line({ y, cell, rowScan, panning });
    if (y === lineCompare) {
      cell = 0;
      rowScan = 0;
      shown = 0;
      if (attribute[AC_MODE]! & AC_MODE_SPLIT_PANNING) panning = 0;
      continue;
    }
    if (++shown < repeat) continue;
    shown = 0;
    if (rowScan === lastRow) {
      rowScan = 0;
      cell += cellsPerRow;
    } else {
      rowScan = (rowScan + 1) & 0x1f;
    }
  }
}
