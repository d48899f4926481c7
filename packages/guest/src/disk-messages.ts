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
  const bytes = new Uint8Array(HEAD_BYTES + request.segments.length * SEGMENT_BYTES),
    data = new DataView(bytes.buffer);
  data.setUint32(0, request.id, true);
  data.setUint8(4, request.disk);
  data.setUint8(5, KINDS.indexOf(request.kind));
  data.setUint8(6, request.unmap ? 1 : 0);
  data.setFloat64(8, request.sector, true);
  data.setFloat64(16, request.count, true);
  request.segments.forEach((segment, i) => {
    data.setFloat64(HEAD_BYTES + i * SEGMENT_BYTES, segment.address, true);
    data.setUint32(HEAD_BYTES + i * SEGMENT_BYTES + 8, segment.length, true);
  });
  return bytes;
}
export function decodeRequest(bytes: Uint8Array): DiskRequest {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = Array.from({ length: (bytes.length - HEAD_BYTES) / SEGMENT_BYTES }, (_, i) => ({
    address: data.getFloat64(HEAD_BYTES + i * SEGMENT_BYTES, true),
    length: data.getUint32(HEAD_BYTES + i * SEGMENT_BYTES + 8, true),
  }));
  return {
    id: data.getUint32(0, true),
    disk: data.getUint8(4),
    kind: KINDS[data.getUint8(5)]!,
    unmap: data.getUint8(6) === 1,
    sector: data.getFloat64(8, true),
    count: data.getFloat64(16, true),
    segments,
  };
}
export function encodeCompletion({ disk, id, ok }: DiskCompletion): Uint8Array {
  const bytes = new Uint8Array(COMPLETION_BYTES),
    data = new DataView(bytes.buffer);
  data.setUint32(0, id, true);
  data.setUint8(4, disk);
  data.setUint8(5, ok ? 1 : 0);
  return bytes;
}
export function decodeCompletion(bytes: Uint8Array): DiskCompletion {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { id: data.getUint32(0, true), disk: data.getUint8(4), ok: data.getUint8(5) === 1 };
}
