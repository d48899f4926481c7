import { ManualClock } from '@tomei/kit';
import { expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { backend, Board } from '../machine/board.ts';
import { debugcon, debugconBackend } from './debugcon.ts';

it('debugcon: hands bytes to the host and shows that it is there', () => {
  const text: number[] = [];
  const board = new Board({ ram: new Uint8Array(16), clock: new ManualClock() });
  board.add(debugcon, { port: 0xe9 }, { backends: [backend(debugconBackend, { write: (byte) => text.push(byte) })] });
  board.reset();

  for (const character of 'Hi') board.portWrite(0xe9, 1, character.charCodeAt(0));
  expect(String.fromCharCode(...text)).toBe('Hi');
  expect(board.portRead(0xe9, 1)).toBe(0xe9);
});

deviceBattery(debugcon, {
  config: { port: 0xe9 },
  disturb: () => undefined,
  bench() {
    const output: number[] = [];
    return { backends: [backend(debugconBackend, { write: (byte) => output.push(byte) })], output: () => output };
  },
});
