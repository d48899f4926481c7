/**
 * The packed virtqueue (virtio 1.2, section 2.8): one ring of descriptors that both sides write, and two structures by
 * which each says when it wants to be told.
 *
 * A place in the ring is kept as one number: the offset of a descriptor in bits 0..14, and in bit 15 whether the number of
 * laps so far is odd. The wrap counter of 2.8.1, which starts as 1, is that bit inverted; so a queue starts at 0 in either
 * layout.
 */
import { ChainBuilder, DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE } from './chain.ts';
import { LaidOutRing, type Places } from './laid-out-ring.ts';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_INDIRECT_DESC,
  type QueueState,
  type QueueTrouble,
  type UsedChain,
  type Chain,
} from './queue-state.ts';
import { type Segment } from './segments.ts';

const DESC_F_AVAIL = 1 << 7;
const DESC_F_USED = 1 << 15;

/** Of both event suppression structures (2.8.10): `desc_event_off` with the wrap counter in its top bit, then flags. */
const EVENT_FLAGS = 2;
const EVENT_BYTES = 4;
const RING_EVENT_FLAGS_DISABLE = 1;
const RING_EVENT_FLAGS_DESC = 2;
const RING_EVENT_FLAGS_MASK = 3;

const OFFSET_MASK = 0x7fff;
const LAP = 0x8000;

export class PackedRing extends LaidOutRing<Places> {
  pop(): Chain | undefined {
    const places = this.places();
    if (places === undefined) return undefined;
    const { memory } = this.parts;
    const state = this.parts.state();
    let flags = this.availableFlags(places.desc, state);
    if (flags === undefined && this.parts.accepted(VIRTIO_F_EVENT_IDX)) {
      // Asks to be told of the next one, then looks again: the driver may have added it before it could see the wish.
      memory.write16(places.device, state.nextAvailable ^ LAP);
      memory.write16(places.device + EVENT_FLAGS, RING_EVENT_FLAGS_DESC);
      flags = this.availableFlags(places.desc, state);
    }
    if (flags === undefined) return undefined;
    const chain = this.walk(places.desc, flags);
    if (chain !== undefined) state.nextAvailable = advance(state.nextAvailable, chain.slots, state.size);
    return chain;
  }

  push({ id, slots }: UsedChain, written: number): void {
    const places = this.places();
    if (places === undefined) return;
    const { memory } = this.parts;
    const state = this.parts.state();
    const at = places.desc + DESC_BYTES * (state.nextUsed & OFFSET_MASK);
    const both = isFirstWrap(state.nextUsed) ? DESC_F_AVAIL | DESC_F_USED : 0;
    memory.write32(at + 8, written);
    memory.write16(at + 12, id);
    // The flags publish the rest; WRITE says that the length means something (2.8.3).
    memory.write16(at + 14, both | (written > 0 ? DESC_F_WRITE : 0));
    state.nextUsed = advance(state.nextUsed, Math.min(slots, state.size), state.size);
  }

  protected wantsInterrupt(places: Places, before: number): boolean {
    const { memory } = this.parts;
    const state = this.parts.state();
    const flags = memory.read16(places.driver + EVENT_FLAGS) & RING_EVENT_FLAGS_MASK;
    if (flags === RING_EVENT_FLAGS_DISABLE) return false;
    if (flags !== RING_EVENT_FLAGS_DESC || !this.parts.accepted(VIRTIO_F_EVENT_IDX)) return true;
    const event = memory.read16(places.driver) ^ LAP;
    if ((event & OFFSET_MASK) >= state.size) {
      this.parts.fail('index');
      return false;
    }
    // Whether the descriptor that the driver named is one of those from `before` on that have been used.
    const span = 2 * state.size;
    const distance = (from: number, to: number): number =>
      (lapped(to, state.size) - lapped(from, state.size) + span) % span;
    return distance(before, event) < distance(before, state.nextUsed);
  }

  /** Undefined when the parts cannot be used: alignment of 2.8.10.1, and what a restored state may say. */
  protected places(): Places | undefined {
    const { memory } = this.parts;
    const state = this.parts.state();
    const { desc, driver, device } = this.addresses();
    const aligned = state.descLow % 16 === 0 && state.driverLow % 4 === 0 && state.deviceLow % 4 === 0;
    const inRam =
      memory.contains(desc, DESC_BYTES * state.size) &&
      memory.contains(driver, EVENT_BYTES) &&
      memory.contains(device, EVENT_BYTES);
    const inRing =
      (state.nextAvailable & OFFSET_MASK) < state.size &&
      (state.nextUsed & OFFSET_MASK) < state.size &&
      (state.signalledUsed & OFFSET_MASK) < state.size;
    return aligned && inRam && inRing ? { desc, driver, device } : this.refuse('layout');
  }

  /** Flags of the next descriptor, if it is available: AVAIL is the wrap counter and USED is not (2.8.1). */
  private availableFlags(desc: number, { nextAvailable }: QueueState): number | undefined {
    const flags = this.parts.memory.read16(desc + DESC_BYTES * (nextAvailable & OFFSET_MASK) + 14);
    const expected = isFirstWrap(nextAvailable) ? DESC_F_AVAIL : DESC_F_USED;
    return (flags & (DESC_F_AVAIL | DESC_F_USED)) === expected ? flags : undefined;
  }

  /** The chain that starts at the next descriptor, whose flags were read. The driver made all of it available at once (2.8.6). */
  private walk(desc: number, firstFlags: number): Chain | undefined {
    const { memory, maxSize } = this.parts;
    const { size, nextAvailable } = this.parts.state();
    const builder = new ChainBuilder(memory, maxSize);
    const { readable, writable } = builder;
    for (let slots = 1; slots <= size; slots++) {
      const at = desc + DESC_BYTES * (((nextAvailable & OFFSET_MASK) + slots - 1) % size);
      const buffer = this.buffer(at);
      const id = memory.read16(at + 12);
      const flags = slots === 1 ? firstFlags : memory.read16(at + 14);
      if ((flags & DESC_F_INDIRECT) !== 0) {
        // A table stands for a whole chain (2.8.7: INDIRECT never together with NEXT, nor at the end of a list).
        const wrong = slots > 1 || (flags & DESC_F_NEXT) !== 0 ? 'indirect' : this.walkTable(buffer, builder);
        return wrong === undefined ? { id, slots, readable, writable } : this.refuse(wrong);
      }
      const wrong = builder.add(buffer, flags);
      if (wrong !== undefined) return this.refuse(wrong);
      if ((flags & DESC_F_NEXT) === 0) return { id, slots, readable, writable };
    }
    return this.refuse('loop');
  }

  /** An indirect table: descriptors in a row, of whose flags WRITE alone has a meaning (2.8.7). */
  private walkTable(table: Segment, builder: ChainBuilder): QueueTrouble | undefined {
    const { memory, maxSize } = this.parts;
    const { address: base, length: bytes } = table;
    if (!this.isTable(table) || !this.parts.accepted(VIRTIO_F_INDIRECT_DESC)) return 'indirect';
    if (bytes / DESC_BYTES > maxSize) return 'loop';
    for (let at = base; at < base + bytes; at += DESC_BYTES) {
      const flags = memory.read16(at + 14);
      if ((flags & DESC_F_INDIRECT) !== 0) return 'indirect';
      const wrong = builder.add(this.buffer(at), flags);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
}

/** Whether the wrap counter is 1 at a place. */
const isFirstWrap = (position: number): boolean => (position & LAP) === 0;

/** A place counted over two laps. */
const lapped = (position: number, size: number): number =>
  (position & OFFSET_MASK) + (isFirstWrap(position) ? 0 : size);

/** The place `slots` (at most `size`) further on. */
function advance(position: number, slots: number, size: number): number {
  const offset = (position & OFFSET_MASK) + slots;
  return offset < size ? (position & LAP) | offset : ((position & LAP) ^ LAP) | (offset - size);
}
