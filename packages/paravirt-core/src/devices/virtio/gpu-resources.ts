/**
 * Resources of the virtio GPU (OASIS virtio 1.2, 5.7.6.8): images in memory of the device, filled out of guest memory on command.
 * Each has a place of its own in that memory, found by first fit.
 */
import { list, nested, pod, u16, u32, u8, whole, type StateOf } from '@tomei/kit';
import type { GuestMemory } from '../../machine/device.ts';
import { FORMATS, type Rectangle } from './gpu-protocol.ts';
import type { Segment } from './segments.ts';

const DOT_BYTES = 4;
/** A resource starts at a page, so that pages of a snapshot hold one each. */
const ALIGNMENT = 4096;
const MOST_RESOURCES = 256;
/** Dots in either direction. */
export const MOST_SIDE = 16_384;
/** Stretches of guest memory behind one resource, and behind all: each costs the host memory. */
export const MOST_ENTRIES = 16_384;
const MOST_ENTRIES_IN_ALL = 65_536;

const resource = pod({
  id: u32(),
  format: u8(),
  width: u16(),
  height: u16(),
  /** From the start of the device's memory. */
  at: whole(),
  backing: list(MOST_ENTRIES, nested(pod({ address: whole(), length: u32() }))),
});
export type Resource = StateOf<typeof resource>;
/** As part of the device's state, by place. */
export const resourceList = list(MOST_RESOURCES, nested(resource));

export const bytesOf = ({ width, height }: Pick<Resource, 'width' | 'height'>): number => width * height * DOT_BYTES;
export const strideOf = ({ width }: Pick<Resource, 'width'>): number => width * DOT_BYTES;
export const contains = ({ width, height }: Resource, r: Rectangle): boolean =>
  r.width > 0 && r.height > 0 && r.x + r.width <= width && r.y + r.height <= height;

/** A place for so many bytes between resources that are sorted by place; undefined when there is none. */
function placeFor(resources: readonly Resource[], bytes: number, room: number): number | undefined {
  let at = 0;
  for (const taken of resources) {
    if (at + bytes <= taken.at) break;
    at = Math.ceil((taken.at + bytesOf(taken)) / ALIGNMENT) * ALIGNMENT;
  }
  return at + bytes <= room ? at : undefined;
}

/** Adds a black one without backing. False when there is no room. */
export function createResource(
  resources: Resource[],
  made: Pick<Resource, 'id' | 'format' | 'width' | 'height'>,
  memory: Uint8Array,
): boolean {
  const at = resources.length === MOST_RESOURCES ? undefined : placeFor(resources, bytesOf(made), memory.length);
  if (at === undefined) return false;
  memory.fill(0, at, at + bytesOf(made));
  const before = resources.findLastIndex((other) => other.at < at);
  resources.splice(before + 1, 0, { ...made, at, backing: [] });
  return true;
}

/** Whether so many entries may lie behind one more resource. */
export const mayAttach = (resources: readonly Resource[], entries: number): boolean =>
  entries <= MOST_ENTRIES &&
  resources.reduce((sum, { backing }) => sum + backing.length, entries) <= MOST_ENTRIES_IN_ALL;

/**
 * Copies a rectangle, which lies inside, out of the backing, whose byte `offset` is the rectangle's first and which has rows like the
 * resource. What the backing does not have stays as it is. Returns how many bytes that may have been.
 */
export function transfer(
  { width, at, backing }: Resource,
  rectangle: Rectangle,
  offset: number,
  { guest, memory }: { readonly guest: GuestMemory; readonly memory: Uint8Array },
): number {
  const stride = width * DOT_BYTES;
  const reader = new BackingReader(guest, backing);
  const isWhole = rectangle.width === width;
  const rows = isWhole ? 1 : rectangle.height;
  const length = rectangle.width * DOT_BYTES * (isWhole ? rectangle.height : 1);
  for (let row = 0; row < rows; row++) {
    const to = at + (rectangle.y + row) * stride + rectangle.x * DOT_BYTES;
    reader.read(offset + row * stride, memory.subarray(to, to + length));
  }
  return rows * length;
}

/** Reads stretches of a backing at ascending offsets, without looking for each from the start. */
class BackingReader {
  private readonly guest: GuestMemory;
  private readonly backing: readonly Segment[];
  private index = 0;
  /** Where the segment of that index starts. */
  private start = 0;

  constructor(guest: GuestMemory, backing: readonly Segment[]) {
    this.guest = guest;
    this.backing = backing;
  }
  read(offset: number, into: Uint8Array): void {
    while (this.index < this.backing.length && this.start + this.backing[this.index]!.length <= offset)
      this.start += this.backing[this.index++]!.length;
    let done = 0;
    let start = this.start;
    for (let i = this.index; done < into.length && i < this.backing.length; i++) {
      const { address, length } = this.backing[i]!;
      const skip = offset + done - start;
      const count = Math.min(length - skip, into.length - done);
      this.guest.read(address + skip, into.subarray(done, done + count));
      done += count;
      start += length;
    }
  }
}

/** Whether these can have come to be, with this much memory. A snapshot is untrusted. */
export function areResources(resources: readonly Resource[], guest: GuestMemory, room: number): boolean {
  let free = 0;
  const ids = new Set<number>();
  for (const { id, format, width, height, at, backing } of resources) {
    const isWhole = id !== 0 && !ids.has(id) && FORMATS.has(format) && width > 0 && height > 0;
    const isPlaced = at >= free && at % ALIGNMENT === 0 && at + bytesOf({ width, height }) <= room;
    const isBacked = backing.every(({ address, length }) => length > 0 && guest.contains(address, length));
    if (!isWhole || !isPlaced || !isBacked || width > MOST_SIDE || height > MOST_SIDE) return false;
    ids.add(id);
    free = at + bytesOf({ width, height });
  }
  return mayAttach(resources, 0);
}
