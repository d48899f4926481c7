import { ManualClock } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { coprocessorError } from './coprocessor-error.ts';
import { pic8259 } from './pic8259.ts';

function withPic() {
  const board = new Board({ ram: new Uint8Array(16), clock: new ManualClock() });
  const errors = board.add(coprocessorError, {});
  board.add(pic8259, {});
  board.reset();
  /** Whether interrupt 13 is requested: bit 5 of the second controller's IRR. */
  const requested = (): boolean => {
    board.portWrite(0xa0, 1, 0x0a);
    return (board.portRead(0xa0, 1) & 0x20) !== 0;
  };
  // ICW1 to ICW4, level-triggered by the controller's own bit so that the request follows the line.
  for (const [port, value] of [
    [0xa0, 0x19],
    [0xa1, 0x70],
    [0xa1, 2],
    [0xa1, 1],
  ] as const)
    board.portWrite(port, 1, value);
  return { board, error: errors.parts.error, requested };
}

describe('x87 errors on a PC', () => {
  it('request interrupt 13 until they are ignored or gone', () => {
    const { board, error, requested } = withPic();

    expect([error(true), requested()]).toEqual([false, true]);
    board.portWrite(0xf0, 1, 0);
    expect([error(true), requested()]).toEqual([true, false]);
    expect([error(false), requested()]).toEqual([false, false]);
    expect([error(true), requested()]).toEqual([false, true]);
    expect([error(false), requested()]).toEqual([false, false]);
  });

  it('are not ignored beforehand', () => {
    const { board, error } = withPic();

    board.portWrite(0xf0, 1, 0);
    expect(error(true)).toBe(false);
  });
});

deviceBattery(coprocessorError, { config: {}, disturb: ({ parts }) => void parts.error(true) });
