/**
 * Reads a virtio block request out of a chain and says what is to be done (virtio 1.2, 5.2.6). Nothing here changes
 * anything.
 */
import { type GuestMemory } from '../../machine/device.ts';
import { type Chain } from './queue-state.ts';
import { SECTOR_BYTES, type BlockRequest } from './block-backend.ts';
import { MAX_RANGE_SECTORS } from './block-configuration.ts';
import { gather, slice, totalLength, type Segment } from './segments.ts';

/** Request types. */
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;
export const VIRTIO_BLK_T_WRITE_ZEROES = 13;

/** Values of the status byte. */
export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;

/** Bytes of `type`, `reserved` and `sector`. */
const HEADER_BYTES = 16;
/** Bytes of `struct virtio_blk_discard_write_zeroes`. */
const RANGE_BYTES = 16;
const RANGE_F_UNMAP = 1;

export interface Disk {
  readonly sectors: number;
  readonly readOnly: boolean;
}

/** What a request asks for: an answer at once, the serial number, or work for the backend. */
export type Work =
  | { readonly do: 'answer'; readonly status: number }
  | { readonly do: 'serial' }
  | { readonly do: 'submit'; readonly request: Omit<BlockRequest, 'id'> };

export interface ParsedRequest {
  /** Address of the status byte: the last writable byte of the chain. */
  readonly statusAddress: number;
  /** What the device may write before the status byte. */
  readonly room: readonly Segment[];
  readonly work: Work;
}

const answer = (status: number): Work => ({ do: 'answer', status });

/** What is asked for, and where: in one piece of memory, as drivers have it, or put together. */
function headerOf(memory: GuestMemory, readable: readonly Segment[]): { type: number; sector: number } {
  const { address, length } = readable[0]!;
  if (length >= HEADER_BYTES) {
    const sector = memory.read32(address + 12) * 2 ** 32 + memory.read32(address + 8);
    return { type: memory.read32(address), sector };
  }
  const header = new DataView(gather(memory, readable, HEADER_BYTES).buffer);
  return { type: header.getUint32(0, true), sector: sectorAt(header, 8) };
}

/** Undefined when the chain has no whole header or no status byte: then there is nothing to answer to. */
export function parseRequest(memory: GuestMemory, chain: Chain, disk: Disk): ParsedRequest | undefined {
  const readable = totalLength(chain.readable);
  const writable = totalLength(chain.writable);
  const last = chain.writable.at(-1);
  if (readable < HEADER_BYTES || last === undefined) return undefined;
  const { type, sector } = headerOf(memory, chain.readable);
  const out = slice(chain.readable, HEADER_BYTES, readable - HEADER_BYTES);
  const room = slice(chain.writable, 0, writable - 1);
  const parsed = (work: Work): ParsedRequest => ({ statusAddress: last.address + last.length - 1, room, work });
  switch (type) {
    case VIRTIO_BLK_T_IN:
      return parsed(transfer('read', sector, room, disk));
    case VIRTIO_BLK_T_OUT:
      return parsed(disk.readOnly ? answer(VIRTIO_BLK_S_IOERR) : transfer('write', sector, out, disk));
    case VIRTIO_BLK_T_FLUSH:
      return parsed(submit('flush', 0, 0));
    case VIRTIO_BLK_T_GET_ID:
      return parsed({ do: 'serial' });
    case VIRTIO_BLK_T_DISCARD:
      return parsed(range('discard', gather(memory, out, RANGE_BYTES + 1), disk));
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return parsed(range('write-zeroes', gather(memory, out, RANGE_BYTES + 1), disk));
    default:
      return parsed(answer(VIRTIO_BLK_S_UNSUPP));
  }
}

function submit(kind: BlockRequest['kind'], sector: number, count: number, more: Partial<BlockRequest> = {}): Work {
  return { do: 'submit', request: { kind, sector, count, segments: [], unmap: false, ...more } };
}

function transfer(kind: 'read' | 'write', sector: number, segments: readonly Segment[], disk: Disk): Work {
  const count = totalLength(segments) / SECTOR_BYTES;
  if (!Number.isInteger(count) || sector + count > disk.sectors) return answer(VIRTIO_BLK_S_IOERR);
  return count === 0 ? answer(VIRTIO_BLK_S_OK) : submit(kind, sector, count, { segments });
}

/** A discard or write-zeroes request of one range, which is as many as the configuration space allows. */
function range(kind: 'discard' | 'write-zeroes', bytes: Uint8Array<ArrayBuffer>, disk: Disk): Work {
  if (disk.readOnly) return answer(kind === 'discard' ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR);
  if (bytes.length !== RANGE_BYTES) return answer(VIRTIO_BLK_S_IOERR);
  const view = new DataView(bytes.buffer);
  const sector = sectorAt(view, 0);
  const count = view.getUint32(8, true);
  const flags = view.getUint32(12, true);
  // Unknown flags, and unmap for a discard, are unsupported (5.2.6.2).
  if ((flags & ~(kind === 'discard' ? 0 : RANGE_F_UNMAP)) !== 0) return answer(VIRTIO_BLK_S_UNSUPP);
  if (count > MAX_RANGE_SECTORS || sector + count > disk.sectors) return answer(VIRTIO_BLK_S_IOERR);
  return count === 0 ? answer(VIRTIO_BLK_S_OK) : submit(kind, sector, count, { unmap: flags === RANGE_F_UNMAP });
}

/** A 64-bit sector number. Above 2^53 it loses its low bits, which keeps it beyond the end of any disk. */
const sectorAt = (view: DataView, offset: number): number =>
  view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);

/**
 * Whether a saved request is one that `parseRequest` could have made on this disk and this much RAM. A snapshot is
 * untrusted.
 */
export function isPossible(request: Omit<BlockRequest, 'id'>, memory: GuestMemory, disk: Disk): boolean {
  const { kind, sector, count, segments } = request;
  const moves = kind === 'read' || kind === 'write';
  const length = moves ? count * SECTOR_BYTES : 0;
  return (
    sector + count <= disk.sectors &&
    (kind === 'flush' ? count === 0 : count > 0) &&
    (moves || count <= MAX_RANGE_SECTORS) &&
    (kind === 'read' || kind === 'flush' || !disk.readOnly) &&
    totalLength(segments) === length &&
    segments.every((segment) => segment.length > 0 && memory.contains(segment.address, segment.length))
  );
}
