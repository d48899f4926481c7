/** The driver's side of a virtqueue, for tests: split (virtio 1.2, 2.7) and packed (2.8). */
import { assert } from '@tomei/kit';
import { type GuestMemory } from '../../machine/device.ts';

export const DESC_NEXT = 1;
export const DESC_WRITE = 2;
export const DESC_INDIRECT = 4;
const DESC_AVAIL = 1 << 7;
const DESC_USED = 1 << 15;
const DESC_BYTES = 16;

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
export interface GuestQueue {
  readonly size: number;
  /** The three parts, and where the last of them ends. */
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  readonly end: number;
  add(buffers: readonly Buffer[], indirectAt?: number): number;
  collect(): Used[];
}

/** A descriptor of either layout: `third` and `fourth` are what follows address and length. */
function writeDescriptor(memory: GuestMemory, at: number, buffer: Buffer, third: number, fourth: number): void {
  memory.write32(at, buffer.address >>> 0);
  memory.write32(at + 4, Math.floor(buffer.address / 2 ** 32));
  memory.write32(at + 8, buffer.length);
  memory.write16(at + 12, third);
  memory.write16(at + 14, fourth);
}
const writeFlag = (buffer: Buffer): number => (buffer.writable === true ? DESC_WRITE : 0);

export class SplitGuestQueue implements GuestQueue {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  readonly end: number;
  private readonly memory: GuestMemory;
  private readonly free: number[];
  private readonly chains = new Map<number, number[]>();
  private availIndex = 0;
  private usedIndex = 0;

  constructor(memory: GuestMemory, size: number, at: number) {
    this.memory = memory;
    this.size = size;
    this.desc = at;
    this.driver = at + DESC_BYTES * size;
    this.device = (this.driver + 6 + 2 * size + 3) & ~3;
    this.end = this.device + 6 + 8 * size;
    this.free = Array.from({ length: size }, (_, i) => size - 1 - i);
  }

  describe(table: number, index: number, buffer: Buffer, flags: number, next: number): void {
    writeDescriptor(this.memory, table + DESC_BYTES * index, buffer, flags | writeFlag(buffer), next);
  }

  /** Adds a chain and makes it available; with `indirectAt` its descriptors go into a table there. Returns the head. */
  add(buffers: readonly Buffer[], indirectAt?: number): number {
    const direct = indirectAt === undefined;
    const indexes = this.free.splice(-(direct ? buffers.length : 1));
    const table = indirectAt ?? this.desc;
    const place = direct ? indexes : buffers.map((_, i) => i);
    buffers.forEach((buffer, i) => {
      const more = i + 1 < buffers.length;
      this.describe(table, place[i]!, buffer, more ? DESC_NEXT : 0, more ? place[i + 1]! : 0);
    });
    const head = indexes[0]!;
    if (!direct) {
      this.describe(this.desc, head, { address: table, length: DESC_BYTES * buffers.length }, DESC_INDIRECT, 0);
    }
    this.chains.set(head, indexes);
    this.expose(head);
    return head;
  }

  /** Writes `head` into the available ring, whatever it is. */
  expose(head: number): void {
    this.memory.write16(this.driver + 4 + 2 * (this.availIndex % this.size), head);
    this.availIndex = (this.availIndex + 1) & 0xffff;
    this.memory.write16(this.driver + 2, this.availIndex);
  }

  collect(): Used[] {
    const { memory } = this;
    const used: Used[] = [];
    for (; this.usedIndex !== memory.read16(this.device + 2); this.usedIndex = (this.usedIndex + 1) & 0xffff) {
      const at = this.device + 4 + 8 * (this.usedIndex % this.size);
      const id = memory.read32(at);
      used.push({ id, length: memory.read32(at + 4) });
      this.free.push(...(this.chains.get(id) ?? []));
      this.chains.delete(id);
    }
    return used;
  }

  /** Asks for an interrupt when the used index passes `index` (2.7.7). */
  set usedEvent(index: number) {
    this.memory.write16(this.driver + 4 + 2 * this.size, index);
  }
  get availEvent(): number {
    return this.memory.read16(this.device + 4 + 8 * this.size);
  }
}

/** A place in a packed ring. */
interface Place {
  index: number;
  wrap: boolean;
}

export class PackedGuestQueue implements GuestQueue {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  readonly end: number;
  private readonly memory: GuestMemory;
  private readonly freeIds: number[];
  private free: number;
  /** Descriptors of each chain, by buffer ID. */
  private readonly chains = new Map<number, number>();
  private readonly next: Place = { index: 0, wrap: true };
  private readonly nextUsed: Place = { index: 0, wrap: true };

  constructor(memory: GuestMemory, size: number, at: number) {
    this.memory = memory;
    this.size = size;
    this.free = size;
    this.desc = at;
    this.driver = at + DESC_BYTES * size;
    this.device = this.driver + 4;
    this.end = this.device + 4;
    // Any numbers will do; these are not indexes of anything.
    this.freeIds = Array.from({ length: size }, (_, i) => 0xffff - 7 * i);
  }

  add(buffers: readonly Buffer[], indirectAt?: number): number {
    const { memory } = this;
    const id = this.freeIds.pop()!;
    const list: readonly Buffer[] =
      indirectAt === undefined ? buffers : [{ address: indirectAt, length: DESC_BYTES * buffers.length }];
    assert(list.length <= this.free, 'the ring has room');
    if (indirectAt !== undefined) {
      buffers.forEach((buffer, i) => {
        writeDescriptor(memory, indirectAt + DESC_BYTES * i, buffer, 0, writeFlag(buffer));
      });
    }
    const places = list.map(() => {
      const place = { ...this.next };
      this.advance(this.next, 1);
      return place;
    });
    // The first becomes available last (2.8.6).
    for (let i = list.length - 1; i >= 0; i--) {
      const { index, wrap } = places[i]!;
      const kind = indirectAt === undefined ? writeFlag(list[i]!) : DESC_INDIRECT;
      const flags = kind | (i + 1 < list.length ? DESC_NEXT : 0) | (wrap ? DESC_AVAIL : DESC_USED);
      writeDescriptor(memory, this.desc + DESC_BYTES * index, list[i]!, id, flags);
    }
    this.chains.set(id, list.length);
    this.free -= list.length;
    return id;
  }

  /** Makes whatever it is available. */
  exposeRaw(buffer: Buffer, id: number, flags: number): void {
    const { index, wrap } = this.next;
    const available = wrap ? DESC_AVAIL : DESC_USED;
    writeDescriptor(this.memory, this.desc + DESC_BYTES * index, buffer, id, flags | writeFlag(buffer) | available);
    this.advance(this.next, 1);
  }

  collect(): Used[] {
    const { memory } = this;
    const used: Used[] = [];
    for (;;) {
      const at = this.desc + DESC_BYTES * this.nextUsed.index;
      const flags = memory.read16(at + 14) & (DESC_AVAIL | DESC_USED);
      if (flags !== (this.nextUsed.wrap ? DESC_AVAIL | DESC_USED : 0)) return used;
      const id = memory.read16(at + 12);
      const slots = this.chains.get(id);
      if (slots === undefined) return used;
      used.push({ id, length: memory.read32(at + 8) });
      this.chains.delete(id);
      this.freeIds.push(id);
      this.free += slots;
      this.advance(this.nextUsed, slots);
    }
  }

  /** Wants interrupts always (0), never (1), or with event indexes when the descriptor `place` has been used (2). */
  wantInterrupts(flags: 0 | 1 | 2, place: Place = { index: 0, wrap: true }): void {
    this.memory.write16(this.driver, place.index | (place.wrap ? 0x8000 : 0));
    this.memory.write16(this.driver + 2, flags);
  }
  /** What the device wants to be told of. */
  get deviceEvent(): { index: number; wrap: boolean; flags: number } {
    const place = this.memory.read16(this.device);
    return { index: place & 0x7fff, wrap: (place & 0x8000) !== 0, flags: this.memory.read16(this.device + 2) };
  }
  /** Where the next used descriptor will be looked for. */
  get usedPlace(): Place {
    return { ...this.nextUsed };
  }

  private advance(place: Place, by: number): void {
    place.index += by;
    if (place.index < this.size) return;
    place.index -= this.size;
    place.wrap = !place.wrap;
  }
}
