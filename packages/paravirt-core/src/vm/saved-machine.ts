/** The state of a whole machine but its memory pages, as plain data: what suspend, snapshots and migration carry. */
import { nested, pod, whole, type Field, type Nanoseconds } from '@tomei/kit';
import type { SavedBoard } from '../machine/board.ts';
import { processorState, type ProcessorState } from './processor-state.ts';

/** What this version writes. Older states are brought here by `MIGRATIONS` in `snapshot-state.ts`. */
export const SAVED_MACHINE_VERSION = 5;

export interface SavedMachine {
  readonly version: number;
  /** Of the machine's clock. */
  readonly time: Nanoseconds;
  /** Executed since power-on. */
  readonly instructions: number;
  readonly processor: ProcessorState;
  /** What the guest has added to the time stamp counter, modulo 2^64. */
  readonly timestampOffset: bigint;
  readonly apicBase: number;
  /** Checked by the board and each device when it is restored. */
  readonly board: SavedBoard;
}

const bigint64: Field<bigint> = {
  initial: () => 0n,
  check: (v) => (typeof v === 'bigint' && v > -(1n << 64n) && v < 1n << 64n ? undefined : 'is not a 64-bit integer'),
  copy: (v) => v,
};
const board: Field<SavedBoard> = {
  initial: () => ({ version: 0, devices: {} }),
  check: (v) => (typeof v === 'object' && v !== null ? undefined : 'is not an object'),
  copy: (v) => v,
};
const currentVersion: Field<number> = {
  initial: () => SAVED_MACHINE_VERSION,
  check: (v) => (v === SAVED_MACHINE_VERSION ? undefined : `is not ${SAVED_MACHINE_VERSION}`),
  copy: (v) => v,
};
const savedMachine = pod({
  version: currentVersion,
  time: whole(),
  instructions: whole(),
  processor: nested(processorState),
  timestampOffset: bigint64,
  apicBase: whole(),
  board,
});

/** A checked copy; the board's part is checked by the board. Throws `state.invalid` naming the field. */
export const parseSavedMachine = (raw: unknown): SavedMachine => savedMachine.parse(raw);
