import { ManualClock } from '@tomei/kit';
import { expect, test } from 'vitest';
import { StolenTime } from './stolen-time.ts';

test('a guest hears what was taken since it asked, now and then, and nothing twice', () => {
  const clock = new ManualClock(),
    heard: number[] = [];
  let waited: number | undefined = 5_000,
    wants = false;
  const guest = { wantsStolenTime: () => wants, stolen: (nanoseconds: number) => void heard.push(nanoseconds) };
  const stolen = new StolenTime(guest, () => waited, clock);
  const tellAt = (time: number, now: number | undefined): number[] => {
    clock.advance(time - clock.now());
    waited = now;
    stolen.tell();
    return heard.splice(0);
  };

  expect(tellAt(0, 5_000)).toEqual([]);
  wants = true;
  expect(tellAt(1_000, 6_000)).toEqual([]);
  expect(tellAt(2_000, 7_000)).toEqual([]);
  expect(tellAt(20_000_000, 9_500)).toEqual([3_500]);
  expect(tellAt(40_000_000, undefined)).toEqual([]);
  expect(tellAt(60_000_000, 9_500)).toEqual([]);
  wants = false;
  expect(tellAt(80_000_000, 20_000)).toEqual([]);
  wants = true;
  expect(tellAt(81_000_000, 30_000)).toEqual([]);
  expect(tellAt(100_000_000, 30_001)).toEqual([1]);
});
