/** The timer's input clock, counted exactly: 14.31818 MHz / 12 on the machine's nanosecond clock, without drift. */
import type { Nanoseconds } from '@tomei/kit';

/** 1.193182 MHz = 596,591 ticks in 500 ms, in lowest terms. */
export const PIT_HZ = 1_193_182;
const TICKS = 596_591;
const SPAN: Nanoseconds = 500_000_000;

/** Ticks that have passed at `now` since power-on. */
export function ticksAt(now: Nanoseconds): number {
  const spans = Math.floor(now / SPAN);
  return spans * TICKS + Math.floor(((now - spans * SPAN) * TICKS) / SPAN);
}

/** The first moment at which `ticks` have passed. */
export function timeOfTick(ticks: number): Nanoseconds {
  const spans = Math.floor(ticks / TICKS);
  return spans * SPAN + Math.ceil(((ticks - spans * TICKS) * SPAN) / TICKS);
}
