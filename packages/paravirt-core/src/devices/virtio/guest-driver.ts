/**
 * A virtio PCI driver for tests, playing the guest: it finds the device's structures on a real bus, negotiates, lays
 * out virtqueues in RAM and exchanges chains, as virtio 1.2, section 3.1 says. It knows nothing of the device beyond
 * that. Members that name no queue are about queue 0.
 */
import { assert } from '@tomei/kit';
import { type Board } from '../../machine/board.ts';
import { type Width } from '../../machine/device.ts';
import { CONFIG_ADDRESS, CONFIG_DATA } from '../../machine/pci-bus.ts';
import { PackedGuestQueue, SplitGuestQueue, type Buffer, type GuestQueue, type Used } from './guest-queue.ts';
import { VIRTIO_F_RING_PACKED } from './queue-state.ts';

export { DESC_INDIRECT, DESC_NEXT, DESC_WRITE, type Buffer, type Used } from './guest-queue.ts';

const CAPABILITIES_POINTER = 0x34;
const CAPABILITY_VENDOR = 0x09;
const CAPABILITY_MSIX = 0x11;
const MSIX_ENABLE = 1 << 15;
const MSIX_MASK_ALL = 1 << 14;
const COMMAND = 0x04;
const COMMAND_MEMORY_AND_MASTER = 0x06;

/** Offsets in the common configuration structure (4.1.4.3). */
export const COMMON = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  numQueues: 0x12,
  status: 0x14,
  generation: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
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
  readonly queues: GuestQueue[] = [];
  private msixAt = 0;
  private packed = false;
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
      if (this.configRead(at, 1) === CAPABILITY_MSIX) this.msixAt = at;
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

  /** How many MSI-X vectors the device has, and where table and pending bits are, each in base address register 0. */
  msix(): { vectors: number; table: number; pending: number } {
    assert(this.msixAt !== 0, 'the device has MSI-X');
    const [table, pending] = [this.configRead(this.msixAt + 4, 4), this.configRead(this.msixAt + 8, 4)];
    return { vectors: (this.configRead(this.msixAt + 2, 2) & 0x7ff) + 1, table, pending };
  }
  /** Switches MSI-X on or off, with all vectors masked or not. */
  useMsix(on: boolean, masked = false): void {
    this.configWrite(COMMAND, 2, COMMAND_MEMORY_AND_MASTER);
    this.configWrite(this.msixAt + 2, 2, (on ? MSIX_ENABLE : 0) | (masked ? MSIX_MASK_ALL : 0));
  }
  /** What a vector sends; masks it or not. */
  setMessage(vector: number, { address = 0xfee0_0000, data = 0, masked = false }): void {
    const at = this.barBase + this.msix().table + 16 * vector;
    const words = [address % 2 ** 32, Math.floor(address / 2 ** 32), data, masked ? 1 : 0];
    for (const [i, word] of words.entries()) this.board.memoryWrite(at + 4 * i, 4, word);
  }
  maskVector(vector: number, masked: boolean): void {
    this.board.memoryWrite(this.barBase + this.msix().table + 16 * vector + 12, 4, masked ? 1 : 0);
  }
  /** Pending bits of vectors 0 to 31. */
  get pendingVectors(): number {
    return this.board.memoryRead(this.barBase + this.msix().pending, 4);
  }
  /** Has a queue interrupt by this vector; returns what the device makes of it. */
  setQueueVector(index: number, vector: number): number {
    this.write(1, COMMON.queueSelect, 2, index);
    this.write(1, COMMON.queueVector, 2, vector);
    return this.read(1, COMMON.queueVector, 2);
  }
  setConfigVector(vector: number): number {
    this.write(1, COMMON.configVector, 2, vector);
    return this.read(1, COMMON.configVector, 2);
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
    this.packed = features.includes(VIRTIO_F_RING_PACKED);
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

  /** Lays a queue of `size` entries out from `at` on, which is cleared, and enables it. */
  queue(size: number, at: number, index = 0): GuestQueue {
    const queue = new (this.packed ? PackedGuestQueue : SplitGuestQueue)(this.board.ram, size, at);
    this.ram.fill(0, at, queue.end);
    this.queues[index] = queue;
    this.write(1, COMMON.queueSelect, 2, index);
    this.write(1, COMMON.queueSize, 2, size);
    for (const [register, value] of [
      [COMMON.queueDesc, queue.desc],
      [COMMON.queueDriver, queue.driver],
      [COMMON.queueDevice, queue.device],
    ] as const) {
      this.write(1, register, 4, value);
      this.write(1, register + 4, 4, 0);
    }
    this.write(1, COMMON.queueEnable, 2, 1);
    return queue;
  }

  start(): void {
    this.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
  }

  /** Everything up to DRIVER_OK, with as many queues, one behind the other. */
  bringUp(features: readonly number[], size = 16, at = 0x1000, queues = 1): void {
    assert(this.negotiate(features), 'the device takes the features');
    for (let index = 0, next = at; index < queues; index++) next = (this.queue(size, next, index).end + 15) & ~15;
    this.start();
  }

  /** Queue 0, which is a split one. */
  get split(): SplitGuestQueue {
    const [queue] = this.queues;
    assert(queue instanceof SplitGuestQueue, 'queue 0 is laid out, and split');
    return queue;
  }
  get size(): number {
    return this.queues[0]!.size;
  }
  get desc(): number {
    return this.queues[0]!.desc;
  }
  get avail(): number {
    return this.queues[0]!.driver;
  }
  get used(): number {
    return this.queues[0]!.device;
  }
  describe(table: number, index: number, buffer: Buffer, flags: number, next: number): void {
    this.split.describe(table, index, buffer, flags, next);
  }
  /** Adds a chain and makes it available; with `indirectAt` its descriptors go into a table there. Returns its id. */
  add(buffers: readonly Buffer[], indirectAt?: number, index = 0): number {
    return this.queues[index]!.add(buffers, indirectAt);
  }
  /** Writes `head` into the available ring, whatever it is. */
  expose(head: number): void {
    this.split.expose(head);
  }
  /** What the device has used since the last call. */
  collect(index = 0): Used[] {
    return this.queues[index]!.collect();
  }
  set usedEvent(index: number) {
    this.split.usedEvent = index;
  }
  get availEvent(): number {
    return this.split.availEvent;
  }

  kick(index = 0): void {
    const { offset } = this.structure(2);
    this.write(1, COMMON.queueSelect, 2, index);
    const notify = this.read(1, COMMON.queueNotifyOff, 2) * this.multiplier;
    this.board.memoryWrite(this.barBase + offset + notify, 2, index);
  }
}
