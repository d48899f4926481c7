/**
 * One comparator of the high precision event timer (IA-PC HPET specification 1.0a, 2.3.9), as functions of its state and of the
 * main counter. Counters are 64-bit numbers as BigInt; states hold them as two words.
 */
import { array, deadline, pod, u16, u32, type Field, type StateOf } from '@tomei/kit';

/** Timer configuration and capability register (2.3.8), low word. */
export const TIMER_LEVEL = 1 << 1;
export const TIMER_ENABLED = 1 << 2;
export const TIMER_PERIODIC = 1 << 3;
const TIMER_PERIODIC_CAPABLE = 1 << 4;
const TIMER_SIZE_64 = 1 << 5;
const TIMER_SET_VALUE = 1 << 6;
const TIMER_32_BIT = 1 << 8;
const TIMER_ROUTE = 0x3e00;
const TIMER_ROUTE_SHIFT = 9;
const TIMER_STORED = TIMER_LEVEL | TIMER_ENABLED | TIMER_PERIODIC | TIMER_SET_VALUE | TIMER_32_BIT;
/** The inputs of the I/O APIC that a timer can be routed to, high word: 20..23, which nothing else uses. */
export const ROUTE_CAPABILITY = 0x00f0_0000;

/** 64 bits, low word first. */
export const wide = (initial = 0): Field<number[]> => array(2, () => u32(initial));
export const big = (words: readonly number[]): bigint => (BigInt(words[1]!) << 32n) | BigInt(words[0]!);
export const words = (value: bigint): number[] => [
  Number(BigInt.asUintN(32, value)),
  Number(BigInt.asUintN(32, value >> 32n)),
];

export const timerState = pod({
  /** What the guest can change of the configuration register. */
  config: u16(),
  comparator: wide(0xffff_ffff),
  period: wide(),
  /** When the counter reaches the comparator next; null while that does not interrupt. */
  due: deadline(),
})
  .check((s) => (s.config & ~(TIMER_STORED | TIMER_ROUTE)) === 0 || "field 'config' has reserved bits set")
  .check(({ config }) => {
    const route = (config & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT;
    return route === 0 || (ROUTE_CAPABILITY & (1 << route)) !== 0 || "field 'config' has a route that is not wired";
  });
export type HpetTimer = StateOf<typeof timerState>;

const bits = (t: HpetTimer): 32 | 64 => ((t.config & TIMER_32_BIT) !== 0 ? 32 : 64);
const isPeriodic = (t: HpetTimer): boolean => (t.config & TIMER_PERIODIC) !== 0;

/** The input of the I/O APIC that the timer is routed to by itself; 0 for none. */
export const routeOf = (t: HpetTimer): number => (t.config & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT;

export const readConfig = (t: HpetTimer): number => t.config | TIMER_PERIODIC_CAPABLE | TIMER_SIZE_64;

/** A route that is not wired does not stick, by which software finds out. */
export function writeConfig(t: HpetTimer, value: number): void {
  const route = (value & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT;
  const wired = route === 0 || (ROUTE_CAPABILITY & (1 << route)) !== 0;
  t.config = (value & TIMER_STORED) | ((wired ? value : t.config) & TIMER_ROUTE);
  if (bits(t) === 32) t.comparator[1] = t.period[1] = 0;
}

/**
 * Half 0 or 1 of the comparator is written (2.3.9.2). In periodic mode that sets the period, and the comparator only when
 * "value set" announced it; 32-bit timers have no upper half.
 */
export function writeComparator(t: HpetTimer, half: 0 | 1, value: number): void {
  const kept = half === 1 && bits(t) === 32 ? 0 : value;
  if (!isPeriodic(t) || (t.config & TIMER_SET_VALUE) !== 0) t.comparator[half] = kept;
  if (isPeriodic(t)) t.period[half] = kept;
  t.config &= ~TIMER_SET_VALUE;
}

/** The match at or before `count` is over: a periodic comparator moves on beyond `count`. */
export function moveOn(t: HpetTimer, count: bigint): void {
  const period = big(t.period);
  if (!isPeriodic(t) || period === 0n) return;
  const comparator = big(t.comparator);
  const late = BigInt.asUintN(bits(t), count - comparator);
  t.comparator = words(BigInt.asUintN(bits(t), comparator + (late / period + 1n) * period));
}

/** Ticks from `count` to the next match; `matched` says that the one at `count` itself is over. */
export function ticksToMatch(t: HpetTimer, count: bigint, matched: boolean): bigint {
  const left = BigInt.asUintN(bits(t), big(t.comparator) - count);
  return left === 0n && matched ? 1n << BigInt(bits(t)) : left;
}
