/**
 * The split virtqueue, device side (OASIS virtio 1.2, section 2.7). Rings and descriptors lie in guest memory and are
 * hostile: every index, address and length is checked where it is read, and each field is read once, so that a guest
 * that changes a descriptor meanwhile changes nothing that was already checked. A ring that breaks a rule is marked
 * faulty and is not touched again until a reset; nothing here throws or loops longer than the queue is large.
 */
import { bool, oneOf, pod, u16, u32, type StateOf } from '@tomei/kit';
import { type GuestMemory } from '../../machine/device.ts';
import { type Segment } from './segments.ts';

/** Feature bits of the ring (2.7.5.3, 2.7.7 to 2.7.10; numbers in section 6). */
export const VIRTIO_F_INDIRECT_DESC = 28;
export const VIRTIO_F_EVENT_IDX = 29;

const DESC_F_NEXT = 1;
const DESC_F_WRITE = 2;
const DESC_F_INDIRECT = 4;
const AVAIL_F_NO_INTERRUPT = 1;

const DESC_BYTES = 16;
const USED_ELEMENT_BYTES = 8;
/** Offset of `ring` in both rings, after `flags` and `idx`. */
const RING_START = 4;
/** A chain may describe at most this many bytes (2.7.5.2: drivers MUST NOT add a longer one). */
const CHAIN_MAX_BYTES = 2 ** 32;

/**
 * Why a queue stopped: its parts are misaligned or not RAM, an index is beyond its table, a buffer is not RAM, a chain
 * is endless or too long, a readable buffer follows a writable one, a bad indirect table, or a request that its device
 * cannot make sense of.
 */
export const queueFault = oneOf('none', 'layout', 'index', 'buffer', 'loop', 'order', 'indirect', 'request');
export type QueueFault = ReturnType<typeof queueFault.initial>;

/** What a snapshot holds of one queue that offers `maxSize` entries (a power of two up to 32768). */
export const queueState = (maxSize: number) =>
  pod({
    size: u16(maxSize),
    enabled: bool(),
    descLow: u32(),
    descHigh: u32(),
    driverLow: u32(),
    driverHigh: u32(),
    deviceLow: u32(),
    deviceHigh: u32(),
    /** The next entry of the available ring to take, free-running. */
    nextAvailable: u16(),
    /** The next entry of the used ring to fill, free-running; the device never reads it back from the guest. */
    nextUsed: u16(),
    /** `nextUsed` when the driver's wish for an interrupt was looked at last. */
    signalledUsed: u16(),
    /** Stopped with entries left; the transport calls again. */
    pending: bool(),
    fault: queueFault,
  }).check((q) => isQueueSize(q.size, maxSize) || `queue size ${q.size} is not a power of two up to ${maxSize}`);
export type QueueState = StateOf<ReturnType<typeof queueState>>;

export const isQueueSize = (size: number, maxSize: number): boolean =>
  size > 0 && size <= maxSize && (size & (size - 1)) === 0;

/** One buffer of the driver: what the device may read, then what it may write. Every segment is RAM. */
export interface Chain {
  /** Index of the first descriptor; goes back into the used ring. */
  readonly head: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
}

export interface SplitQueueParts {
  /** The state at this moment: a restore replaces the object. */
  readonly state: () => QueueState;
  /** Queue size that the device offers, which is also the longest chain it takes. */
  readonly maxSize: number;
  readonly memory: GuestMemory;
  /** Whether a feature was negotiated. */
  readonly accepted: (feature: number) => boolean;
  /** Called when the queue becomes faulty. */
  readonly broken: () => void;
}

const address = (high: number, low: number): number => high * 2 ** 32 + low;

export class SplitQueue {
  private readonly parts: SplitQueueParts;

  constructor(parts: SplitQueueParts) {
    this.parts = parts;
  }

  get maxSize(): number {
    return this.parts.maxSize;
  }
  get state(): QueueState {
    return this.parts.state();
  }

  /** Stops the queue until a reset and tells the transport. The first fault is kept. */
  fail(fault: Exclude<QueueFault, 'none'>): void {
    const { state } = this;
    if (state.fault !== 'none') return;
    state.fault = fault;
    this.parts.broken();
  }

  /** Takes the next available chain; undefined when there is none or when the queue is, or just became, faulty. */
  pop(): Chain | undefined {
    const { state } = this;
    const rings = this.rings();
    if (rings === undefined) return undefined;
    const { memory } = this.parts;
    let ahead = this.ahead(rings.driver);
    if (ahead === 0) {
      if (!this.parts.accepted(VIRTIO_F_EVENT_IDX)) return undefined;
      // Asks for a notification, then looks again: the driver may have added a chain before it could see the wish
      // (2.7.10).
      memory.write16(rings.availEvent, state.nextAvailable);
      ahead = this.ahead(rings.driver);
      if (ahead === 0) return undefined;
    }
    if (ahead > state.size) return this.refuse('index');
    const head = memory.read16(rings.driver + RING_START + 2 * (state.nextAvailable & (state.size - 1)));
    const chain = this.walk(rings.desc, head);
    if (chain !== undefined) state.nextAvailable = (state.nextAvailable + 1) & 0xffff;
    return chain;
  }

  /**
   * Gives a chain back. `written` counts the bytes written without a gap from the start of its first writable segment.
   */
  push(head: number, written: number): void {
    const { state } = this;
    const rings = this.rings();
    if (rings === undefined) return;
    const { memory } = this.parts;
    const element = rings.device + RING_START + USED_ELEMENT_BYTES * (state.nextUsed & (state.size - 1));
    memory.write32(element, head);
    memory.write32(element + 4, Math.min(written, 0xffffffff));
    state.nextUsed = (state.nextUsed + 1) & 0xffff;
    // The element lies in memory before the index that publishes it.
    memory.write16(rings.device + 2, state.nextUsed);
  }

  /** Whether the driver wants an interrupt for what was pushed since the last call (2.7.7). */
  takeInterrupt(): boolean {
    const { state } = this;
    const rings = this.rings();
    if (rings === undefined) return false;
    const { memory } = this.parts;
    const before = state.signalledUsed;
    state.signalledUsed = state.nextUsed;
    if (before === state.nextUsed) return false;
    if (!this.parts.accepted(VIRTIO_F_EVENT_IDX)) return (memory.read16(rings.driver) & AVAIL_F_NO_INTERRUPT) === 0;
    // One of the entries before .. nextUsed - 1 is the one that used_event names.
    const event = memory.read16(rings.usedEvent);
    return ((state.nextUsed - event - 1) & 0xffff) < ((state.nextUsed - before) & 0xffff);
  }

  private refuse(fault: Exclude<QueueFault, 'none'>): undefined {
    this.fail(fault);
    return undefined;
  }

  private ahead(driver: number): number {
    return (this.parts.memory.read16(driver + 2) - this.state.nextAvailable) & 0xffff;
  }

  /** Where the parts of the queue lie, or undefined when they cannot be used: alignment and size of 2.7. */
  private rings(): { desc: number; driver: number; device: number; usedEvent: number; availEvent: number } | undefined {
    const { state } = this;
    if (!state.enabled || state.fault !== 'none') return undefined;
    const { memory } = this.parts;
    const { size } = state;
    const desc = address(state.descHigh, state.descLow);
    const driver = address(state.driverHigh, state.driverLow);
    const device = address(state.deviceHigh, state.deviceLow);
    const usedEvent = driver + RING_START + 2 * size;
    const availEvent = device + RING_START + USED_ELEMENT_BYTES * size;
    const aligned = state.descLow % 16 === 0 && state.driverLow % 2 === 0 && state.deviceLow % 4 === 0;
    const inRam =
      memory.contains(desc, DESC_BYTES * size) &&
      memory.contains(driver, usedEvent + 2 - driver) &&
      memory.contains(device, availEvent + 2 - device);
    if (!aligned || !inRam) return this.refuse('layout');
    return { desc, driver, device, usedEvent, availEvent };
  }

  private walk(desc: number, head: number): Chain | undefined {
    const { memory, maxSize } = this.parts;
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    let table = { base: desc, entries: this.state.size, indirect: false };
    let index = head;
    let total = 0;
    let writing = false;
    // One more step than a chain may have buffers, for the descriptor that leads to an indirect table.
    for (let step = 0; step <= maxSize; step++) {
      if (index >= table.entries) return this.refuse('index');
      const at = table.base + DESC_BYTES * index;
      const start = address(memory.read32(at + 4), memory.read32(at));
      const length = memory.read32(at + 8);
      const flags = memory.read16(at + 12);
      const next = memory.read16(at + 14);
      if ((flags & DESC_F_INDIRECT) !== 0) {
        // One table, at the end of a chain, of whole descriptors (2.7.5.3.1); WRITE is ignored here (2.7.5.3.2).
        const allowed = !table.indirect && (flags & DESC_F_NEXT) === 0 && this.parts.accepted(VIRTIO_F_INDIRECT_DESC);
        const whole = length > 0 && length % DESC_BYTES === 0;
        if (!allowed || !whole || !memory.contains(start, length)) return this.refuse('indirect');
        table = { base: start, entries: length / DESC_BYTES, indirect: true };
        index = 0;
        continue;
      }
      if ((flags & DESC_F_WRITE) !== 0) writing = true;
      else if (writing) return this.refuse('order');
      if (length > 0) {
        if (!memory.contains(start, length)) return this.refuse('buffer');
        total += length;
        if (total > CHAIN_MAX_BYTES || readable.length + writable.length === maxSize) return this.refuse('loop');
        (writing ? writable : readable).push({ address: start, length });
      }
      if ((flags & DESC_F_NEXT) === 0) return { head, readable, writable };
      index = next;
    }
    return this.refuse('loop');
  }
}
