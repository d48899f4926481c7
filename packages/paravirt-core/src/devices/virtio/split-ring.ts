/** The split virtqueue (virtio 1.2, section 2.7): a table of descriptors, a ring of chains to take and one of chains given back. */
import { ChainBuilder, DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT } from './chain.ts';
import { LaidOutRing, type Places } from './laid-out-ring.ts';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, isQueueSize, type UsedChain, type Chain } from './queue-state.ts';

const AVAIL_F_NO_INTERRUPT = 1;
const USED_ELEMENT_BYTES = 8;
/** Offset of `ring` in both rings, after `flags` and `idx`. */
const RING_START = 4;

/** Where the parts lie. */
interface SplitPlaces extends Places {
  readonly usedEvent: number;
  readonly availEvent: number;
}

export class SplitRing extends LaidOutRing<SplitPlaces> {
  pop(): Chain | undefined {
    const places = this.places();
    if (places === undefined) return undefined;
    const { memory } = this.parts;
    const state = this.parts.state();
    let ahead = this.ahead(places.driver);
    if (ahead === 0) {
      if (!this.parts.accepted(VIRTIO_F_EVENT_IDX)) return undefined;
      // Asks for a notification, then looks again: the driver may have added a chain before it could see the wish
      // (2.7.10).
      memory.write16(places.availEvent, state.nextAvailable);
      ahead = this.ahead(places.driver);
      if (ahead === 0) return undefined;
    }
    if (ahead > state.size) return this.refuse('index');
    const head = memory.read16(places.driver + RING_START + 2 * (state.nextAvailable & (state.size - 1)));
    const chain = this.walk(places.desc, head);
    if (chain !== undefined) state.nextAvailable = (state.nextAvailable + 1) & 0xffff;
    return chain;
  }

  push({ id }: UsedChain, written: number): void {
    const places = this.places();
    if (places === undefined) return;
    const { memory } = this.parts;
    const state = this.parts.state();
    const element = places.device + RING_START + USED_ELEMENT_BYTES * (state.nextUsed & (state.size - 1));
    memory.write32(element, id);
    memory.write32(element + 4, written);
    state.nextUsed = (state.nextUsed + 1) & 0xffff;
    // The element lies in memory before the index that publishes it.
    memory.write16(places.device + 2, state.nextUsed);
  }

  protected wantsInterrupt(places: SplitPlaces, before: number): boolean {
    const { memory } = this.parts;
    const state = this.parts.state();
    if (!this.parts.accepted(VIRTIO_F_EVENT_IDX)) return (memory.read16(places.driver) & AVAIL_F_NO_INTERRUPT) === 0;
    // One of the entries before .. nextUsed - 1 is the one that used_event names.
    const event = memory.read16(places.usedEvent);
    return ((state.nextUsed - event - 1) & 0xffff) < ((state.nextUsed - before) & 0xffff);
  }

  private ahead(driver: number): number {
    return (this.parts.memory.read16(driver + 2) - this.parts.state().nextAvailable) & 0xffff;
  }

  /** Undefined when the parts cannot be used: alignment and size of 2.7. */
  protected places(): SplitPlaces | undefined {
    const { memory, maxSize } = this.parts;
    const state = this.parts.state();
    const { size } = state;
    const { desc, driver, device } = this.addresses();
    const usedEvent = driver + RING_START + 2 * size;
    const availEvent = device + RING_START + USED_ELEMENT_BYTES * size;
    const aligned = state.descLow % 16 === 0 && state.driverLow % 2 === 0 && state.deviceLow % 4 === 0;
    const inRam =
      memory.contains(desc, DESC_BYTES * size) &&
      memory.contains(driver, usedEvent + 2 - driver) &&
      memory.contains(device, availEvent + 2 - device);
    // A size that was none of a split ring is a restored state's.
    if (!aligned || !inRam || !isQueueSize(size, maxSize, false)) return this.refuse('layout');
    return { desc, driver, device, usedEvent, availEvent };
  }

  private walk(desc: number, head: number): Chain | undefined {
    const { memory, maxSize } = this.parts;
    const builder = new ChainBuilder(memory, maxSize);
    let table = { base: desc, entries: this.parts.state().size, indirect: false };
    let index = head;
    // One more step than a chain may have buffers, for the descriptor that leads to an indirect table.
    for (let step = 0; step <= maxSize; step++) {
      if (index >= table.entries) return this.refuse('index');
      const at = table.base + DESC_BYTES * index;
      const buffer = this.buffer(at);
      const flags = memory.read16(at + 12);
      const next = memory.read16(at + 14);
      if ((flags & DESC_F_INDIRECT) !== 0) {
        // One table, at the end of a chain, of whole descriptors (2.7.5.3.1); WRITE is ignored here (2.7.5.3.2).
        const allowed = !table.indirect && (flags & DESC_F_NEXT) === 0 && this.parts.accepted(VIRTIO_F_INDIRECT_DESC);
        if (!allowed || !this.isTable(buffer)) return this.refuse('indirect');
        table = { base: buffer.address, entries: buffer.length / DESC_BYTES, indirect: true };
        index = 0;
        continue;
      }
      const wrong = builder.add(buffer, flags);
      if (wrong !== undefined) return this.refuse(wrong);
      const { readable, writable } = builder;
      if ((flags & DESC_F_NEXT) === 0) return { id: head, slots: 1, readable, writable };
      index = next;
    }
    return this.refuse('loop');
  }
}
