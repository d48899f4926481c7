/** What guest processes say to each other about frames: whatever the pieces, and whoever talks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEAD_BYTES, LEAST_FRAME, MOST_UNCUT } from '@tomei/paravirt-core';
import { FrameStream, framed, greeting } from './frame-stream.ts';

const NAME = '0123456789abcdef';
function rig(): { stream: FrameStream; seen: string[] } {
  const seen: string[] = [];
  const stream = new FrameStream({
    greeted: (name) => void seen.push(`hello ${name}`),
    frame: (bytes) => void seen.push(Buffer.from(bytes).toString('hex')),
  });
  return { stream, seen };
}

describe('a stream of frames', () => {
  it('is the frames that were sent, in whatever pieces it comes', () => {
    const frame = fc.uint8Array({ minLength: HEAD_BYTES + LEAST_FRAME, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 50 })), (frames, cuts) => {
        const { stream, seen } = rig();
        let bytes: Uint8Array = Buffer.concat([greeting(NAME), ...frames.map(framed)]);
        for (const cut of [...cuts, bytes.length]) {
          stream.push(bytes.subarray(0, cut));
          bytes = bytes.subarray(cut);
        }
        expect(seen).toEqual([`hello ${NAME}`, ...frames.map((f) => Buffer.from(f).toString('hex'))]);
      }),
    );
  });
  it.each<[string, () => Uint8Array, RegExp]>([
    ['no greeting', () => new Uint8Array(20).fill(65), /no guest of Tomei/],
    ['another version', () => greeting(NAME).fill(9, 8, 9), /version 9/],
    [
      'a frame that is too short',
      () => Buffer.concat([greeting(NAME), framed(new Uint8Array(HEAD_BYTES + 13))]),
      /21 bytes/,
    ],
    [
      'a frame that is too long',
      () => Buffer.concat([greeting(NAME), framed(new Uint8Array(HEAD_BYTES + MOST_UNCUT + 1))]),
      /65562 bytes/,
    ],
  ])('refuses %s', (_what, bytes, message) => {
    const { stream } = rig();
    expect(() => stream.push(bytes())).toThrow(message);
  });
  it('keeps no more than the beginning of a frame of what is hostile', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 50 }), (pieces) => {
        const { stream } = rig();
        stream.push(greeting(NAME));
        try {
          for (const piece of pieces) stream.push(piece);
        } catch (error) {
          expect(error).toMatchObject({ code: 'network.bad-peer' });
        }
      }),
    );
  });
});
