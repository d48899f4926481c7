import { ManualClock } from '@tomei/kit';
import { expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { debugExit } from './debug-exit.ts';

it.each([
  [0, 1],
  [1, 3],
  [0x10, 0x21],
  [0xff, 0xff],
])('debug-exit: writing %i ends the guest with status %i', (value, status) => {
  const signals: unknown[] = [];
  const board = new Board({
    ram: new Uint8Array(16),
    clock: new ManualClock(),
    signal: (...signal) => signals.push(signal),
  });
  board.add(debugExit, { base: 0xf4, count: 4 });
  board.reset();

  board.portWrite(0xf4, 4, value);
  expect(signals).toEqual([['exit', status, 'debug-exit']]);
});

deviceBattery(debugExit, { config: { base: 0xf4, count: 4 }, disturb: () => undefined });
