/** Descriptors on their way to a chain of buffers, with the rules that hold for both layouts of a virtqueue. */
import { type GuestMemory } from '../../machine/device.ts';
import { type QueueTrouble } from './queue-state.ts';
import { type Segment } from './segments.ts';

/** Bytes of a descriptor, in either layout. */
export const DESC_BYTES = 16;
export const DESC_F_NEXT = 1;
export const DESC_F_WRITE = 2;
export const DESC_F_INDIRECT = 4;

/** A chain may describe at most this many bytes (virtio 1.2, 2.7.5.2, 2.8.5.1: drivers MUST NOT add a longer one). */
const CHAIN_MAX_BYTES = 2 ** 32;

/** Collects the buffers of one chain. */
export class ChainBuilder {
  readonly readable: Segment[] = [];
  readonly writable: Segment[] = [];
  private readonly memory: GuestMemory;
  private readonly most: number;
  private total = 0;
  private writing = false;

  /** `most`: buffers that a chain may have. */
  constructor(memory: GuestMemory, most: number) {
    this.memory = memory;
    this.most = most;
  }

  /** Adds a buffer, unless it is empty. Returns what is wrong with it. */
  add({ address, length }: Segment, flags: number): QueueTrouble | undefined {
    if ((flags & DESC_F_WRITE) !== 0) this.writing = true;
    else if (this.writing) return 'order';
    if (length === 0) return undefined;
    if (!this.memory.contains(address, length)) return 'buffer';
    this.total += length;
    if (this.total > CHAIN_MAX_BYTES || this.readable.length + this.writable.length === this.most) return 'loop';
    (this.writing ? this.writable : this.readable).push({ address, length });
    return undefined;
  }
}
