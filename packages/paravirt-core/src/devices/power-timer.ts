/** The power management timer's clock (ACPI 6.5, 4.8.3.3): 3.579545 MHz on the machine's nanosecond clock, without drift. */
import type { Nanoseconds } from '@tomei/kit';

/** 3.579545 MHz = 715,909 ticks in 200 ms, in lowest terms. */
const TICKS = 715_909;
const SPAN: Nanoseconds = 200_000_000;

/** Ticks that have passed at `now` since power-on. */
export function powerTicksAt(now: Nanoseconds): number {
  const spans = Math.floor(now / SPAN);
  return spans * TICKS + Math.floor(((now - spans * SPAN) * TICKS) / SPAN);
}

/** The first moment at which `ticks` have passed. */
export function timeOfPowerTick(ticks: number): Nanoseconds {
  const spans = Math.floor(ticks / TICKS);
  return spans * SPAN + Math.ceil(((ticks - spans * TICKS) * SPAN) / TICKS);
}
