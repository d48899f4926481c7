/** What the end of a guest's process means for its run. */
import type { GuestEnd } from '@tomei/guest';
import { TomeiError, messageOf } from '@tomei/kit';

/** How one process of a run ended. */
export type ProcessOutcome =
  | { readonly kind: 'ended'; readonly end: GuestEnd }
  /** It could not start, or died: what it says itself, or what its parent saw. */
  | { readonly kind: 'failed'; readonly error: unknown };

/** What the runner had done to the run by then. */
export interface Meanwhile {
  /** Why it was asked to end, for a person; undefined when it was not. */
  readonly stopping: string | undefined;
  /** It had not ended within its time, and was ended by force. */
  readonly killed: boolean;
}
export type Verdict =
  /** The guest wants to begin anew, as after pressing the reset button: the same run goes on in a new process. */
  | { readonly kind: 'again' }
  | {
      readonly kind: 'over';
      readonly phase: 'RUN_PHASE_ENDED' | 'RUN_PHASE_CRASHED';
      readonly why: string;
      readonly message: string;
    };

const over = (crashed: boolean, why: string, message: string): Verdict => ({
  kind: 'over',
  phase: crashed ? 'RUN_PHASE_CRASHED' : 'RUN_PHASE_ENDED',
  why,
  message,
});

const ENDS: Readonly<Record<Exclude<GuestEnd['why'], 'reset' | 'triple-fault' | 'exit'>, string>> = {
  'power-off': 'the guest powered itself off',
  halted: 'the guest halted with interrupts off: nothing can wake it',
  stopped: 'the guest was powered off',
};

/** Every policy about how runs end is here. */
export function verdictOf(outcome: ProcessOutcome, { stopping, killed }: Meanwhile): Verdict {
  if (outcome.kind === 'failed') {
    // Whoever was asked to end may do so in any way.
    if (killed)
      return over(false, 'stopped', `${stopping ?? 'stopped'}; it did not end in time and was ended by force`);
    if (stopping !== undefined) return over(false, 'stopped', `${stopping}; ${messageOf(outcome.error)}`);
    const code = outcome.error instanceof TomeiError ? outcome.error.code : 'guest.failed';
    return over(true, code, messageOf(outcome.error));
  }
  const { why, status, detail } = outcome.end;
  if (stopping !== undefined && (why === 'stopped' || why === 'reset')) return over(false, 'stopped', stopping);
  switch (why) {
    case 'reset':
      return { kind: 'again' };
    case 'triple-fault':
      return over(true, why, `the guest went down by a triple fault${detail === undefined ? '' : ` ${detail}`}`);
    case 'exit':
      return over(false, why, `the guest ended with status ${status}`);
    case 'power-off':
    case 'halted':
    case 'stopped':
      return over(false, why, ENDS[why]);
  }
}

const RESET_PAUSE_MS = { shortLifeMs: 2_000, mostMs: 5_000 };

/** How long a guest that resets itself waits for its next process: a guest that does little else must not keep the host busy. */
export function resetPauseMs(livedMs: number, shortLives: number): number {
  if (livedMs >= RESET_PAUSE_MS.shortLifeMs) return 0;
  return Math.min(RESET_PAUSE_MS.mostMs, 100 * 2 ** Math.min(shortLives, 10));
}
/** Whether a process counts as one that lived too short. */
export const livedShort = (livedMs: number): boolean => livedMs < RESET_PAUSE_MS.shortLifeMs;
