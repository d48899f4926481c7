/** Disk requests and completions as messages in a ring: little-endian, fixed head, then segments. */
import type { BlockRequest, BlockRequestKind } from '@tomei/paravirt-core';

const KINDS: readonly BlockRequestKind[] = ['read', 'write', 'flush', 'discard', 'write-zeroes'];
const HEAD_BYTES = 32,
  SEGMENT_BYTES = 16,
  COMPLETION_BYTES = 6;

/** A request for the disk with this number. */
export interface DiskRequest extends BlockRequest {
  readonly disk: number;
}
export interface DiskCompletion {
  readonly disk: number;
  readonly id: number;
  readonly ok: boolean;
}

export function encodeRequest(request: DiskRequest): Uint8Array {
  const { segments } = request,
    bytes = new Uint8Array(HEAD_BYTES + segments.length * SEGMENT_BYTES);
  putU32(bytes, 0, request.id);
  bytes[4] = request.disk;
  bytes[5] = KINDS.indexOf(request.kind);
  bytes[6] = request.unmap ? 1 : 0;
  putWhole(bytes, 8, request.sector);
  putWhole(bytes, 16, request.count);
  let at = HEAD_BYTES;
  for (const { address, length } of segments) {
    putWhole(bytes, at, address);
    putU32(bytes, at + 8, length);
    at += SEGMENT_BYTES;
  }
  return bytes;
}
export function decodeRequest(bytes: Uint8Array): DiskRequest {
  const segments: { address: number; length: number }[] = [];
  for (let at = HEAD_BYTES; at + SEGMENT_BYTES <= bytes.length; at += SEGMENT_BYTES)
    segments.push({ address: wholeAt(bytes, at), length: u32At(bytes, at + 8) });
  return {
    id: u32At(bytes, 0),
    disk: bytes[4]!,
    kind: KINDS[bytes[5]!]!,
    unmap: bytes[6] === 1,
    sector: wholeAt(bytes, 8),
    count: wholeAt(bytes, 16),
    segments,
  };
}
export function encodeCompletion({ disk, id, ok }: DiskCompletion): Uint8Array {
  const bytes = new Uint8Array(COMPLETION_BYTES);
  putU32(bytes, 0, id);
  bytes[4] = disk;
  bytes[5] = ok ? 1 : 0;
  return bytes;
}
export function decodeCompletion(bytes: Uint8Array): DiskCompletion {
  return { id: u32At(bytes, 0), disk: bytes[4]!, ok: bytes[5] === 1 };
}

// By bytes: a view of an array this small costs more than all that is read through it.
function putU32(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = value >>> (8 * i);
}
/** A whole number up to 2^53, in eight bytes; what is none becomes one that is beyond everything. */
function putWhole(bytes: Uint8Array, at: number, value: number): void {
  const isWhole = Number.isSafeInteger(value) && value >= 0;
  putU32(bytes, at, isWhole ? value % 2 ** 32 : 0xffff_ffff);
  putU32(bytes, at + 4, isWhole ? Math.floor(value / 2 ** 32) : 0xffff_ffff);
}
const u32At = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
const wholeAt = (bytes: Uint8Array, at: number): number => u32At(bytes, at + 4) * 2 ** 32 + u32At(bytes, at);
