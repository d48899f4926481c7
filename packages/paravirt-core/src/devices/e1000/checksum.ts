/** The checksums of the wire: Internet (RFC 1071), frame (IEEE 802.3, 3.2.9), and what a receiver finds of them (RFC 791, 793, 768). */

/** The one's complement sum of 16-bit words, most significant byte first, of `bytes[from .. to - 1]`; not inverted. */
export function onesSum(bytes: Uint8Array, from: number, to: number, start = 0): number {
  let sum = start;
  let i = from;
  for (; i + 1 < to; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (i < to) sum += bytes[i]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return sum;
}

const CRC_POLYNOMIAL = 0xedb8_8320;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ CRC_POLYNOMIAL : crc >>> 1;
  return crc;
});

/** The frame check sequence, as the four bytes follow the frame: least significant first. */
export function frameCheck(frame: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of frame) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

export const be16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
export function putBe16(bytes: Uint8Array, at: number, value: number): void {
  if (at + 2 > bytes.length) return;
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}
export const be32 = (bytes: Uint8Array, at: number): number => be16(bytes, at) * 0x1_0000 + be16(bytes, at + 2);
export function putBe32(bytes: Uint8Array, at: number, value: number): void {
  putBe16(bytes, at, (value >>> 16) & 0xffff);
  putBe16(bytes, at + 2, value & 0xffff);
}

const ETHERNET_HEADER = 14;
const ETHERTYPE_IPV4 = 0x0800;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
/** More fragments, or a fragment that is not the first. */
const FRAGMENTED = 0x3fff;

/** What a receiver found; undefined where it did not look: other protocols, fragments, datagrams without a checksum. */
export interface Found {
  readonly ip?: boolean;
  readonly transport?: boolean;
}

/** Checks the checksums of an IPv4 packet in an untagged frame without its frame check sequence. */
export function checkPacket(frame: Uint8Array): Found {
  if (frame.length < ETHERNET_HEADER + 20 || be16(frame, 12) !== ETHERTYPE_IPV4) return {};
  const ip = ETHERNET_HEADER;
  const header = (frame[ip]! & 15) * 4;
  const end = ip + be16(frame, ip + 2);
  if (frame[ip]! >> 4 !== 4 || header < 20 || end > frame.length || ip + header > end) return {};
  const found = { ip: onesSum(frame, ip, ip + header) === 0xffff };
  const protocol = frame[ip + 9]!;
  const length = end - ip - header;
  const known = (protocol === PROTOCOL_TCP && length >= 20) || (protocol === PROTOCOL_UDP && length >= 8);
  if (!known || (be16(frame, ip + 6) & FRAGMENTED) !== 0) return found;
  if (protocol === PROTOCOL_UDP && be16(frame, ip + header + 6) === 0) return found;
  const pseudo = onesSum(frame, ip + 12, ip + 20, protocol + length);
  return { ...found, transport: onesSum(frame, ip + header, end, pseudo) === 0xffff };
}
