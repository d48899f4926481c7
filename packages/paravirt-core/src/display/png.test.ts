import { describe, expect, it } from 'vitest';
import { decodePng, encodePng } from './png.ts';

const frame = (width: number, height: number) => ({
  width,
  height,
  rgba: Uint8Array.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 7 + (i >> 5)) & 0xff)),
});

describe('PNG files', () => {
  it.each([
    [1, 1],
    [3, 5],
    [640, 3],
    [17, 200],
  ])('come back as they went: %i x %i', (width, height) => {
    expect(decodePng(encodePng(frame(width, height)))).toEqual(frame(width, height));
  });

  it('have the signature, the header first and the end last', () => {
    const file = Buffer.from(encodePng(frame(2, 2)));

    expect(file.subarray(0, 16).toString('latin1')).toBe('\x89PNG\r\n\x1a\n\0\0\0\rIHDR');
    expect(file.subarray(-8).toString('hex')).toBe('49454e44ae426082');
  });

  it.each([
    ['text', (_: Uint8Array) => new TextEncoder().encode('hello')],
    ['nothing', (_: Uint8Array) => new Uint8Array(0)],
    ['half a file', (file: Uint8Array) => file.subarray(0, file.length / 2)],
    ['a flipped bit', (file: Uint8Array) => file.map((byte, i) => (i === 50 ? byte ^ 1 : byte))],
    ['a length that reaches outside', (file: Uint8Array) => file.map((byte, i) => (i === 33 ? 0xff : byte))],
  ])('refuses %s', (_what, damage) => {
    const file = damage(encodePng(frame(9, 9)));

    expect(() => decodePng(file)).toThrow(expect.objectContaining({ code: 'png.unreadable' }));
  });
});
