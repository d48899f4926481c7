/**
 * What the sender of an Ethernet frame left to others: its checksum, and to cut it into several frames (TCP segmentation, virtio 1.2,
 * 5.1.6.2). A card that does both by itself gets such a frame as it is; for all others it becomes what goes over a wire.
 */
import { onesSum, putBe16, putBe32, be16, be32 } from './e1000/checksum.ts';

/** An Ethernet header; and the longest frame that a card can send (82540EM manual, 317453, 3.2: the packet buffer). */
export const LEAST_FRAME = 14,
  MOST_FRAME = 16_288;
/** The longest one that is still to be cut: an IP packet of 64 KiB, behind an Ethernet header with a tag. */
export const MOST_UNCUT = 18 + 0xffff;
/** The least TCP payload of a frame that somebody may ask for: less is an attack on who has to cut (Linux: TCP_MIN_SND_MSS). */
export const LEAST_SEGMENT = 48;

export interface Offload {
  /** The first byte that the checksum is over, and where it lies, which holds the sum of the pseudo header. */
  readonly checksumStart: number;
  readonly checksumAt: number;
  /** Bytes of TCP payload in each of the frames that it is to become; absent: it is one. */
  readonly segmentSize?: number;
}

/** Where the parts of a TCP packet in a frame begin. */
export interface TcpPlaces {
  readonly version: 4 | 6;
  readonly ip: number;
  readonly tcp: number;
  readonly payload: number;
}

const TAG = 0x8100,
  IPV4 = 0x0800,
  IPV6 = 0x86dd,
  TCP = 6;
/** More fragments, or a fragment that is not the first. */
const FRAGMENTED = 0x3fff;
const TCP_CHECKSUM = 16;
const FLAGS = { fin: 0x01, push: 0x08, windowReduced: 0x80 } as const;

/**
 * Undefined where the frame is no whole TCP packet, has headers between IP and TCP, which are not looked through, or something behind the
 * packet.
 */
export function tcpPlaces(frame: Uint8Array): TcpPlaces | undefined {
  const isTagged = be16(frame, 12) === TAG,
    ip = isTagged ? 18 : 14,
    type = be16(frame, ip - 2);
  let tcp: number, end: number;
  if (type === IPV4 && frame[ip]! >> 4 === 4) {
    tcp = ip + (frame[ip]! & 15) * 4;
    end = ip + be16(frame, ip + 2);
    if (tcp < ip + 20 || frame[ip + 9] !== TCP || (be16(frame, ip + 6) & FRAGMENTED) !== 0) return undefined;
  } else if (type === IPV6 && frame[ip]! >> 4 === 6) {
    tcp = ip + 40;
    end = tcp + be16(frame, ip + 4);
    if (frame[ip + 6] !== TCP) return undefined;
  } else return undefined;
  if (tcp + 20 > frame.length || end !== frame.length) return undefined;
  const payload = tcp + (frame[tcp + 12]! >> 4) * 4;
  if (payload < tcp + 20 || payload > frame.length) return undefined;
  return { version: type === IPV4 ? 4 : 6, ip, tcp, payload };
}

/** Whether somebody who finds this out of a frame can do what is left to do. */
export function isPossible(frame: Uint8Array, { checksumStart, checksumAt, segmentSize }: Offload): boolean {
  // No checksum begins within the Ethernet header.
  if (checksumStart < LEAST_FRAME || checksumAt < checksumStart || checksumAt + 2 > frame.length) return false;
  if (segmentSize === undefined) return frame.length <= MOST_FRAME;
  const places = tcpPlaces(frame);
  if (places === undefined || frame.length > MOST_UNCUT || segmentSize < LEAST_SEGMENT) return false;
  const { tcp, payload } = places;
  return checksumStart === tcp && checksumAt === tcp + TCP_CHECKSUM && payload + segmentSize <= MOST_FRAME;
}

/** The frames of a wire that one becomes; they are new ones. `isPossible` has been asked. */
export function* wireFrames(frame: Uint8Array, offload: Offload): Generator<Uint8Array> {
  const { checksumStart, checksumAt, segmentSize } = offload;
  if (segmentSize !== undefined) return yield* segments(frame, tcpPlaces(frame)!, segmentSize);
  const whole = frame.slice();
  putChecksum(whole, checksumStart, checksumAt);
  yield whole;
}

/** TCP segments (RFC 9293, 3.1) of one that is too long. */
function* segments(frame: Uint8Array, places: TcpPlaces, size: number): Generator<Uint8Array> {
  const { version, ip, tcp, payload } = places,
    sequence = be32(frame, tcp + 4),
    identification = be16(frame, ip + 4);
  for (let at = payload, n = 0; at < frame.length || n === 0; at += size, n++) {
    const end = Math.min(at + size, frame.length),
      isLast = end === frame.length;
    const out = new Uint8Array(payload + end - at);
    out.set(frame.subarray(0, payload));
    out.set(frame.subarray(at, end), payload);
    if (version === 4) {
      putBe16(out, ip + 2, out.length - ip);
      putBe16(out, ip + 4, (identification + n) & 0xffff);
      putBe16(out, ip + 10, 0);
      putBe16(out, ip + 10, ~onesSum(out, ip, tcp) & 0xffff);
    } else putBe16(out, ip + 4, out.length - tcp);
    putBe32(out, tcp + 4, (sequence + at - payload) >>> 0);
    if (!isLast) out[tcp + 13]! &= ~(FLAGS.fin | FLAGS.push);
    if (n > 0) out[tcp + 13]! &= ~FLAGS.windowReduced;
    // What the sender has left there is of another length.
    // Options of IPv4 lie between the addresses and TCP, and are not summed up.
    const [addresses, addressesEnd] = version === 4 ? [ip + 12, ip + 20] : [ip + 8, ip + 40];
    putBe16(out, tcp + TCP_CHECKSUM, onesSum(out, addresses, addressesEnd, TCP + out.length - tcp));
    putChecksum(out, tcp, tcp + TCP_CHECKSUM);
    yield out;
  }
}

/** Replaces the sum of the pseudo header at `at` by the checksum from `start` on (virtio 1.2, 5.1.6.2). */
function putChecksum(frame: Uint8Array, start: number, at: number): void {
  const sum = ~onesSum(frame, start, frame.length) & 0xffff;
  // UDP has no checksum of 0, and in TCP both mean the same (RFC 768).
  putBe16(frame, at, sum === 0 ? 0xffff : sum);
}

/**
 * A frame between two cards of this host, with what is left to do in front, little-endian:
 *
 *   u16 TCP payload of each frame (0: it is one), u16 first byte under the checksum (0: nothing is left to do), u16 its place, u16 0
 */
export const HEAD_BYTES = 8;
export function encodeFrame(frame: Uint8Array, offload: Offload | undefined): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + frame.length);
  encodeHead(bytes, offload);
  bytes.set(frame, HEAD_BYTES);
  return bytes;
}
/** Puts the head in front of a frame that lies in `bytes` already, from `HEAD_BYTES` on. */
export function encodeHead(bytes: Uint8Array, offload: Offload | undefined): void {
  const head = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
  head.setUint16(0, offload?.segmentSize ?? 0, true);
  head.setUint16(2, offload?.checksumStart ?? 0, true);
  head.setUint16(4, offload?.checksumAt ?? 0, true);
  head.setUint16(6, 0, true);
}
/** Undefined for what is no such frame: it may come from a stranger. The frame is a part of `bytes`. */
export function decodeFrame(bytes: Uint8Array): { frame: Uint8Array; offload: Offload | undefined } | undefined {
  if (!isEncodedLength(bytes.length)) return undefined;
  const head = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES),
    frame = bytes.subarray(HEAD_BYTES),
    [segmentSize, checksumStart, checksumAt] = [
      head.getUint16(0, true),
      head.getUint16(2, true),
      head.getUint16(4, true),
    ];
  if (checksumStart === 0) return frame.length > MOST_FRAME ? undefined : { frame, offload: undefined };
  const offload = { checksumStart, checksumAt, ...(segmentSize === 0 ? {} : { segmentSize }) };
  return isPossible(frame, offload) ? { frame, offload } : undefined;
}
export const isEncodedLength = (bytes: number): boolean =>
  bytes >= HEAD_BYTES + LEAST_FRAME && bytes <= HEAD_BYTES + MOST_UNCUT;
