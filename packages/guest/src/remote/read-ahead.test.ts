import { describe, expect, test } from 'vitest';
import { ReadAhead } from './read-ahead.ts';

const KIB = 1024;
/** A disk whose bytes at each offset are the 4 KiB block's number, and what was asked of it. */
function rig(sizeBytes = 8 << 20): { ahead: ReadAhead; asked: string[]; fail: boolean } {
  const made = { asked: [] as string[], fail: false, ahead: undefined as unknown as ReadAhead };
  made.ahead = new ReadAhead(sizeBytes, (offset, length) => {
    made.asked.push(`${offset / KIB}+${length / KIB}`);
    return Promise.resolve(made.fail ? undefined : bytes(offset, length));
  });
  return made;
}
const bytes = (offset: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Math.floor((offset + i) / 4096));
/** Reads, and returns what was left to be read, in KiB. */
async function read(ahead: ReadAhead, offsetKib: number, lengthKib: number): Promise<string[]> {
  const into = new Uint8Array(lengthKib * KIB);
  const gaps = await ahead.read(offsetKib * KIB, into);
  for (const gap of gaps) gap.into.set(bytes(gap.offset, gap.into.length));
  expect(Buffer.compare(into, bytes(offsetKib * KIB, into.length))).toBe(0);
  return gaps.map((gap) => `${gap.offset / KIB}+${gap.into.length / KIB}`);
}

describe('reading ahead', () => {
  test('begins with the second read in a row, and its window grows', async () => {
    const { ahead, asked } = rig();
    expect(await read(ahead, 0, 64)).toEqual(['0+64']);
    expect(asked).toEqual([]);
    expect(await read(ahead, 64, 64)).toEqual(['64+64']);
    expect(asked).toEqual(['128+128']);
    expect(await read(ahead, 128, 64)).toEqual([]);
    expect(asked).toEqual(['128+128', '256+192']);
  });
  test('holds no more than its window, and asks for nothing behind the end of the disk', async () => {
    const { ahead, asked } = rig(2 << 20);
    for (let at = 0; at < 2048; at += 4) await read(ahead, at, 4);
    const ranges = asked.map((range) => range.split('+').map(Number) as [number, number]);
    expect(Math.max(...ranges.map(([from, length]) => from + length))).toBe(2048);
    expect(ranges.reduce((sum, [, length]) => sum + length, 0)).toBe(2048 - 8);
  });
  test('is not begun by reads here and there', async () => {
    const { ahead, asked } = rig();
    for (const at of [0, 512, 100, 4000, 64, 12]) await read(ahead, at, 4);
    expect(asked).toEqual([]);
  });
  test('goes on for each of a few readers, with others in between', async () => {
    const { ahead, asked } = rig();
    for (let step = 0; step < 8; step++) for (const start of [0, 2048, 4096]) await read(ahead, start + step * 4, 4);
    expect(asked.map((range) => range.split('+')[0])).toEqual(['8', '2056', '4104']);
  });
  test('what was written to is asked for again', async () => {
    const { ahead } = rig();
    await read(ahead, 0, 64);
    await read(ahead, 64, 64);
    ahead.forget(160 * KIB, 512);
    expect(await read(ahead, 128, 64)).toEqual(['128+64']);
  });
  test('a hole in what is there is left to be read', async () => {
    const { ahead } = rig();
    for (let at = 0; at < 512; at += 64) await read(ahead, at, 64);
    ahead.forgetAll();
    expect(await read(ahead, 512, 64)).toEqual(['512+64']);
  });
  test('what could not be read ahead is left to be read, where an error has somebody to hear it', async () => {
    const made = rig();
    made.fail = true;
    await read(made.ahead, 0, 64);
    await read(made.ahead, 64, 64);
    expect(await read(made.ahead, 128, 64)).toEqual(['128+64']);
  });
});
