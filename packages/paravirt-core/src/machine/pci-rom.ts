/** The expansion ROM of a PCI function as its base address register decodes it (PCI Local Bus 3.0, 6.2.5.2 and 6.3). */
import { assert } from '@tomei/kit';
import type { PciBar } from './device.ts';

/** The address bits start at 11, so that no ROM is smaller. */
const SMALLEST = 0x800;
/** A function asks for 16 MiB at most. */
const LARGEST = 0x100_0000;

/** A window that shows `bytes`, then ones up to the next power of two, as an unprogrammed ROM does. Writes are lost. */
export function romBar(bytes: Uint8Array): PciBar {
  assert(bytes.length > 0 && bytes.length <= LARGEST, 'an expansion ROM has 1 byte to 16 MiB');
  const size = Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(bytes.length)));
  return {
    space: 'memory',
    size,
    read(offset, width) {
      let value = 0;
      for (let i = 0; i < width; i++) value |= (bytes[offset + i] ?? 0xff) << (8 * i);
      return value >>> 0;
    },
    write: () => undefined,
  };
}
