/**
 * A piece of a read with its bytes where they lie in the message that is sent: the disk is read into the message. On the wire it is a
 * `TransferResponse` as any other. The buffers are used again, since a garbage collector that has to count megabytes of them by the
 * millisecond costs more than all the rest.
 */
import { DisksService, type Init, type TransferResponse } from '@tomei/contracts';

/** Field numbers and wire types of `TransferResponse`; with their values they take no more than 15 bytes. */
const ID_TAG = 1 << 3,
  DATA_TAG = (3 << 3) | 2,
  MORE_TAG = 4 << 3;
const ROOM_BYTES = 32;
/** Buffers that wait to be used again. */
const KEPT_BYTES = 8 << 20;

/** Buffers by their size; sizes are powers of two, so that they fit again. */
export class PiecePool {
  private readonly free = new Map<number, Buffer[]>();
  private kept = 0;

  take(length: number): Buffer {
    const size = 2 ** Math.ceil(Math.log2(Math.max(length, 512)));
    const buffer = this.free.get(size)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(ROOM_BYTES + size);
    this.kept -= size;
    return buffer;
  }
  give(buffer: Buffer): void {
    const size = buffer.length - ROOM_BYTES;
    if (this.kept + size > KEPT_BYTES) return;
    this.kept += size;
    const list = this.free.get(size);
    if (list === undefined) this.free.set(size, [buffer]);
    else list.push(buffer);
  }
}

export class ReadPiece {
  /** What the disk is read into. All of it must be filled before the piece is sent: it has what another read left. */
  readonly data: Uint8Array;
  private readonly pool: PiecePool;
  private readonly whole: Buffer;

  constructor(pool: PiecePool, length: number) {
    this.pool = pool;
    this.whole = pool.take(length);
    this.data = this.whole.subarray(ROOM_BYTES, ROOM_BYTES + length);
  }
  /** The message, good until the next piece is made. Once only. */
  encoded(id: number, more: boolean): Buffer {
    const head = [ID_TAG, ...varint(id), ...(more ? [MORE_TAG, 1] : []), DATA_TAG, ...varint(this.data.length)];
    const from = ROOM_BYTES - head.length;
    this.whole.set(head, from);
    this.pool.give(this.whole);
    return this.whole.subarray(from, ROOM_BYTES + this.data.length);
  }
}

/** A response, or a piece of a read. */
export type Outgoing = Init<TransferResponse> & { readonly piece?: ReadPiece };
/**
 * The service as it is served. grpc-js copies what is serialized behind a header of its own before it does anything else, which is why a
 * piece may give its buffer back then (`serializeMessage` in its server-interceptors).
 */
export const SERVED_DISKS = {
  ...DisksService,
  transfer: {
    ...DisksService.transfer,
    responseSerialize: (value: Outgoing): Buffer =>
      value.piece?.encoded(value.id ?? 0, value.more ?? false) ?? DisksService.transfer.responseSerialize(value),
  },
};

/** Base 128, least significant first; 32 bits. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left >>> 7 === 0) return [...bytes, left];
    bytes.push((left & 0x7f) | 0x80);
  }
}
