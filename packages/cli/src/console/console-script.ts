/** Plays console steps against a serial line and its machine: `--expect`, `--send` and their like of `tomei run`. */
import { OutputMatcher } from './output-matcher.ts';
import type { SerialEnd } from './serial-end.ts';
import type { ConsoleStep } from './steps.ts';

/** Calls `fire` after host time has passed; returns how to call it off. Tests give one that obeys them. */
export type After = (milliseconds: number, fire: () => void) => () => void;

export const afterHostTime: After = (milliseconds, fire) => {
  const timer = setTimeout(fire, milliseconds);
  return () => clearTimeout(timer);
};

export type ScriptResult =
  | { readonly matched: true }
  | {
      readonly matched: false;
      /** The time is up, or the guest ended first. */
      readonly why: 'timeout' | 'ended';
      /** What was waited for. */
      readonly expected: RegExp;
      /** The last lines of output since the match before. */
      readonly tail: string;
    }
  /** Something could not be done to the machine. */
  | { readonly matched: false; readonly why: 'failed'; readonly error: unknown };

export type ActStep = Extract<ConsoleStep, { kind: 'act' }>;
export interface ConsoleScript {
  /** Fulfilled once, when the last step is done or one cannot be done any more. Never rejected. */
  readonly result: Promise<ScriptResult>;
  /** Tells that the guest has ended and no output will come. */
  guestEnded(): void;
}

/**
 * Starts to play. A step begins when the one before is done, and an `expect` sees only output behind the match before it; a
 * step that output already there satisfies is done at once. `timeoutMs` is host time for the script as a whole.
 */
export function playScript(
  serial: SerialEnd,
  steps: readonly ConsoleStep[],
  timeoutMs: number,
  act: (step: ActStep) => Promise<unknown>,
  after: After = afterHostTime,
): ConsoleScript {
  const matcher = new OutputMatcher();
  const { promise, resolve } = Promise.withResolvers<ScriptResult>();
  let next = 0;
  let finished = false;
  let isActing = false;
  /** Why the pattern that comes next will not match any more. */
  let hopeless: 'timeout' | 'ended' | undefined;

  const finish = (result: ScriptResult): void => {
    if (finished) return;
    finished = true;
    cancelTimeout();
    resolve(result);
  };
  const fail = (why: 'timeout' | 'ended'): void => {
    hopeless = why;
    const step = steps[next];
    if (step?.kind === 'expect' && !isActing)
      finish({ matched: false, why, expected: step.pattern, tail: matcher.tail(8) });
  };
  const advance = (): void => {
    // A guest may answer within `write`: the step counts as done before it is carried out.
    while (!finished && !isActing) {
      const step = steps[next];
      if (step === undefined) return finish({ matched: true });
      if (step.kind === 'expect' && matcher.take(step.pattern) === null)
        return hopeless === undefined ? undefined : fail(hopeless);
      next++;
      if (step.kind === 'send') serial.write(step.bytes);
      if (step.kind === 'act') void carryOut(step);
    }
  };
  const carryOut = async (step: ActStep): Promise<void> => {
    isActing = true;
    try {
      await act(step);
    } catch (error) {
      return finish({ matched: false, why: 'failed', error });
    }
    isActing = false;
    advance();
  };

  const cancelTimeout = after(timeoutMs, () => fail('timeout'));
  serial.onData((bytes) => {
    if (finished) return;
    matcher.push(bytes);
    advance();
  });
  advance();
  return { result: promise, guestEnded: () => fail('ended') };
}

/** The result for a person, in one line and the output that was there instead. */
export function describeFailure(
  result: Extract<ScriptResult, { why: 'timeout' | 'ended' }>,
  timeoutMs: number,
): string {
  const when = result.why === 'timeout' ? `within ${timeoutMs / 1000} seconds` : 'before the guest ended';
  const seen = result.tail === '' ? 'there was no output' : `the last output was:\n${result.tail}`;
  return `the serial console did not match ${result.expected.source} ${when}; ${seen}`;
}
