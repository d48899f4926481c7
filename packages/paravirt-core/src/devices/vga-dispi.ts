/**
 * The Bochs display interface (DISPI): sixteen-bit registers that set a linear mode in one go. There is no standard; this
 * follows the register list in QEMU's docs/specs/standard-vga and in Linux's drivers/gpu/drm/tiny/bochs.c.
 */
import {
  BITS_PER_PIXEL,
  MAX_FRAME_DOTS,
  MAX_FRAME_SIDE,
  strideOf,
  type BitsPerPixel,
  type LinearMode,
} from '../display/display-state.ts';
import { DISPI_ID_NEWEST, type VgaState } from './vga-state.ts';

const INDEX_ID = 0;
const INDEX_WIDTH = 1;
const INDEX_HEIGHT = 2;
const INDEX_BITS_PER_PIXEL = 3;
export const DISPI_INDEX_ENABLE = 4;
const INDEX_BANK = 5;
const INDEX_VIRTUAL_WIDTH = 6;
const INDEX_VIRTUAL_HEIGHT = 7;
const INDEX_X_OFFSET = 8;
const INDEX_Y_OFFSET = 9;
const INDEX_MEMORY = 10;
export const DISPI_REGISTERS = 11;

export const DISPI_ENABLED = 1 << 0;
/** Width, height and depth read as the largest there are. */
const ENABLE_GET_CAPABILITIES = 1 << 1;
export const DISPI_EIGHT_BIT_DAC = 1 << 5;
export const DISPI_LINEAR = 1 << 6;
export const DISPI_KEEP_MEMORY = 1 << 7;

const ID_OLDEST = 0xb0c0;
const MAX_BITS_PER_PIXEL = 32;
/** Video memory is counted in these, and bank 1 starts here. */
export const DISPI_BANK_BYTES = 0x1_0000;

const isDepth = (n: number): n is BitsPerPixel => (BITS_PER_PIXEL as readonly number[]).includes(n);

/** The mode that the registers set, cut down to `memorySize` bytes and to what can be drawn; null while the VGA's own registers rule. */
export function linearMode(state: VgaState, memorySize: number): LinearMode | null {
  const { dispiWidth: width, dispiHeight, dispiBitsPerPixel: bitsPerPixel } = state;
  if (!(state.dispiEnable & DISPI_ENABLED) || width === 0 || !isDepth(bitsPerPixel)) return null;
  const virtualWidth = Math.max(width, state.dispiVirtualWidth);
  const rows = Math.floor(memorySize / strideOf(bitsPerPixel, virtualWidth));
  const height = Math.min(dispiHeight, rows, Math.floor(MAX_FRAME_DOTS / width));
  if (height === 0) return null;
  return { width, height, bitsPerPixel, virtualWidth, xOffset: state.dispiXOffset, yOffset: state.dispiYOffset };
}

/** Where the legacy window starts in video memory while a packed-pixel mode is on; undefined while planes are in use. */
export function packedBank(state: VgaState): number | undefined {
  const on = (state.dispiEnable & DISPI_ENABLED) !== 0 && state.dispiBitsPerPixel !== 4;
  return on ? state.dispiBank * DISPI_BANK_BYTES : undefined;
}

/** Reads register `index`; 0 where there is none. */
export function readDispi(state: VgaState, index: number, memorySize: number): number {
  const capabilities = (state.dispiEnable & ENABLE_GET_CAPABILITIES) !== 0;
  switch (index) {
    case INDEX_ID:
      return state.dispiId;
    case INDEX_WIDTH:
      return capabilities ? MAX_FRAME_SIDE : state.dispiWidth;
    case INDEX_HEIGHT:
      return capabilities ? MAX_FRAME_SIDE : state.dispiHeight;
    case INDEX_BITS_PER_PIXEL:
      return capabilities ? MAX_BITS_PER_PIXEL : state.dispiBitsPerPixel;
    case DISPI_INDEX_ENABLE:
      return state.dispiEnable;
    case INDEX_BANK:
      return state.dispiBank;
    case INDEX_VIRTUAL_WIDTH:
      return Math.max(state.dispiWidth, state.dispiVirtualWidth);
    case INDEX_VIRTUAL_HEIGHT: {
      const mode = linearMode(state, memorySize);
      const rows = mode === null ? 0 : Math.floor(memorySize / strideOf(mode.bitsPerPixel, mode.virtualWidth));
      return Math.min(rows, 0xffff);
    }
    case INDEX_X_OFFSET:
      return state.dispiXOffset;
    case INDEX_Y_OFFSET:
      return state.dispiYOffset;
    case INDEX_MEMORY:
      return Math.min(Math.floor(memorySize / DISPI_BANK_BYTES), 0xffff);
    default:
      return 0;
  }
}

/** Writes register `index`. Values out of range are ignored; turning a mode on clears its memory unless told not to. */
export function writeDispi(state: VgaState, index: number, value: number, memory: Uint8Array): void {
  switch (index) {
    case INDEX_ID:
      if (value >= ID_OLDEST && value <= DISPI_ID_NEWEST) state.dispiId = value;
      break;
    case INDEX_WIDTH:
      if (value <= MAX_FRAME_SIDE) state.dispiWidth = value;
      break;
    case INDEX_HEIGHT:
      if (value <= MAX_FRAME_SIDE) state.dispiHeight = value;
      break;
    case INDEX_BITS_PER_PIXEL:
      // 0 is what the oldest drivers write for eight.
      if (value === 0 || isDepth(value)) state.dispiBitsPerPixel = value === 0 ? 8 : value;
      break;
    case DISPI_INDEX_ENABLE:
      enable(state, value, memory);
      break;
    case INDEX_BANK:
      state.dispiBank = value % Math.max(1, Math.floor(memory.length / DISPI_BANK_BYTES));
      break;
    case INDEX_VIRTUAL_WIDTH:
      state.dispiVirtualWidth = value;
      break;
    case INDEX_X_OFFSET:
      state.dispiXOffset = value;
      break;
    case INDEX_Y_OFFSET:
      state.dispiYOffset = value;
      break;
  }
}

function enable(state: VgaState, value: number, memory: Uint8Array): void {
  const turnsOn = (value & DISPI_ENABLED) !== 0 && !(state.dispiEnable & DISPI_ENABLED);
  state.dispiEnable = value;
  if (!(value & DISPI_ENABLED)) state.dispiBank = 0;
  if (!turnsOn) return;
  state.dispiVirtualWidth = 0;
  state.dispiXOffset = 0;
  state.dispiYOffset = 0;
  const mode = linearMode(state, memory.length);
  if (mode === null || value & DISPI_KEEP_MEMORY) return;
  memory.fill(0, 0, mode.height * strideOf(mode.bitsPerPixel, mode.virtualWidth));
}
