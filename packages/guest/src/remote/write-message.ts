/**
 * A write with its bytes where they lie in the message that is sent: they are copied out of guest memory once, kept until they are
 * flushed, and sent again out of the same place. On the wire it is a `TransferRequest` as any other (protobuf's wire format: fields may
 * come in any order, and two messages put together are one).
 */

/** For what stands before the bytes: about 75, of which the lease's id takes 38. */
const ROOM_BYTES = 256;
/** `TransferRequest.write`, `WriteBlocks.offset` and `.data`: field number and wire type. */
const WRITE_TAG = (5 << 3) | 2,
  OFFSET_TAG = 1 << 3,
  DATA_TAG = (2 << 3) | 2;

export class WriteMessage {
  readonly offset: number;
  readonly data: Uint8Array;
  private readonly whole: Buffer;

  /** Copies `from`, which may be shared memory. */
  constructor(offset: number, from: Uint8Array) {
    this.offset = offset;
    this.whole = Buffer.allocUnsafeSlow(ROOM_BYTES + from.length);
    this.data = this.whole.subarray(ROOM_BYTES);
    this.data.set(from);
  }
  /** The message, good until the next call. `head`: a `TransferRequest` with everything but the write. */
  encoded(head: Uint8Array): Buffer {
    const inner = [OFFSET_TAG, ...varint(this.offset), DATA_TAG, ...varint(this.data.length)];
    const before = [...head, WRITE_TAG, ...varint(inner.length + this.data.length), ...inner];
    if (before.length > ROOM_BYTES) return Buffer.concat([Buffer.from(before), this.data]);
    const from = ROOM_BYTES - before.length;
    this.whole.set(before, from);
    return this.whole.subarray(from);
  }
}

/** Base 128, least significant first; whole numbers below 2^53. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return bytes;
}
