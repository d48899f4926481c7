/** Where the VGA answers: its ports, the legacy window, the framebuffer BAR and the register BAR. */
import type { Clock } from '@tomei/kit';
import type { MemoryClaim, PciBar, PortClaim, Width } from '../machine/device.ts';
import { edid } from './vga-edid.ts';
import { DISPI_REGISTERS, readDispi, writeDispi } from './vga-dispi.ts';
import { readWindow, WINDOW_BASE, WINDOW_SIZE, writeWindow } from './vga-memory.ts';
import { readVgaPort, writeVgaPort } from './vga-ports.ts';
import type { VgaState } from './vga-state.ts';

/** VGA ports, base and count. */
const VGA_PORTS: readonly (readonly [base: number, count: number])[] = [
  [0x3b4, 2],
  [0x3ba, 1],
  [0x3c0, 16],
  [0x3d4, 2],
  [0x3da, 1],
];
/** Index port, then the odd data port, whose two bytes the bus asks for one by one. */
const DISPI_PORTS = 0x1ce;

/** BAR 2: what the monitor says, ports 3C0..3DF, the display interface as an array, QEMU's extension registers. */
const MMIO_SIZE = 0x1000;
const MMIO_VGA = 0x400;
const MMIO_VGA_BYTES = 0x20;
const MMIO_VGA_PORT = 0x3c0;
const MMIO_DISPI = 0x500;
const MMIO_EXTENSION = 0x600;
/** Bytes of the extension registers: this count, and the byte order, which is always little-endian here. */
const EXTENSION_BYTES = 8;
const EXTENSION_LITTLE_ENDIAN = 0x1e1e_1e1e;

/** Little-endian access of `width` bytes by single bytes, lowest first. */
function readBytes(read: (offset: number) => number, offset: number, width: Width): number {
  let value = 0;
  for (let i = 0; i < width; i++) value |= read(offset + i) << (8 * i);
  return value >>> 0;
}
function writeBytes(write: (offset: number, byte: number) => void, offset: number, width: Width, value: number): void {
  for (let i = 0; i < width; i++) write(offset + i, (value >>> (8 * i)) & 0xff);
}

/** Ports 3B4..3DA. */
export const vgaPorts = (state: VgaState, clock: Clock): PortClaim[] =>
  VGA_PORTS.map(([base, count]) => ({
    base,
    count,
    unit: 1,
    read: (offset) => readVgaPort(state, base + offset, clock.now()),
    write: (offset, _width, value) => writeVgaPort(state, base + offset, value),
  }));

/** Ports 1CE and 1CF, sixteen bits each. */
export const dispiPorts = (state: VgaState, memory: Uint8Array): PortClaim => ({
  base: DISPI_PORTS,
  count: 3,
  read(offset, width) {
    if (offset === 0) return width === 1 ? state.dispiIndex & 0xff : state.dispiIndex;
    const value = readDispi(state, state.dispiIndex, memory.length);
    if (width !== 1) return value;
    return offset === 1 ? value & 0xff : value >> 8;
  },
  write(offset, width, value) {
    if (offset === 0) state.dispiIndex = value & 0xffff;
    else if (width !== 1) writeDispi(state, state.dispiIndex, value & 0xffff, memory);
    else if (offset === 1) state.dispiLow = value;
    else writeDispi(state, state.dispiIndex, state.dispiLow | (value << 8), memory);
  },
});

/** A0000..BFFFF. */
export const legacyWindow = (state: VgaState, memory: Uint8Array): MemoryClaim => ({
  base: WINDOW_BASE,
  size: WINDOW_SIZE,
  read: (offset, width) => readBytes((at) => readWindow(state, memory, at), offset, width),
  write: (offset, width, value) => writeBytes((at, byte) => writeWindow(state, memory, at, byte), offset, width, value),
});

/** BAR 0: all of video memory, mapped; trapped accesses see the same bytes. */
export const framebufferBar = (memory: Uint8Array): PciBar => ({
  space: 'memory',
  size: memory.length,
  prefetchable: true,
  videoMemory: { offset: 0 },
  read: (offset, width) => readBytes((at) => memory[at] ?? 0xff, offset, width),
  write: (offset, width, value) => writeBytes((at, byte) => (memory[at] = byte), offset, width, value),
});

const readExtension = (offset: number): number => {
  const register = offset < 4 ? EXTENSION_BYTES : offset < EXTENSION_BYTES ? EXTENSION_LITTLE_ENDIAN : 0;
  return (register >>> (8 * (offset & 3))) & 0xff;
};

/** BAR 2: the same registers in memory, behind the monitor's EDID. */
export const registerBar = (state: VgaState, memory: Uint8Array, clock: Clock, monitor = edid()): PciBar => ({
  space: 'memory',
  size: MMIO_SIZE,
  unit: 2,
  read(offset, width) {
    if (offset < MMIO_VGA) return readBytes((at) => monitor[at] ?? 0, offset, width);
    if (offset >= MMIO_EXTENSION) return readBytes((at) => readExtension(at - MMIO_EXTENSION), offset, width);
    if (offset >= MMIO_DISPI) {
      const value = readDispi(state, (offset - MMIO_DISPI) >> 1, memory.length);
      return width === 1 ? (value >> (8 * (offset & 1))) & 0xff : value;
    }
    if (offset >= MMIO_VGA + MMIO_VGA_BYTES) return 0;
    return readBytes((at) => readVgaPort(state, at - MMIO_VGA + MMIO_VGA_PORT, clock.now()), offset, width);
  },
  write(offset, width, value) {
    if (offset >= MMIO_DISPI && offset < MMIO_DISPI + 2 * DISPI_REGISTERS) {
      if (width !== 1) writeDispi(state, (offset - MMIO_DISPI) >> 1, value & 0xffff, memory);
    } else if (offset >= MMIO_VGA && offset < MMIO_VGA + MMIO_VGA_BYTES) {
      writeBytes((at, byte) => writeVgaPort(state, at - MMIO_VGA + MMIO_VGA_PORT, byte), offset, width, value);
    }
  },
});
