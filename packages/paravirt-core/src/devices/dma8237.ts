/**
 * The two DMA controllers of a PC with their page registers (Intel 8237A datasheet, 231466; Intel 82371SB "PIIX3" datasheet, 290550,
 * 2.5.1): channels 0..3 move bytes, 5..7 words, 4 is the cascade. Nothing moves by itself: a device that has data asks its channel.
 * Memory-to-memory transfers and software requests are not there; drivers of PCs use neither.
 */
import { array, bool, nested, pod, u16, u8, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type DmaChannel, type GuestMemory, type PortClaim } from '../machine/device.ts';

/** Command register: controller disable. */
const COMMAND_DISABLE = 0x04;
/** Mode register. */
const MODE_CASCADE = 0xc0,
  MODE_DOWN = 0x20,
  MODE_AUTO_INITIALIZE = 0x10,
  MODE_TYPE = 0x0c,
  TYPE_TO_MEMORY = 0x04,
  TYPE_FROM_MEMORY = 0x08;
/** Registers of a controller after the address and count pairs. */
const STATUS = 8,
  REQUEST = 9,
  SINGLE_MASK = 10,
  MODE = 11,
  CLEAR_FLIP_FLOP = 12,
  MASTER_CLEAR = 13,
  CLEAR_MASK = 14,
  ALL_MASK = 15;
const ALL_MASKED = 0x0f;
/** The page register of each channel, from port 80h on; the others are only memory. */
const PAGES = [0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa] as const;

const channelState = pod({ baseAddress: u16(), baseCount: u16(), address: u16(), count: u16(), mode: u8() });
const controllerState = pod({
  channels: array(4, () => nested(channelState)),
  command: u8(),
  /** Terminal counts that were reached; a read clears them. */
  reached: u8(),
  mask: u8(ALL_MASKED),
  /** The next byte of an address or count is the high one. */
  high: bool(),
});
type ControllerState = StateOf<typeof controllerState>;

export const dma8237 = defineDevice({
  kind: 'dma8237',
  version: 1,
  summary: 'two DMA controllers with page registers: channels 0..3 for bytes, 5..7 for words',
  config: typed<Record<string, never>>({}),
  state: pod({
    controllers: array(2, () => nested(controllerState)),
    pages: array(16, () => u8()),
  }),
  attach({ state, host }) {
    const claim = (index: 0 | 1, base: number, stride: number): PortClaim => ({
      base,
      count: 16 * stride,
      unit: 1,
      read: (offset) => readRegister(state.controllers[index]!, Math.floor(offset / stride)),
      write: (offset, _width, value) => writeRegister(state.controllers[index]!, Math.floor(offset / stride), value),
    });
    return {
      ports: [
        claim(0, 0x00, 1),
        claim(1, 0xc0, 2),
        {
          base: 0x80,
          count: 16,
          unit: 1,
          read: (offset) => state.pages[offset]!,
          write: (offset, _width, value) => void (state.pages[offset] = value),
        },
      ] satisfies PortClaim[],
      dma: (channel: number): DmaChannel => ({
        transfer: (bytes, toMemory) => {
          const controller = state.controllers[channel >> 2]!;
          return transfer(controller, channel, state.pages[PAGES[channel]!]!, host.memory, bytes, toMemory);
        },
      }),
    };
  },
});

function readRegister(c: ControllerState, register: number): number {
  if (register < 8) {
    const channel = c.channels[register >> 1]!;
    const value = register & 1 ? channel.count : channel.address;
    const byte = c.high ? value >> 8 : value & 0xff;
    c.high = !c.high;
    return byte;
  }
  if (register === STATUS) {
    const { reached } = c;
    c.reached = 0;
    return reached;
  }
  return register === ALL_MASK ? c.mask | 0xf0 : 0;
}

function writeRegister(c: ControllerState, register: number, value: number): void {
  if (register < 8) return writeAddressOrCount(c, register, value);
  const bit = 1 << (value & 3);
  switch (register) {
    case STATUS:
      c.command = value;
      return;
    case SINGLE_MASK:
      c.mask = value & 4 ? c.mask | bit : c.mask & ~bit;
      return;
    case MODE:
      c.channels[value & 3]!.mode = value & 0xfc;
      return;
    case CLEAR_FLIP_FLOP:
      c.high = false;
      return;
    case MASTER_CLEAR:
      c.high = false;
      c.command = 0;
      c.reached = 0;
      c.mask = ALL_MASKED;
      return;
    case CLEAR_MASK:
      c.mask = 0;
      return;
    case ALL_MASK:
      c.mask = value & ALL_MASKED;
      return;
    case REQUEST:
  }
}

/** Base and current registers are written together, and loaded whole with each byte. */
function writeAddressOrCount(c: ControllerState, register: number, value: number): void {
  const channel = c.channels[register >> 1]!;
  const merge = (old: number): number => (c.high ? (old & 0x00ff) | (value << 8) : (old & 0xff00) | value);
  if (register & 1) channel.count = channel.baseCount = merge(channel.baseCount);
  else channel.address = channel.baseAddress = merge(channel.baseAddress);
  c.high = !c.high;
}

function transfer(
  c: ControllerState,
  number: number,
  page: number,
  memory: GuestMemory,
  bytes: Uint8Array,
  toMemory: boolean,
): { moved: number; terminalCount: boolean } {
  const index = number & 3;
  const channel = c.channels[index]!;
  const isOff = (c.command & COMMAND_DISABLE) !== 0 || (c.mask & (1 << index)) !== 0;
  if (isOff || (channel.mode & MODE_CASCADE) === MODE_CASCADE) return { moved: 0, terminalCount: false };
  const unit = number < 4 ? 1 : 2;
  const units = Math.min(Math.floor(bytes.length / unit), channel.count + 1);
  const type = channel.mode & MODE_TYPE;
  const down = (channel.mode & MODE_DOWN) !== 0;
  const moves = type === (toMemory ? TYPE_TO_MEMORY : TYPE_FROM_MEMORY);
  const base = (unit === 1 ? page : page & 0xfe) * 0x1_0000;
  const { address } = channel;
  const whole = units * unit;
  if (moves && !down && address + units <= 0x1_0000 && memory.contains(base + address * unit, whole)) {
    const part = bytes.subarray(0, whole);
    if (toMemory) memory.write(base + address * unit, part);
    else memory.read(base + address * unit, part);
  } else if (moves) {
    // The page holds the upper bits; a carry does not reach it.
    for (let i = 0; i < units; i++) {
      const at = base + ((address + (down ? -i : i)) & 0xffff) * unit;
      const part = bytes.subarray(i * unit, (i + 1) * unit);
      if (!memory.contains(at, unit)) part.fill(0xff);
      else if (toMemory) memory.write(at, part);
      else memory.read(at, part);
    }
  }
  const terminalCount = units === channel.count + 1;
  channel.address = (channel.address + (down ? -units : units)) & 0xffff;
  channel.count = (channel.count - units) & 0xffff;
  if (terminalCount) {
    c.reached |= 1 << index;
    if ((channel.mode & MODE_AUTO_INITIALIZE) !== 0) {
      channel.address = channel.baseAddress;
      channel.count = channel.baseCount;
    } else c.mask |= 1 << index;
  }
  return { moved: units * unit, terminalCount };
}
