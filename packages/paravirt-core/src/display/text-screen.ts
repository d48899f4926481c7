/** The characters on a text screen, for those who want to read rather than look. */
import { CODE_PAGE_437 } from './code-page-437.ts';
import type { DisplayView } from './display-state.ts';
import { isTextMode } from './render.ts';
import { CELLS, walkScanLines, type ScanLine } from './scan-lines.ts';
import { CRTC_HORIZONTAL_DISPLAY_END } from './vga-registers.ts';

/**
 * The lines of the text screen from the top, trailing blanks cut off; no lines in a graphics mode. Characters are taken for
 * code page 437, whatever font is loaded. A blanked screen still has its text.
 */
export function textOf({ display, memory }: DisplayView): string[] {
  if (!isTextMode(display)) return [];
  const columns = display.crtc[CRTC_HORIZONTAL_DISPLAY_END]! + 1;
  const lines: string[] = [];
  let before: ScanLine | undefined;
  walkScanLines(display, (scan) => {
    const starts = before === undefined || scan.cell !== before.cell || scan.rowScan < before.rowScan;
    if (starts) lines.push(readLine(memory, scan.cell, columns));
    before = scan;
  });
  return lines;
}

function readLine(memory: Uint8Array, start: number, columns: number): string {
  let line = '';
  for (let column = 0; column < columns; column++) {
    const code = memory[((start + column) % CELLS) * 4] ?? 0x20;
    line += code === 0 || code === 0xff ? ' ' : CODE_PAGE_437[code]!;
  }
  return line.trimEnd();
}
