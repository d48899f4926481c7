/**
 * Statistics registers (82540EM software developer's manual, 13.7): each is cleared when it is read, and stays at its largest
 * value rather than wrap. Errors of the wire are never counted, as this wire has none.
 */
import { array, pod, u32, type StateOf } from '@tomei/kit';
import { STATISTICS, STATISTICS_END } from './registers.ts';

/** Places, in words from the first statistics register. */
const at = (address: number): number => (address - STATISTICS) / 4;
export const MPC = at(0x4010);
const PRC64 = at(0x405c);
const GPRC = at(0x4074);
const BPRC = at(0x4078);
const MPRC = at(0x407c);
const GPTC = at(0x4080);
const GORC = at(0x4088);
const GOTC = at(0x4090);
export const RNBC = at(0x40a0);
export const RUC = at(0x40a4);
export const ROC = at(0x40ac);
const TOR = at(0x40c0);
const TOT = at(0x40c8);
const TPR = at(0x40d0);
const TPT = at(0x40d4);
const PTC64 = at(0x40d8);
const MPTC = at(0x40f0);
const BPTC = at(0x40f4);
export const TSCTC = at(0x40f8);
/** Counters of 64 bits: low word, high word. */
const WIDE: readonly number[] = [GORC, GOTC, TOR, TOT];

const WORDS = (STATISTICS_END - STATISTICS) / 4;
const LARGEST = 0xffff_ffff;

export const statisticsState = pod({ counters: array(WORDS, () => u32()) });
export type Statistics = StateOf<typeof statisticsState>;

export function count(s: Statistics, place: number, by = 1): void {
  const sum = s.counters[place]! + by;
  if (!WIDE.includes(place)) s.counters[place] = Math.min(sum, LARGEST);
  else if (sum <= LARGEST) s.counters[place] = sum;
  else if (s.counters[place + 1]! < LARGEST) {
    s.counters[place] = sum - 2 ** 32;
    s.counters[place + 1] = s.counters[place + 1]! + 1;
  } else s.counters[place] = LARGEST;
}

/** Reads and clears; reading the high word of a wide counter clears both, the low one none. */
export function readStatistic(s: Statistics, place: number): number {
  const value = s.counters[place]!;
  if (WIDE.includes(place)) return value;
  if (WIDE.includes(place - 1)) s.counters[place - 1] = 0;
  s.counters[place] = 0;
  return value;
}

/** Which of the counters by size a packet of `size` bytes, check sequence included, belongs to. */
const sizeClass = (size: number): number => [64, 127, 255, 511, 1023].filter((limit) => size > limit).length;

const isBroadcast = (frame: Uint8Array): boolean => frame.subarray(0, 6).every((byte) => byte === 0xff);
const isMulticast = (frame: Uint8Array): boolean => (frame[0]! & 1) !== 0;

/** `size` counts the frame check sequence, which `frame` does not have. */
export function countReceived(s: Statistics, frame: Uint8Array, size: number): void {
  count(s, TPR);
  count(s, TOR, size);
  count(s, GPRC);
  count(s, GORC, size);
  count(s, PRC64 + sizeClass(size));
  if (isBroadcast(frame)) count(s, BPRC);
  else if (isMulticast(frame)) count(s, MPRC);
}

export function countSent(s: Statistics, frame: Uint8Array, size: number): void {
  count(s, TPT);
  count(s, TOT, size);
  count(s, GPTC);
  count(s, GOTC, size);
  count(s, PTC64 + sizeClass(size));
  if (isBroadcast(frame)) count(s, BPTC);
  else if (isMulticast(frame)) count(s, MPTC);
}
