/**
 * A virtio PCI driver for tests, playing the guest: it finds the device's structures on a real bus, negotiates, lays
 * out a split virtqueue in RAM and exchanges chains, as virtio 1.2, section 3.1 says. It knows nothing of the device
 * beyond that.
 */
import { assert } from '@tomei/kit';
import { type Board } from '../../machine/board.ts';
import { type Width } from '../../machine/device.ts';
import { CONFIG_ADDRESS, CONFIG_DATA } from '../../machine/pci-bus.ts';

const CAPABILITIES_POINTER = 0x34;
const CAPABILITY_VENDOR = 0x09;

/** Offsets in the common configuration structure (4.1.4.3). */
export const COMMON = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  numQueues: 0x12,
  status: 0x14,
  generation: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueEnable: 0x1c,
  queueNotifyOff: 0x1e,
  queueDesc: 0x20,
  queueDriver: 0x28,
  queueDevice: 0x30,
} as const;

export const ACKNOWLEDGE = 1;
export const DRIVER = 2;
export const DRIVER_OK = 4;
export const FEATURES_OK = 8;
export const NEEDS_RESET = 64;

export const DESC_NEXT = 1;
export const DESC_WRITE = 2;
export const DESC_INDIRECT = 4;

export interface Buffer {
  readonly address: number;
  readonly length: number;
  /** The device may write it. */
  readonly writable?: boolean;
}
export interface Used {
  readonly id: number;
  readonly length: number;
}
/** What one capability says. */
export interface Structure {
  readonly at: number;
  readonly type: number;
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

export class GuestDriver {
  readonly structures: Structure[] = [];
  /** Set by `queue`. */
  size = 0;
  desc = 0;
  avail = 0;
  used = 0;
  private free: number[] = [];
  private readonly chains = new Map<number, number[]>();
  private availIndex = 0;
  private usedIndex = 0;
  private readonly board: Board;
  private readonly ram: Uint8Array;
  private readonly slot: number;
  private readonly barBase: number;
  private readonly multiplier: number;

  /** Drives the device in PCI `slot` of a board with this RAM. */
  constructor({ board, ram }: { board: Board; ram: Uint8Array }, slot: number) {
    this.board = board;
    this.ram = ram;
    this.slot = slot;
    for (let at = this.configRead(CAPABILITIES_POINTER, 1); at !== 0; at = this.configRead(at + 1, 1)) {
      if (this.configRead(at, 1) !== CAPABILITY_VENDOR) continue;
      const [type, bar] = [this.configRead(at + 3, 1), this.configRead(at + 4, 1)];
      const [offset, length] = [this.configRead(at + 8, 4), this.configRead(at + 12, 4)];
      this.structures.push({ at, type, bar, offset, length });
    }
    this.barBase = (this.configRead(0x10, 4) & ~0xf) >>> 0;
    this.multiplier = this.configRead(this.structure(2).at + 16, 4);
  }

  configRead(offset: number, width: Width): number {
    this.select(offset);
    return this.board.portRead(CONFIG_DATA + (offset & 3), width);
  }
  configWrite(offset: number, width: Width, value: number): void {
    this.select(offset);
    this.board.portWrite(CONFIG_DATA + (offset & 3), width, value);
  }
  private select(offset: number): void {
    this.board.portWrite(CONFIG_ADDRESS, 4, (0x8000_0000 | (this.slot << 11) | (offset & 0xfc)) >>> 0);
  }

  structure(type: number): Structure {
    const found = this.structures.find((s) => s.type === type);
    assert(found !== undefined, `the device has a capability of type ${type}`);
    return found;
  }

  /** Registers of a structure: 1 common, 3 ISR, 4 device-specific. */
  read(type: number, offset: number, width: Width): number {
    return this.board.memoryRead(this.barBase + this.structure(type).offset + offset, width);
  }
  write(type: number, offset: number, width: Width, value: number): void {
    this.board.memoryWrite(this.barBase + this.structure(type).offset + offset, width, value);
  }
  get status(): number {
    return this.read(1, COMMON.status, 1);
  }
  set status(value: number) {
    this.write(1, COMMON.status, 1, value);
  }
  get isr(): number {
    return this.read(3, 0, 1);
  }

  offered(): number[] {
    const features: number[] = [];
    for (const word of [0, 1]) {
      this.write(1, COMMON.deviceFeatureSelect, 4, word);
      const bits = this.read(1, COMMON.deviceFeature, 4);
      for (let i = 0; i < 32; i++) if ((bits & (1 << i)) !== 0) features.push(word * 32 + i);
    }
    return features;
  }

  /** Resets and negotiates; returns whether the device took the features. */
  negotiate(features: readonly number[]): boolean {
    this.status = 0;
    assert(this.status === 0, 'the reset is complete');
    this.status = ACKNOWLEDGE;
    this.status = ACKNOWLEDGE | DRIVER;
    for (const word of [0, 1]) {
      let bits = 0;
      for (const f of features) if (Math.floor(f / 32) === word) bits |= 1 << (f % 32);
      this.write(1, COMMON.driverFeatureSelect, 4, word);
      this.write(1, COMMON.driverFeature, 4, bits >>> 0);
    }
    this.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    return (this.status & FEATURES_OK) !== 0;
  }

  /** Lays queue 0 of `size` entries out from `at` on, which is cleared, and enables it. */
  queue(size: number, at: number): void {
    this.size = size;
    this.desc = at;
    this.avail = at + 16 * size;
    this.used = (this.avail + 6 + 2 * size + 3) & ~3;
    this.ram.fill(0, at, this.used + 6 + 8 * size);
    this.free = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.chains.clear();
    this.availIndex = 0;
    this.usedIndex = 0;
    this.write(1, COMMON.queueSelect, 2, 0);
    this.write(1, COMMON.queueSize, 2, size);
    for (const [register, value] of [
      [COMMON.queueDesc, this.desc],
      [COMMON.queueDriver, this.avail],
      [COMMON.queueDevice, this.used],
    ] as const) {
      this.write(1, register, 4, value);
      this.write(1, register + 4, 4, 0);
    }
    this.write(1, COMMON.queueEnable, 2, 1);
  }

  start(): void {
    this.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
  }

  /** Everything up to DRIVER_OK. */
  bringUp(features: readonly number[], size = 16, at = 0x1000): void {
    assert(this.negotiate(features), 'the device takes the features');
    this.queue(size, at);
    this.start();
  }

  describe(table: number, index: number, buffer: Buffer, flags: number, next: number): void {
    const memory = this.board.ram;
    const at = table + 16 * index;
    memory.write32(at, buffer.address >>> 0);
    memory.write32(at + 4, Math.floor(buffer.address / 2 ** 32));
    memory.write32(at + 8, buffer.length);
    memory.write16(at + 12, flags | (buffer.writable === true ? DESC_WRITE : 0));
    memory.write16(at + 14, next);
  }

  /** Adds a chain and makes it available; with `indirectAt` its descriptors go into a table there. Returns the head. */
  add(buffers: readonly Buffer[], indirectAt?: number): number {
    const indexes = this.free.splice(-(indirectAt === undefined ? buffers.length : 1));
    const direct = indirectAt === undefined;
    const table = indirectAt ?? this.desc;
    const place = direct ? indexes : buffers.map((_, i) => i);
    buffers.forEach((buffer, i) => {
      const more = i + 1 < buffers.length;
      this.describe(table, place[i]!, buffer, more ? DESC_NEXT : 0, more ? place[i + 1]! : 0);
    });
    const head = indexes[0]!;
    if (!direct) this.describe(this.desc, head, { address: table, length: 16 * buffers.length }, DESC_INDIRECT, 0);
    this.chains.set(head, indexes);
    this.expose(head);
    return head;
  }

  /** Writes `head` into the available ring, whatever it is. */
  expose(head: number): void {
    const memory = this.board.ram;
    memory.write16(this.avail + 4 + 2 * (this.availIndex % this.size), head);
    this.availIndex = (this.availIndex + 1) & 0xffff;
    memory.write16(this.avail + 2, this.availIndex);
  }

  kick(): void {
    const { offset } = this.structure(2);
    this.board.memoryWrite(this.barBase + offset + this.read(1, COMMON.queueNotifyOff, 2) * this.multiplier, 2, 0);
  }

  /** What the device has used since the last call. */
  collect(): Used[] {
    const memory = this.board.ram;
    const used: Used[] = [];
    for (; this.usedIndex !== memory.read16(this.used + 2); this.usedIndex = (this.usedIndex + 1) & 0xffff) {
      const at = this.used + 4 + 8 * (this.usedIndex % this.size);
      const id = memory.read32(at);
      used.push({ id, length: memory.read32(at + 4) });
      this.free.push(...(this.chains.get(id) ?? []));
      this.chains.delete(id);
    }
    return used;
  }

  /** Asks for an interrupt when the used index passes `index` (2.7.7). */
  set usedEvent(index: number) {
    this.board.ram.write16(this.avail + 4 + 2 * this.size, index);
  }
  get availEvent(): number {
    return this.board.ram.read16(this.used + 4 + 8 * this.size);
  }
}
