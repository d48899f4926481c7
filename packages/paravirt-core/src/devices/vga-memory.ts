/**
 * The legacy window A0000h..BFFFFh: how an address becomes a cell of four planes, and what the graphics controller does to the
 * bytes on the way (IBM VGA XGA Technical Reference, section 2, "Graphics controller" and "Memory maps").
 *
 * Planes lie interleaved: plane p of cell a is byte 4a + p. With chain 4 on, the window therefore is the linear framebuffer,
 * and odd/even pairs share a cell, so every CRTC addressing mode counts cells.
 */
import {
  GC_BIT_MASK,
  GC_COLOUR_COMPARE,
  GC_COLOUR_DO_NOT_CARE,
  GC_DATA_ROTATE,
  GC_ENABLE_SET_RESET,
  GC_MISCELLANEOUS,
  GC_MISC_MAP_SHIFT,
  GC_MODE,
  GC_MODE_ODD_EVEN,
  GC_MODE_READ_COMPARE,
  GC_READ_MAP,
  GC_SET_RESET,
  MISC_ENABLE_MEMORY,
  SEQ_MAP_MASK,
  SEQ_MEMORY_CHAIN_4,
  SEQ_MEMORY_MODE,
  SEQ_MEMORY_SEQUENTIAL,
} from '../display/vga-registers.ts';
import { DISPI_BANK_BYTES, DISPI_ENABLED, packedBank } from './vga-dispi.ts';
import type { VgaState } from './vga-state.ts';

export const WINDOW_BASE = 0xa_0000;
export const WINDOW_SIZE = 0x2_0000;

/** Offset and size of the memory map that the graphics controller selects, by its two bits. */
const MAPS: readonly (readonly [offset: number, size: number])[] = [
  [0x0_0000, 0x2_0000],
  [0x0_0000, 0x1_0000],
  [0x1_0000, 0x0_8000],
  [0x1_8000, 0x0_8000],
];
const NOT_MAPPED = -1;
const OPEN_BUS = 0xff;

/** All eight bits of plane p for each bit p of a nibble. */
const PLANES = Uint32Array.from({ length: 16 }, (_, nibble) =>
  [0, 1, 2, 3].reduce((mask, plane) => mask | (nibble & (1 << plane) ? 0xff << (8 * plane) : 0), 0),
);
const EVEN_PLANES = 0b0101;
const ODD_PLANES = 0b1010;
/** The same byte in all four planes. */
const spread = (byte: number): number => Math.imul(byte, 0x0101_0101);

/** The address within the selected map, counted from the start of video memory; NOT_MAPPED outside. */
function mapped(state: VgaState, offset: number): number {
  const [base, size] = MAPS[(state.graphics[GC_MISCELLANEOUS]! >> GC_MISC_MAP_SHIFT) & 3]!;
  if (offset < base || offset >= base + size) return NOT_MAPPED;
  const bank = state.dispiEnable & DISPI_ENABLED ? state.dispiBank * DISPI_BANK_BYTES : 0;
  return offset - base + bank;
}

function loadCell(memory: Uint8Array, cell: number): number {
  const at = cell * 4;
  return memory[at]! | (memory[at + 1]! << 8) | (memory[at + 2]! << 16) | (memory[at + 3]! << 24);
}

/** Reads a byte `offset` bytes into the window and loads the latches. */
export function readWindow(state: VgaState, memory: Uint8Array, offset: number): number {
  if (!(state.miscOutput & MISC_ENABLE_MEMORY)) return OPEN_BUS;
  const bank = packedBank(state);
  if (bank !== undefined) return offset < DISPI_BANK_BYTES ? (memory[bank + offset] ?? OPEN_BUS) : OPEN_BUS;
  const address = mapped(state, offset);
  if (address === NOT_MAPPED) return OPEN_BUS;

  let cell = address;
  let plane = state.graphics[GC_READ_MAP]! & 3;
  if (state.sequencer[SEQ_MEMORY_MODE]! & SEQ_MEMORY_CHAIN_4) {
    cell = address >>> 2;
    plane = address & 3;
  } else if (state.graphics[GC_MODE]! & GC_MODE_ODD_EVEN) {
    cell = address >>> 1;
    plane = (plane & 2) | (address & 1);
  }
  if (cell * 4 + 3 >= memory.length) return OPEN_BUS;
  const latch = loadCell(memory, cell);
  state.latch = latch >>> 0;
  if (!(state.graphics[GC_MODE]! & GC_MODE_READ_COMPARE)) return (latch >>> (8 * plane)) & 0xff;
  // Read mode 1: a bit is set where every plane that is cared for has its bit of the compared colour.
  const different =
    (latch ^ PLANES[state.graphics[GC_COLOUR_COMPARE]! & 0xf]!) & PLANES[state.graphics[GC_COLOUR_DO_NOT_CARE]! & 0xf]!;
  return ~(different | (different >>> 8) | (different >>> 16) | (different >>> 24)) & 0xff;
}

/** Writes a byte `offset` bytes into the window. */
export function writeWindow(state: VgaState, memory: Uint8Array, offset: number, value: number): void {
  if (!(state.miscOutput & MISC_ENABLE_MEMORY)) return;
  const bank = packedBank(state);
  if (bank !== undefined) {
    if (offset < DISPI_BANK_BYTES && bank + offset < memory.length) memory[bank + offset] = value;
    return;
  }
  const address = mapped(state, offset);
  if (address === NOT_MAPPED) return;

  let cell = address;
  let planes = state.sequencer[SEQ_MAP_MASK]! & 0xf;
  const memoryMode = state.sequencer[SEQ_MEMORY_MODE]!;
  if (memoryMode & SEQ_MEMORY_CHAIN_4) {
    cell = address >>> 2;
    planes &= 1 << (address & 3);
  } else if (!(memoryMode & SEQ_MEMORY_SEQUENTIAL)) {
    cell = address >>> 1;
    planes &= address & 1 ? ODD_PLANES : EVEN_PLANES;
  }
  const at = cell * 4;
  if (at + 3 >= memory.length) return;
  const data = written(state.graphics, value, state.latch | 0);
  for (let plane = 0; plane < 4; plane++) {
    if (planes & (1 << plane)) memory[at + plane] = data >>> (8 * plane);
  }
}

/** What the graphics controller makes of a byte: all four planes, by write mode, function, bit mask and latches. */
function written(graphics: Uint8Array, value: number, latch: number): number {
  const mode = graphics[GC_MODE]! & 3;
  if (mode === 1) return latch;
  const rotate = graphics[GC_DATA_ROTATE]! & 7;
  const rotated = ((value >> rotate) | (value << (8 - rotate))) & 0xff;
  const setReset = PLANES[graphics[GC_SET_RESET]! & 0xf]!;
  let bits = graphics[GC_BIT_MASK]!;
  let data: number;
  if (mode === 0) {
    const enabled = PLANES[graphics[GC_ENABLE_SET_RESET]! & 0xf]!;
    data = (spread(rotated) & ~enabled) | (setReset & enabled);
  } else if (mode === 2) {
    data = PLANES[value & 0xf]!;
  } else {
    bits &= rotated;
    data = setReset;
  }
  const mask = spread(bits);
  return (combine((graphics[GC_DATA_ROTATE]! >> 3) & 3, data, latch) & mask) | (latch & ~mask);
}

/** The function select field: replace, AND, OR, XOR with the latches. */
function combine(select: number, data: number, latch: number): number {
  if (select === 0) return data;
  if (select === 1) return data & latch;
  return select === 2 ? data | latch : data ^ latch;
}
