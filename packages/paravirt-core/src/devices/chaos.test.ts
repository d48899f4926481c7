import { describe, expect, it } from 'vitest';
import { Chaos, runChaos } from './chaos.ts';

/** `node tools/fuzz-devices.ts` goes on for as long as you like. */
const STEPS = 15_000;

describe('a whole board in chaos', () => {
  it.each([1, 2, 3, 4])(
    'never throws, answers in range, works within bounds and can be saved anywhere (seed %i)',
    (seed) => {
      expect(() => runChaos(seed, STEPS)).not.toThrow();
    },
  );

  it('notices a twin that is not one', () => {
    const chaos = new Chaos();
    const copy = chaos.twin();

    expect(JSON.stringify(copy.board.save())).toBe(JSON.stringify(chaos.board.save()));
    copy.board.portWrite(0x61, 1, 3);
    copy.ram[5] = 1;
    expect(JSON.stringify(copy.board.save())).not.toBe(JSON.stringify(chaos.board.save()));
    expect(copy.remembersLike(chaos)).toBe(false);
  });
});
