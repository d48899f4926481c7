/** What a translator looks at before it takes up a request. */
import { expect, it, vi } from 'vitest';
import { PSEUDO, RECORD } from '../core/interpreter/record.ts';
import { ThreadTranslator, landingsSince, type TranslationPlace } from './translator.ts';

const MAP = 4096,
  RECORD_AT = 32768,
  HOT = 512;

it('the landings since a request are counted over the end of their 16 bits, and are none where nothing is decoded', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
    data = new DataView(memory.buffer);
  const place: TranslationPlace = {
    memory,
    cpuBase: 0,
    tlb: 0,
    jumpSites: 0,
    fewestLandings: 1,
    hotLandings: HOT,
    firstHandler: 8,
    frames: new Uint32Array(4),
    directory: { maps: Uint32Array.of(0, 0, 0, MAP), generations: new Uint32Array(4) },
  };
  const since = (physical: number): number =>
    landingsSince(
      { id: 0, mode: 1, linear: physical, physical, host: physical, width: 'narrow', isCareful: false },
      place,
    );
  data.setUint32(MAP + 0x123 * 4, RECORD_AT, true);
  data.setUint16(RECORD_AT + RECORD.handler, PSEUDO.region, true);
  const landed = (times: number): void => data.setUint16(RECORD_AT + RECORD.landings, times & 0xffff, true);

  landed(HOT);
  expect(since(0x3123)).toBe(0);
  landed(HOT + 300);
  expect(since(0x3123)).toBe(300);
  landed(0x1_0000 + 10);
  expect(since(0x3123)).toBe(0x1_0000 + 10 - HOT);
  expect(since(0x3124)).toBe(0);
  expect(since(0x2123)).toBe(0);
});

it('a mistake in the translating thread comes out where what it makes is taken', async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
    translator = new ThreadTranslator();
  try {
    translator.prepare({
      ...{ memory, cpuBase: 0, tlb: 0, jumpSites: 0, fewestLandings: 1, hotLandings: HOT, firstHandler: 8 },
      frames: new Uint32Array(4),
      // A page whose map lies outside of memory, which no code cache has.
      directory: { maps: Uint32Array.of(0, 1 << 30), generations: new Uint32Array(4) },
    });
    translator.request({ id: 0, mode: 1, linear: 4096, physical: 4096, host: 4096, width: 'narrow', isCareful: false });
    translator.send();
    let thrown: unknown;
    await vi.waitFor(
      () => {
        try {
          translator.take();
        } catch (error) {
          thrown = error;
        }
        expect(thrown).toBeInstanceOf(Error);
      },
      { timeout: 30_000 },
    );
    expect(thrown).toMatchObject({
      message: "translating a guest's code failed",
      cause: expect.any(RangeError) as unknown,
    });
  } finally {
    translator.close();
  }
});
