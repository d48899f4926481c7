/** Frames that leave work to others: what they become on a wire, and which of them are refused. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { be16, be32, checkPacket, onesSum, putBe16, putBe32 } from './e1000/checksum.ts';
import {
  HEAD_BYTES,
  LEAST_SEGMENT,
  MOST_UNCUT,
  decodeFrame,
  encodeFrame,
  isPossible,
  tcpPlaces,
  wireFrames,
  type Offload,
} from './offload.ts';

interface Packet {
  readonly version: 4 | 6;
  readonly isTagged: boolean;
  /** Words of options of IPv4, none where absent; and of TCP. */
  readonly ipOptions?: number;
  readonly options: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}
/** A frame as Linux gives it to a card: lengths of the whole, and of the TCP checksum the pseudo header alone. */
function frameOf({ version, isTagged, ipOptions = 0, options, flags, sequence, payload }: Packet): Uint8Array {
  const ip = isTagged ? 18 : 14,
    tcp = ip + (version === 4 ? 20 + ipOptions * 4 : 40),
    header = 20 + options * 4,
    frame = new Uint8Array(tcp + header + payload.length);
  if (isTagged) putBe16(frame, 12, 0x8100);
  putBe16(frame, ip - 2, version === 4 ? 0x0800 : 0x86dd);
  frame[ip] = version === 4 ? 0x45 + ipOptions : 0x60;
  if (version === 4) {
    putBe16(frame, ip + 2, frame.length - ip);
    putBe16(frame, ip + 4, 0xfffe);
    frame.set([64, 6], ip + 8);
    frame.set([10, 0, 0, 1, 10, 0, 0, 2], ip + 12);
    // Record route (RFC 791, 3.1): it must not count in a checksum of TCP.
    if (ipOptions > 0) frame.set([7, ipOptions * 4, 4], ip + 20);
  } else {
    putBe16(frame, ip + 4, frame.length - tcp);
    frame.set([6, 64], ip + 6);
    for (let i = 0; i < 32; i++) frame[ip + 8 + i] = i;
  }
  putBe32(frame, tcp + 4, sequence);
  frame[tcp + 12] = (header / 4) << 4;
  frame[tcp + 13] = flags;
  frame.set(payload, tcp + header);
  putBe16(frame, tcp + 16, pseudoSum(frame, version, ip, frame.length - tcp));
  return frame;
}
/** The sum of a pseudo header: the addresses, the protocol, and the length of TCP. */
const pseudoSum = (frame: Uint8Array, version: 4 | 6, ip: number, length: number): number =>
  version === 4 ? onesSum(frame, ip + 12, ip + 20, 6 + length) : onesSum(frame, ip + 8, ip + 40, 6 + length);
const offloadOf = (frame: Uint8Array, segmentSize?: number): Offload => {
  const { tcp } = tcpPlaces(frame)!;
  return { checksumStart: tcp, checksumAt: tcp + 16, ...(segmentSize === undefined ? {} : { segmentSize }) };
};
const packets = fc.record({
  version: fc.constantFrom(4 as const, 6 as const),
  isTagged: fc.boolean(),
  ipOptions: fc.integer({ min: 0, max: 10 }),
  options: fc.integer({ min: 0, max: 10 }),
  flags: fc.integer({ min: 0, max: 255 }),
  sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 3000 }),
});
const [FIN, PSH, CWR] = [0x01, 0x08, 0x80];
/** The one's complement sum of TCP with its pseudo header. */
function tcpSum(frame: Uint8Array): number {
  const { version, ip, tcp } = tcpPlaces(frame)!;
  return onesSum(frame, tcp, frame.length, pseudoSum(frame, version, ip, frame.length - tcp));
}

describe('a TCP packet that is to be cut', () => {
  it('becomes frames that are the packet again when they are put together', () => {
    fc.assert(
      fc.property(packets, fc.integer({ min: LEAST_SEGMENT, max: 1500 }), (packet, size) => {
        const whole = frameOf(packet);
        expect(isPossible(whole, offloadOf(whole, size))).toBe(true);
        const parts = [...wireFrames(whole, offloadOf(whole, size))];
        expect(parts).toHaveLength(Math.max(1, Math.ceil(packet.payload.length / size)));
        let at = 0;
        parts.forEach((part, n) => {
          const { version, ip, tcp, payload } = tcpPlaces(part)!,
            isLast = n === parts.length - 1;
          expect(part.subarray(0, ip)).toEqual(whole.subarray(0, ip));
          expect(be32(part, tcp + 4)).toBe((packet.sequence + at) >>> 0);
          expect(part.subarray(payload)).toEqual(packet.payload.subarray(at, at + size));
          at += part.length - payload;
          const kept = ~((isLast ? 0 : FIN | PSH) | (n === 0 ? 0 : CWR));
          expect(part[tcp + 13]).toBe(packet.flags & kept & 0xff);
          if (version === 4) {
            expect(be16(part, ip + 2)).toBe(part.length - ip);
            expect(be16(part, ip + 4)).toBe((0xfffe + n) & 0xffff);
            expect(onesSum(part, ip, tcp)).toBe(0xffff);
          } else expect(be16(part, ip + 4)).toBe(part.length - tcp);
          expect(tcpSum(part)).toBe(0xffff);
        });
        expect(at).toBe(packet.payload.length);
      }),
    );
  });
  it('is refused where cutting it would be an attack, or it is none', () => {
    const whole = frameOf({
      version: 4,
      isTagged: false,
      options: 0,
      flags: 0,
      sequence: 1,
      payload: new Uint8Array(200),
    });
    const offload = offloadOf(whole, 100);
    expect(isPossible(whole, offload)).toBe(true);
    expect(isPossible(whole, { ...offload, segmentSize: LEAST_SEGMENT - 1 })).toBe(false);
    expect(isPossible(whole, { ...offload, checksumStart: 14 })).toBe(false);
    expect(isPossible(whole, { ...offload, checksumAt: offload.checksumAt + 2 })).toBe(false);
    expect(isPossible(whole.with(23, 17), offload)).toBe(false);
    expect(isPossible(whole.with(20, 0x20), offload)).toBe(false);
    expect(isPossible(whole.with(46, 0xf0).subarray(0, 60), offload)).toBe(false);
    expect(isPossible(new Uint8Array(MOST_UNCUT + 1), offload)).toBe(false);
    // Something behind the packet.
    expect(isPossible(Uint8Array.from([...whole, 0]), offload)).toBe(false);
    expect(isPossible(whole, { checksumStart: 0, checksumAt: 50 })).toBe(false);
  });
});

describe('a checksum that is left to do', () => {
  it('is done', () => {
    fc.assert(
      fc.property(packets, (packet) => {
        const whole = frameOf(packet),
          [done, ...others] = wireFrames(whole, offloadOf(whole));
        expect(others).toEqual([]);
        expect(tcpSum(done!)).toBe(0xffff);
        if (packet.version === 4 && !packet.isTagged) expect(checkPacket(done!).transport).toBe(true);
      }),
    );
  });
});

describe('a frame between two cards', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(
        packets,
        fc.option(fc.integer({ min: LEAST_SEGMENT, max: 1500 })),
        fc.boolean(),
        (packet, size, isLeft) => {
          const frame = frameOf(packet),
            offload = isLeft ? offloadOf(frame, size ?? undefined) : undefined;
          expect(decodeFrame(encodeFrame(frame, offload))).toEqual({ frame, offload });
        },
      ),
    );
  });
  it('of a stranger is nothing, or can be cut', () => {
    fc.assert(
      fc.property(
        packets,
        fc.uint8Array({ minLength: HEAD_BYTES, maxLength: HEAD_BYTES }),
        fc.infiniteStream(fc.nat()),
        (packet, head, random) => {
          const bytes = Uint8Array.from([...head, ...frameOf(packet)]);
          // Headers that are damaged.
          for (let n = 0; n < 4; n++)
            bytes[random.next().value! % Math.min(bytes.length, 90)] = random.next().value! & 255;
          const decoded = decodeFrame(bytes);
          if (decoded?.offload === undefined) return;
          const parts = [...wireFrames(decoded.frame, decoded.offload)];
          expect(parts.length).toBeLessThanOrEqual(Math.max(1, Math.ceil(decoded.frame.length / LEAST_SEGMENT)));
        },
      ),
      { numRuns: 500 },
    );
  });
});
