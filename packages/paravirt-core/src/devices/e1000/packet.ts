/**
 * A packet on its way from descriptors to the wire: checksums that the hardware fills in, and TCP segmentation (82540EM software
 * developer's manual, 3.3 to 3.5).
 */
import { nested, pod, bool, u16, u32, u8, type StateOf } from '@tomei/kit';
import { be16, be32, onesSum, putBe16, putBe32 } from './checksum.ts';
import { blob } from './fields.ts';

/** What the transmit FIFO takes in one packet (3.3.2). */
export const MAX_PACKET = 16_288;
/** A packet shorter than this is padded; check sequence not counted. */
export const MIN_FRAME = 60;
const VLAN_BYTES = 4;

/** What a context descriptor says (3.3.6). */
export const contextState = pod({
  ipStart: u8(),
  ipOffset: u8(),
  ipEnd: u16(),
  transportStart: u8(),
  transportOffset: u8(),
  transportEnd: u16(),
  payload: u32(),
  tcp: bool(),
  ipv4: bool(),
  headerLength: u8(),
  segmentSize: u16(),
});
export type Context = StateOf<typeof contextState>;

export const packetState = pod({
  /** The bytes gathered so far; of a segmented packet the header and the present segment. */
  data: blob(MAX_PACKET),
  /** More came than a packet may have: it is dropped when it ends. */
  tooLong: bool(),
  segmented: bool(),
  /** Segments that are out already. */
  segments: u32(),
  insertIp: bool(),
  insertTransport: bool(),
  /** Checksum of a legacy descriptor: where it starts and where it goes; offset 0 means none. */
  legacyStart: u8(),
  legacyOffset: u8(),
  /** The last bytes are the sender's own check sequence. */
  ownCheck: bool(),
  vlan: bool(),
  tag: u16(),
  /** Contexts of plain and of segmented packets are kept apart. */
  plain: nested(contextState),
  segmentation: nested(contextState),
}).check((s) => s.segments < 2 ** 20 || "field 'segments' is over what the payload length can hold");
export type Packet = StateOf<typeof packetState>;

/** The largest segment, header and all; 0 when the context makes no sense, and the packet is then sent in one piece. */
export function segmentLimit(p: Packet): number {
  const { headerLength, segmentSize } = p.segmentation;
  const sensible = p.segmented && headerLength > 0 && segmentSize > 0 && headerLength + segmentSize <= MAX_PACKET;
  return sensible ? headerLength + segmentSize : 0;
}

/** How many bytes may be added before something must be sent. */
export const room = (p: Packet): number => Math.max(0, (segmentLimit(p) || MAX_PACKET) - p.data.length);

export function append(p: Packet, bytes: Uint8Array): void {
  const joined = new Uint8Array(p.data.length + bytes.length);
  joined.set(p.data);
  joined.set(bytes, p.data.length);
  p.data = joined;
}

/** The frame as it goes out now, for a whole packet or the segment that is full. */
export function finish(p: Packet, ethertype: number): Uint8Array {
  const frame = p.ownCheck ? p.data.slice(0, Math.max(0, p.data.length - 4)) : p.data.slice();
  const context = p.segmented ? p.segmentation : p.plain;
  if (segmentLimit(p) !== 0) adjustSegment(p, frame);
  if (p.insertTransport) {
    putChecksum(frame, context.transportStart, context.transportEnd, context.transportOffset, true);
  }
  if (p.insertIp) putChecksum(frame, context.ipStart, context.ipEnd, context.ipOffset, false);
  if (p.legacyOffset !== 0) putChecksum(frame, p.legacyStart, 0, p.legacyOffset, true);
  return p.vlan ? tagged(frame, ethertype, p.tag) : frame;
}

/** The segment is out: what is left for the next one is the header. */
export function nextSegment(p: Packet): void {
  p.segments = Math.min(p.segments + 1, 2 ** 20 - 1);
  p.data = p.data.slice(0, p.segmentation.headerLength);
}

/** The packet is over. Contexts stay. */
export function endPacket(p: Packet): void {
  Object.assign(p, { ...packetState.initial(), plain: p.plain, segmentation: p.segmentation });
}

/** Inserts the sum over `start .. end` (0: to the end of the packet) at `offset`, where software left the pseudo header's. */
function putChecksum(frame: Uint8Array, start: number, end: number, offset: number, transport: boolean): void {
  const stop = end === 0 ? frame.length : Math.min(end + 1, frame.length);
  if (offset + 2 > stop || start >= stop) return;
  const sum = ~onesSum(frame, start, stop) & 0xffff;
  putBe16(frame, offset, transport && sum === 0 ? 0xffff : sum);
}

const TCP_FIN_AND_PUSH = 0x09;

/** Lengths, identification, sequence number and flags of one segment (3.5.8). */
function adjustSegment(p: Packet, frame: Uint8Array): void {
  const { ipStart, transportStart, transportOffset, ipv4, tcp, segmentSize, payload } = p.segmentation;
  if (ipv4) {
    putBe16(frame, ipStart + 2, Math.max(0, frame.length - ipStart));
    putBe16(frame, ipStart + 4, (be16(frame, ipStart + 4) + p.segments) & 0xffff);
  } else putBe16(frame, ipStart + 4, Math.max(0, frame.length - ipStart - 40));
  const length = Math.max(0, frame.length - transportStart);
  const done = p.segments * segmentSize;
  if (tcp) {
    putBe32(frame, transportStart + 4, (be32(frame, transportStart + 4) + done) % 2 ** 32);
    if (payload - done > segmentSize && transportStart + 13 < frame.length) {
      frame[transportStart + 13] = frame[transportStart + 13]! & ~TCP_FIN_AND_PUSH;
    }
  } else putBe16(frame, transportStart + 4, length);
  // The pseudo header's sum came without the length, which only now is known.
  if (p.insertTransport) {
    let sum = be16(frame, transportOffset) + length;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    putBe16(frame, transportOffset, sum);
  }
}

const MAC_BYTES = 12;

function tagged(frame: Uint8Array, ethertype: number, tag: number): Uint8Array {
  if (frame.length < MAC_BYTES) return frame;
  const longer = new Uint8Array(frame.length + VLAN_BYTES);
  longer.set(frame.subarray(0, MAC_BYTES));
  putBe16(longer, MAC_BYTES, ethertype);
  putBe16(longer, MAC_BYTES + 2, tag);
  longer.set(frame.subarray(MAC_BYTES), MAC_BYTES + VLAN_BYTES);
  return longer;
}
