/**
 * A virtqueue, device side (OASIS virtio 1.2, sections 2.6 to 2.8), in whichever of its two layouts was negotiated. Rings
 * and descriptors lie in guest memory and are hostile: every index, address and length is checked where it is read, and
 * each field is read once, so that a guest that changes a descriptor meanwhile changes nothing that was already checked.
 * A ring that breaks a rule is marked faulty and is not touched again until a reset; nothing here throws or loops longer
 * than the queue is large.
 */
import { PackedRing } from './packed-ring.ts';
import {
  VIRTIO_F_RING_PACKED,
  type QueueParts,
  type QueueState,
  type QueueTrouble,
  type Ring,
  type UsedChain,
  type Chain,
} from './queue-state.ts';
import { SplitRing } from './split-ring.ts';

export class Virtqueue {
  private readonly parts: QueueParts;
  private readonly split: SplitRing;
  private readonly packed: PackedRing;

  constructor(parts: QueueParts) {
    this.parts = parts;
    const ring = { ...parts, fail: (fault: QueueTrouble) => this.fail(fault) };
    this.split = new SplitRing(ring);
    this.packed = new PackedRing(ring);
  }

  get maxSize(): number {
    return this.parts.maxSize;
  }
  get state(): QueueState {
    return this.parts.state();
  }
  /** Whether the driver may use the queue, and it is whole. */
  get isUsable(): boolean {
    return this.state.enabled && this.state.fault === 'none';
  }

  /** Stops the queue until a reset and tells the transport. The first fault is kept. */
  fail(fault: QueueTrouble): void {
    const { state } = this;
    if (state.fault !== 'none') return;
    state.fault = fault;
    this.parts.broken(fault);
  }

  /** Takes the next available chain; undefined when there is none or when the queue is, or just became, faulty. */
  pop(): Chain | undefined {
    return this.isUsable ? this.ring().pop() : undefined;
  }

  /** Gives back chains whose contents say nothing, at most as many as can be outstanding; whether there may be more. */
  giveBack(): boolean {
    for (let budget = this.state.size; budget > 0; budget--) {
      const chain = this.pop();
      if (chain === undefined) return false;
      this.push(chain, 0);
    }
    return true;
  }

  /**
   * Gives a chain back. `written` counts the bytes written without a gap from the start of its first writable segment.
   */
  push(chain: UsedChain, written: number): void {
    if (this.isUsable) this.ring().push(chain, Math.min(written, 0xffff_ffff));
  }

  /** Whether the driver wants an interrupt for what was pushed since the last call (2.7.7, 2.8.14). */
  takeInterrupt(): boolean {
    return this.isUsable && this.ring().takeInterrupt();
  }

  private ring(): Ring {
    return this.parts.accepted(VIRTIO_F_RING_PACKED) ? this.packed : this.split;
  }
}
