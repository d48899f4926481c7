/** Packets of GDB's remote protocol: what is sent is read again, whatever pieces it comes in, and noise does no harm. */
import { describe, expect, it } from 'vitest';
import { PACKET_SIZE, PacketReader, encodePacket, fromHex, parseNumber, toHex } from './packets.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (...pieces: Uint8Array[]): unknown[] => {
  const reader = new PacketReader();
  return pieces.flatMap((piece) => reader.push(piece));
};
/** xorshift32 */
function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

describe('a packet', () => {
  it('is what lies between $ and #, with a checksum behind', () => {
    expect(new TextDecoder().decode(encodePacket('OK'))).toBe('$OK#9a');
    expect(read(bytes('$g#67'))).toEqual([{ kind: 'packet', data: bytes('g') }]);
  });
  it('may hold any byte, and come in any pieces', () => {
    const seed = (Date.now() % 0x7fff_ffff) + 1,
      next = random(seed);
    for (let round = 0; round < 200; round++) {
      const data = Uint8Array.from({ length: next() % 300 }, () => next() & 0xff),
        wire = encodePacket(data),
        pieces: Uint8Array[] = [];
      for (let at = 0; at < wire.length;) {
        const n = 1 + (next() % 7);
        pieces.push(wire.subarray(at, at + n));
        at += n;
      }
      expect(read(...pieces), `seed ${seed}`).toEqual([{ kind: 'packet', data }]);
    }
  });
  it('with a wrong checksum, or longer than was agreed, is damaged', () => {
    expect(read(bytes('$g#68$g#6'), bytes('z$g#67'))).toEqual([
      { kind: 'damaged' },
      { kind: 'damaged' },
      { kind: 'packet', data: bytes('g') },
    ]);
    expect(read(encodePacket('x'.repeat(2 * PACKET_SIZE + 1)))).toEqual([{ kind: 'damaged' }]);
  });
  it('that was cut off by another one is forgotten', () => {
    expect(read(bytes('$qSup$g#67'))).toEqual([{ kind: 'packet', data: bytes('g') }]);
  });
  it('stands between acknowledgements and interrupts, and what else comes is nothing', () => {
    expect(read(bytes('+-\u0003x$?#3f'))).toEqual([
      { kind: 'ack' },
      { kind: 'resend' },
      { kind: 'interrupt' },
      { kind: 'packet', data: bytes('?') },
    ]);
  });
  it('is found again after noise', () => {
    const seed = (Date.now() % 0x7fff_ffff) + 1,
      next = random(seed),
      reader = new PacketReader();
    for (let round = 0; round < 200; round++) {
      reader.push(Uint8Array.from({ length: next() % 500 }, () => next() & 0xff));
      // Two of them: the first may be the checksum of what came before.
      const events = [...reader.push(bytes('$g#67')), ...reader.push(bytes('$g#67'))];
      expect(events.at(-1), `seed ${seed}`).toEqual({ kind: 'packet', data: bytes('g') });
    }
  });
});

describe('numbers', () => {
  it('are hexadecimal, without sign, of 32 bits', () => {
    expect([parseNumber('ffffffff'), parseNumber('0'), parseNumber('1F')]).toEqual([0xffff_ffff, 0, 31]);
    for (const bad of ['', '-1', '100000000', '0x1', 'g', '1 ']) expect(parseNumber(bad), bad).toBeUndefined();
  });
  it('of bytes are pairs of digits', () => {
    expect(toHex(Uint8Array.of(0, 255))).toBe('00ff');
    expect(fromHex('00fF')).toEqual(Uint8Array.of(0, 255));
    for (const bad of ['0', '0g', '0x']) expect(fromHex(bad), bad).toBeUndefined();
  });
});
