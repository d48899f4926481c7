/**
 * The firmware configuration device by which a virtual machine tells SeaBIOS what it is made of (QEMU, docs/specs/fw_cfg:
 * selector 510h, data 511h, DMA address 514h). Read-only here: a write request answers with the error bit.
 */
import { pod, u16, u32 } from '@tomei/kit';
import { defineDevice, typed, type GuestMemory, type PortClaim } from '../machine/device.ts';
import type { FirmwareFile, FirmwareItems } from '../machine/firmware-items.ts';

const PORT_SELECT = 0x510;
const PORT_DMA = 0x514;
/** Keys of the specification. */
const KEY_SIGNATURE = 0x00;
const KEY_ID = 0x01;
const KEY_DIRECTORY = 0x19;
const KEY_FIRST_FILE = 0x20;
/** KEY_ID: bit 0 the traditional interface, bit 1 DMA. */
const ID_TRADITIONAL_AND_DMA = 3;
/** What the DMA address register reads as: "QEMU CFG", big-endian. */
const DMA_SIGNATURE = [0x51454d55, 0x20434647] as const;
const NAME_BYTES = 56;
const ENTRY_BYTES = 8 + NAME_BYTES;

/** Bits of a DMA request's control word. */
const DMA_ERROR = 1;
const DMA_READ = 2;
const DMA_SKIP = 4;
const DMA_SELECT = 8;
const DMA_WRITE = 16;
const REQUEST_BYTES = 16;

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const swap = (n: number): number => ((n << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24)) >>> 0;

function directory(files: readonly FirmwareFile[]): Uint8Array {
  const bytes = new Uint8Array(4 + files.length * ENTRY_BYTES),
    view = new DataView(bytes.buffer);
  view.setUint32(0, files.length);
  files.forEach((file, i) => {
    const at = 4 + i * ENTRY_BYTES;
    view.setUint32(at, file.bytes.length);
    view.setUint16(at + 4, KEY_FIRST_FILE + i);
    bytes.set(text(file.name).subarray(0, NAME_BYTES - 1), at + 8);
  });
  return bytes;
}

export const fwCfg = defineDevice({
  kind: 'fw-cfg',
  version: 1,
  summary: 'tells firmware what the machine is made of',
  config: typed<FirmwareItems>({ items: {}, files: [] }),
  state: pod({ selector: u16(), offset: u32(), dmaHigh: u32() }),
  attach({ config, state, host }) {
    const items = new Map<number, Uint8Array>([
      ...Object.entries(config.items).map(([key, bytes]) => [Number(key), bytes] as const),
      [KEY_SIGNATURE, text('QEMU')],
      [KEY_ID, Uint8Array.of(ID_TRADITIONAL_AND_DMA, 0, 0, 0)],
      [KEY_DIRECTORY, directory(config.files)],
      ...config.files.map((file, i) => [KEY_FIRST_FILE + i, file.bytes] as const),
    ]);
    const selected = (): Uint8Array => items.get(state.selector) ?? new Uint8Array(0);
    const advance = (by: number): void => {
      state.offset = Math.min(state.offset + by, 0xffff_ffff);
    };
    /** A request of four big-endian words in guest memory: control, length, address high and low. */
    const transfer = (at: number): void => {
      const { memory } = host;
      if (!memory.contains(at, REQUEST_BYTES)) return;
      const control = swap(memory.read32(at)),
        length = swap(memory.read32(at + 4));
      const address = swap(memory.read32(at + 8)) * 2 ** 32 + swap(memory.read32(at + 12));
      if ((control & DMA_SELECT) !== 0) {
        state.selector = control >>> 16;
        state.offset = 0;
      }
      let ok = true;
      if ((control & DMA_READ) !== 0) ok = readInto(memory, address, length);
      else if ((control & DMA_WRITE) !== 0) ok = false;
      else if ((control & DMA_SKIP) !== 0) advance(length);
      memory.write32(at, swap(ok ? 0 : DMA_ERROR));
    };
    /** Beyond the end of an item there are zeros. */
    const readInto = (memory: GuestMemory, address: number, length: number): boolean => {
      if (!memory.contains(address, length)) return false;
      const rest = selected().subarray(state.offset, state.offset + length);
      memory.write(address, rest);
      memory.view(address + rest.length, length - rest.length).fill(0);
      memory.written(address + rest.length, length - rest.length);
      advance(length);
      return true;
    };
    return {
      ports: [
        {
          base: PORT_SELECT,
          count: 2,
          read(offset, width) {
            if (offset === 0) return 0;
            const value = selected()[state.offset] ?? 0;
            advance(1);
            return width === 1 ? value : 0;
          },
          write(offset, width, value) {
            if (offset !== 0 || width !== 2) return;
            state.selector = value;
            state.offset = 0;
          },
        },
        {
          base: PORT_DMA,
          count: 8,
          read(offset, width) {
            const word = swap(DMA_SIGNATURE[offset >> 2]!);
            return ((word >>> (8 * (offset & 3))) & (width === 4 ? 0xffff_ffff : (1 << (8 * width)) - 1)) >>> 0;
          },
          write(offset, width, value) {
            if (width !== 4) return;
            if (offset === 0) state.dmaHigh = swap(value);
            else {
              const at = state.dmaHigh * 2 ** 32 + swap(value);
              state.dmaHigh = 0;
              transfer(at);
            }
          },
        },
      ] satisfies PortClaim[],
    };
  },
});
