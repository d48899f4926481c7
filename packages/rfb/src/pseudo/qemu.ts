/** QEMU's extensions for guests with PS/2 keyboards and mice: empty rectangles that say what the server takes (rfbproto). */
import type { UpdateWriter } from '../update-writer.ts';
import { PSEUDO } from './ids.ts';

/** Scan codes are welcome. */
export function writeExtendedKeys(update: UpdateWriter): void {
  update.begin({ x: 0, y: 0, width: 0, height: 0 }, PSEUDO.qemuExtendedKeys);
}

/** Pointers shall send movement (x is 0) instead of positions. */
export function writeRelativePointer(update: UpdateWriter, size: { width: number; height: number }): void {
  update.begin({ x: 0, y: 0, ...size }, PSEUDO.qemuPointerMotion);
}
