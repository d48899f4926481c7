/**
 * Memory that is no RAM, as an application processor reaches it: where the board has the bootstrap processor's local APIC, it has its
 * own (SDM vol. 3, 11.4.1: each processor reaches the registers of its own).
 */
import type { MemoryClaim, Width } from '../machine/device.ts';
import { OPEN_BUS } from '../machine/port-space.ts';

/** The board, as far as memory goes. */
export interface OutsideMemory {
  memoryRead(address: number, width: Width): number;
  memoryWrite(address: number, width: Width, value: number): void;
}
const isIn = ({ base, size }: MemoryClaim, address: number): boolean => address >= base && address < base + size;

/** `own` and `bootstrap` are the registers of the two local APICs, wherever they are at the moment. */
export function apicWindow(board: OutsideMemory, own: () => MemoryClaim, bootstrap: () => MemoryClaim): OutsideMemory {
  const touches = (address: number): boolean => isIn(own(), address) || isIn(bootstrap(), address);
  const isWhole = (address: number, width: Width): boolean =>
    width === 1 || address % width === 0 || !(touches(address) || touches(address + width - 1));
  const memoryRead = (address: number, width: Width): number => {
    if (!isWhole(address, width)) {
      const half = (width >> 1) as Width;
      return (memoryRead(address, half) | (memoryRead(address + half, half) << (8 * half))) >>> 0;
    }
    if (isIn(own(), address)) return own().read(address - own().base, width);
    return isIn(bootstrap(), address) ? OPEN_BUS[width] : board.memoryRead(address, width);
  };
  const memoryWrite = (address: number, width: Width, value: number): void => {
    if (!isWhole(address, width)) {
      const half = (width >> 1) as Width;
      memoryWrite(address, half, (value & OPEN_BUS[half]) >>> 0);
      memoryWrite(address + half, half, value >>> (8 * half));
    } else if (isIn(own(), address)) own().write(address - own().base, width, value);
    else if (!isIn(bootstrap(), address)) board.memoryWrite(address, width, value);
  };
  return { memoryRead, memoryWrite };
}
