/** Packets of a vsock device (OASIS virtio 1.2, 5.10.6): a header, little-endian, and data. */

export const VSOCK_HEADER_BYTES = 44;
/** Of `length` in the header. */
export const VSOCK_LENGTH_OFFSET = 24;
/** The most data of a packet that drivers send. */
export const MOST_VSOCK_DATA = 64 * 1024;

/** The host (5.10.4). */
export const HOST_CID = 2;
/** Context identifiers below are reserved, and so is the highest. */
export const LEAST_GUEST_CID = 3;
export const MOST_GUEST_CID = 0xffff_fffe;

export const VSOCK_TYPE_STREAM = 1;
/** Operations (5.10.6). */
export const VSOCK_OP = {
  request: 1,
  response: 2,
  rst: 3,
  shutdown: 4,
  rw: 5,
  creditUpdate: 6,
  creditRequest: 7,
} as const;
/** Hints of a shutdown: the sender receives no more, sends no more. */
export const SHUTDOWN_RECEIVE = 1;
export const SHUTDOWN_SEND = 2;

export interface VsockHeader {
  /** Context identifiers; those above 2^53 lose their last bits, and are nobody's. */
  readonly sourceCid: number;
  readonly targetCid: number;
  readonly sourcePort: number;
  readonly targetPort: number;
  /** Bytes of data behind the header. */
  readonly length: number;
  readonly type: number;
  readonly op: number;
  readonly flags: number;
  /** The sender's room for this connection in all, and how many bytes it has passed on of it (5.10.6.3). */
  readonly bufAlloc: number;
  readonly fwdCnt: number;
}

/** The header of a packet of at least `VSOCK_HEADER_BYTES`. */
export function decodeVsockHeader(packet: Uint8Array): VsockHeader {
  const data = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  return {
    sourceCid: Number(data.getBigUint64(0, true)),
    targetCid: Number(data.getBigUint64(8, true)),
    sourcePort: data.getUint32(16, true),
    targetPort: data.getUint32(20, true),
    length: data.getUint32(VSOCK_LENGTH_OFFSET, true),
    type: data.getUint16(28, true),
    op: data.getUint16(30, true),
    flags: data.getUint32(32, true),
    bufAlloc: data.getUint32(36, true),
    fwdCnt: data.getUint32(40, true),
  };
}
/** A packet with this data; the header's length is that of the data. */
export function encodeVsockPacket(header: Omit<VsockHeader, 'length'>, body: Uint8Array = NOTHING): Uint8Array {
  const packet = new Uint8Array(VSOCK_HEADER_BYTES + body.length);
  const data = new DataView(packet.buffer);
  data.setBigUint64(0, BigInt(header.sourceCid), true);
  data.setBigUint64(8, BigInt(header.targetCid), true);
  data.setUint32(16, header.sourcePort, true);
  data.setUint32(20, header.targetPort, true);
  data.setUint32(VSOCK_LENGTH_OFFSET, body.length, true);
  data.setUint16(28, header.type, true);
  data.setUint16(30, header.op, true);
  data.setUint32(32, header.flags, true);
  data.setUint32(36, header.bufAlloc, true);
  data.setUint32(40, header.fwdCnt, true);
  packet.set(body, VSOCK_HEADER_BYTES);
  return packet;
}
const NOTHING = new Uint8Array(0);

/** The first `count` bytes of a packet's data as a packet, and the rest as another one. */
export function cutVsockPacket(packet: Uint8Array, count: number): [first: Uint8Array, rest: Uint8Array] {
  const header = decodeVsockHeader(packet);
  const body = packet.subarray(VSOCK_HEADER_BYTES);
  return [encodeVsockPacket(header, body.subarray(0, count)), encodeVsockPacket(header, body.subarray(count))];
}
