/**
 * Scatter-gather over guest memory: a virtio buffer is a list of ranges, and a device may not assume how it was cut
 * (virtio 1.2, 2.7.4.1).
 */
import { type GuestMemory } from '../../machine/device.ts';

/**
 * Bytes of RAM `address .. address + length - 1`, guest-physical. Never empty, always inside RAM once it came out of a
 * queue.
 */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** Bytes in all of `segments`. */
export function totalLength(segments: readonly Segment[]): number {
  let total = 0;
  for (const segment of segments) total += segment.length;
  return total;
}

/** The part `offset .. offset + length - 1` of the bytes that `segments` make up; cut short where they end. */
export function slice(segments: readonly Segment[], offset: number, length: number): Segment[] {
  const part: Segment[] = [];
  let skip = offset;
  let left = length;
  for (const segment of segments) {
    if (left === 0) break;
    if (skip >= segment.length) {
      skip -= segment.length;
      continue;
    }
    const taken = Math.min(segment.length - skip, left);
    part.push({ address: segment.address + skip, length: taken });
    skip = 0;
    left -= taken;
  }
  return part;
}

/** Copies the first `length` bytes out of guest memory; shorter where the segments end. */
export function gather(memory: GuestMemory, segments: readonly Segment[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.min(length, totalLength(segments)));
  gatherInto(memory, segments, 0, bytes);
  return bytes;
}
/** Copies bytes out of guest memory, from `offset` of what the segments make up on, until `into` is full or they end. */
export function gatherInto(memory: GuestMemory, segments: readonly Segment[], offset: number, into: Uint8Array): void {
  let skip = offset,
    at = 0;
  for (const { address, length } of segments) {
    if (at === into.length) return;
    const taken = Math.min(length - skip, into.length - at);
    if (taken > 0)
      memory.read(address + skip, at === 0 && taken === into.length ? into : into.subarray(at, at + taken));
    if (taken > 0) at += taken;
    skip = Math.max(0, skip - length);
  }
}

/** Copies `bytes` into guest memory, from `offset` of what the segments make up on. Returns how many found room. */
export function scatter(memory: GuestMemory, segments: readonly Segment[], bytes: Uint8Array, offset = 0): number {
  let skip = offset,
    at = 0;
  for (const { address, length } of segments) {
    if (at === bytes.length) break;
    const taken = Math.min(length - skip, bytes.length - at);
    if (taken > 0) memory.write(address + skip, taken === bytes.length ? bytes : bytes.subarray(at, at + taken));
    if (taken > 0) at += taken;
    skip = Math.max(0, skip - length);
  }
  return at;
}
