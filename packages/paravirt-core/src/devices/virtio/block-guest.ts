/** A guest with a virtio disk, for tests: the rig, the driver and the request layout of virtio 1.2, 5.2.6. */
import { backend } from '../../machine/board.ts';
import { blockBackend } from './block-backend.ts';
import { virtioBlock } from './block.ts';
import { GuestDriver, type Buffer } from './guest-driver.ts';
import { MemoryDisk } from './memory-disk.ts';
import { Rig, SLOT } from './rig.ts';

export const RAM_BYTES = 1 << 20;
/** Where requests keep header, status and data, one stretch a slot. */
const REQUESTS = 0x2_0000;
const SLOT_BYTES = 0x4000;
const DATA = 0x1000;
const STATUS = 0x20;
/** A status byte that no device writes. */
export const UNTOUCHED = 0xaa;

export interface RequestOptions {
  readonly sector?: number;
  /** Bytes the device reads after the header. */
  readonly out?: Uint8Array;
  /** Length of the buffer the device fills. */
  readonly room?: number;
  /** Puts the descriptors into an indirect table. */
  readonly indirect?: boolean;
  /** Of the driver's queues; the first when absent. */
  readonly queue?: number;
}

export class BlockGuest {
  readonly rig: Rig<(typeof virtioBlock)['state']['fields']>;
  readonly disk: MemoryDisk;
  readonly driver: GuestDriver;

  constructor(
    options: { sectors?: number; immediate?: boolean; readOnly?: boolean; data?: Uint8Array; ram?: Uint8Array } = {},
  ) {
    const { ram, ...disk } = options;
    let made: MemoryDisk | undefined;
    this.rig = new Rig({
      ram: ram ?? new Uint8Array(RAM_BYTES),
      def: virtioBlock,
      config: {},
      backends: (memory) => [backend(blockBackend, (made = new MemoryDisk({ memory, sectors: 64, ...disk })))],
    });
    this.disk = made!;
    this.driver = new GuestDriver(this.rig, SLOT);
  }

  /** Makes a request available in memory slot `slot` without notifying. Returns the head of its chain. */
  request(
    slot: number,
    type: number,
    { sector = 0, out, room = 0, indirect = false, queue = 0 }: RequestOptions = {},
  ): number {
    const { memory, ram } = this.rig;
    const base = REQUESTS + slot * SLOT_BYTES;
    memory.write32(base, type);
    memory.write32(base + 4, 0);
    memory.write32(base + 8, sector >>> 0);
    memory.write32(base + 12, Math.floor(sector / 2 ** 32));
    memory.write8(base + STATUS, UNTOUCHED);
    const buffers: Buffer[] = [{ address: base, length: 16 }];
    if (out !== undefined) {
      ram.set(out, base + DATA);
      buffers.push({ address: base + DATA, length: out.length });
    }
    if (room > 0) buffers.push({ address: base + DATA, length: room, writable: true });
    buffers.push({ address: base + STATUS, length: 1, writable: true });
    return this.driver.add(buffers, indirect ? base + 0x100 : undefined, queue);
  }

  statusOf(slot: number): number {
    return this.rig.ram[REQUESTS + slot * SLOT_BYTES + STATUS]!;
  }

  dataOf(slot: number, length: number): Uint8Array {
    const start = this.dataAddress(slot);
    return this.rig.ram.slice(start, start + length);
  }

  dataAddress(slot: number): number {
    return REQUESTS + slot * SLOT_BYTES + DATA;
  }
}

/** Bytes that differ from sector to sector and within one. */
export const pattern = (length: number, salt: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 9) * 31 + salt) & 0xff);
