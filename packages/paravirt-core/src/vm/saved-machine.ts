/** The state of a whole machine but its memory pages, as plain data: what suspend, snapshots and migration carry. */
import { TomeiError, bool, list, nested, pod, whole, type Field, type Nanoseconds, type StateOf } from '@tomei/kit';
import type { SavedBoard } from '../machine/board.ts';
import { MOST_PROCESSORS } from './machine-config.ts';
import { processorState, type ProcessorState } from './processor-state.ts';

/** What this version writes. Older states are brought here by `MIGRATIONS` in `snapshot-state.ts`. */
export const SAVED_MACHINE_VERSION = 6;

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
  /** Absent in a machine of one processor. */
  readonly others?: SavedProcessors;
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

/** Application processors, in their order, and whose turn it is. */
const savedProcessors = pod({
  /** Who executes; 0 is the bootstrap processor. */
  turn: whole(),
  /** Whose turn that is. */
  place: whole(),
  /** Work that is left of the turn. */
  left: whole(),
  processors: list(
    MOST_PROCESSORS - 1,
    nested(
      pod({
        instructions: whole(),
        processor: nested(processorState),
        timestampOffset: bigint64,
        apicBase: whole(),
        /** It waits to be started. */
        waiting: bool(),
      }),
    ),
  ),
})
  .check((s) => s.turn <= s.processors.length || `field 'turn' is ${s.turn}, and there are fewer processors`)
  .check((s) => s.place <= s.processors.length || `field 'place' is ${s.place}, and there are fewer processors`);
export type SavedProcessors = StateOf<typeof savedProcessors>;

/** A checked copy; the board's part is checked by the board. Throws `state.invalid` naming the field. */
export function parseSavedMachine(raw: unknown): SavedMachine {
  if (typeof raw !== 'object' || raw === null || !('others' in raw)) return savedMachine.parse(raw);
  const { others, ...machine } = raw,
    state = savedMachine.parse(machine);
  try {
    return { ...state, others: savedProcessors.parse(others) };
  } catch (error) {
    if (!(error instanceof TomeiError)) throw error;
    throw new TomeiError(error.code, `field 'others': ${error.message}`, { cause: error });
  }
}
