/** What both layouts of a virtqueue have in common: their state, how they fail, and what a queue gives them (virtio 1.2, 2.6). */
import { bool, oneOf, pod, u16, u32, type StateOf } from '@tomei/kit';
import { type GuestMemory } from '../../machine/device.ts';
import { type Segment } from './segments.ts';

/** Feature bits of the ring (2.7.5.3, 2.7.7 to 2.7.10, 2.8; numbers in section 6). */
export const VIRTIO_F_INDIRECT_DESC = 28;
export const VIRTIO_F_EVENT_IDX = 29;
export const VIRTIO_F_RING_PACKED = 34;

/**
 * Why a queue stopped: its parts are misaligned or not RAM, an index is beyond its table, a buffer is not RAM, a chain
 * is endless or too long, a readable buffer follows a writable one, a bad indirect table, or a request that its device
 * cannot make sense of.
 */
export const queueFault = oneOf('none', 'layout', 'index', 'buffer', 'loop', 'order', 'indirect', 'request');
export type QueueFault = ReturnType<typeof queueFault.initial>;
export type QueueTrouble = Exclude<QueueFault, 'none'>;

/** The vector of what has none (4.1.5.1.2). */
export const NO_VECTOR = 0xffff;
export const isVector = (vector: number, vectors: number): boolean => vector < vectors || vector === NO_VECTOR;

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
    /** The next available entry to take. Split: free-running. Packed: a place in the ring (packed-ring.ts). */
    nextAvailable: u16(),
    /** The next entry to give back as used, counted alike; the device never reads it back from the guest. */
    nextUsed: u16(),
    /** `nextUsed` when the driver's wish for an interrupt was looked at last. */
    signalledUsed: u16(),
    /** Stopped with entries left; the transport calls again. */
    pending: bool(),
    /** The MSI-X vector of its interrupts. */
    vector: u16(NO_VECTOR),
    fault: queueFault,
  }).check((q) => (q.size > 0 && q.size <= maxSize) || `queue size ${q.size} is not 1 to ${maxSize}`);
export type QueueState = StateOf<ReturnType<typeof queueState>>;

/** Whether a driver may choose this size: powers of two for split rings (2.7), any number for packed ones (2.8.10.1). */
export const isQueueSize = (size: number, maxSize: number, packed: boolean): boolean =>
  size > 0 && size <= maxSize && (packed || (size & (size - 1)) === 0);

export interface QueueParts {
  /** The state at this moment: a restore replaces the object. */
  readonly state: () => QueueState;
  /** Queue size that the device offers, which is also the longest chain it takes. */
  readonly maxSize: number;
  readonly memory: GuestMemory;
  /** Whether a feature was negotiated. */
  readonly accepted: (feature: number) => boolean;
  /** Called when the queue becomes faulty. */
  readonly broken: (fault: QueueTrouble) => void;
}
/** What a layout needs of its queue. */
export interface RingParts extends Omit<QueueParts, 'broken'> {
  /** Stops the queue. */
  readonly fail: (fault: QueueTrouble) => void;
}

/** One buffer of the driver: what the device may read, then what it may write. Every segment is RAM. */
export interface Chain {
  /** By which the driver knows it: of a split queue the index of its first descriptor, of a packed one its buffer ID. */
  readonly id: number;
  /** Entries of the ring that it takes up: always 1 in a split queue, whose rings hold whole chains. */
  readonly slots: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
}

/** One of the two layouts. */
export interface Ring {
  pop(): Chain | undefined;
  push(chain: UsedChain, written: number): void;
  takeInterrupt(): boolean;
}
/** What of a chain is needed to give it back. */
export type UsedChain = Pick<Chain, 'id' | 'slots'>;

/** Guest-physical address of two registers. Exact up to 2^53; above it stays beyond any RAM. */
export const address = (high: number, low: number): number => high * 2 ** 32 + low;
