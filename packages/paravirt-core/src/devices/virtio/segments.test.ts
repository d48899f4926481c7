/** Copies between guest memory and segments, against copying byte by byte. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RamWindow } from '../../machine/guest-memory.ts';
import { gather, gatherInto, scatter, type Segment } from './segments.ts';

const RAM_BYTES = 4096;
/** Segments that do not overlap, in any order of addresses. */
const segmentLists = fc
  .array(fc.integer({ min: 1, max: 60 }), { maxLength: 8 })
  .map((lengths) => lengths.map((length, i): Segment => ({ address: ((i * 5) % 8) * 400 + i, length })));
const placesOf = (segments: readonly Segment[]): number[] =>
  segments.flatMap(({ address, length }) => Array.from({ length }, (_, i) => address + i));

it('gathers and scatters at any place of what the segments make up, and stops where they end', () => {
  fc.assert(
    fc.property(segmentLists, fc.nat(500), fc.nat(500), (segments, offset, length) => {
      const ram = Uint8Array.from({ length: RAM_BYTES }, (_, i) => (i * 31) & 0xff),
        memory = new RamWindow(ram),
        places = placesOf(segments);

      const into = new Uint8Array(length).fill(0xee);
      gatherInto(memory, segments, offset, into);
      expect([...into]).toEqual(Array.from({ length }, (_, i) => ram[places[offset + i] ?? -1] ?? 0xee));
      expect([...gather(memory, segments, length)]).toEqual(places.slice(0, length).map((place) => ram[place]));

      const bytes = Uint8Array.from({ length }, (_, i) => 255 - (i & 0x7f)),
        expected = ram.slice();
      const room = places.slice(offset, offset + length);
      room.forEach((place, i) => (expected[place] = bytes[i]!));
      expect(scatter(memory, segments, bytes, offset)).toBe(room.length);
      expect(ram).toEqual(expected);
    }),
  );
});
