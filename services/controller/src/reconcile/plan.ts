/**
 * From what is wanted and what is seen to the next step, for one guest. Pure, and every policy of the cluster is here: a row of
 * plan.test.ts each. A step that was taken is seen at the next look, so that a step which was lost is taken again.
 */
import type { ConsoleEndpoint, Guest, GuestObserved, GuestPhase, RunPhase } from '@tomei/contracts';
import type { RunnerState, SeenRun } from '../runners.ts';

/** What is known when a step is decided. Times in milliseconds by the controller's clock. */
export interface View {
  /** Undefined: nobody has registered it, or it was deleted. */
  readonly guest: Guest | undefined;
  /** Of this guest, on runners that are not lost. */
  readonly runs: readonly SeenRun[];
  /** Of the runner that the record names; undefined: never heard of. */
  readonly runner: { readonly state: RunnerState; readonly heardMs: number } | undefined;
  /** Whether whoever runs has had the time to say so. */
  readonly isSettled: boolean;
  readonly nowMs: number;
  /** When its runner took the command to start the current run; undefined when that is not known. */
  readonly acceptedMs: number | undefined;
}
/** What is to be written into the record; `since` and what is left out stay. */
export type Seen = Pick<GuestObserved, 'phase' | 'run' | 'runnerId' | 'message'> & {
  readonly console?: ConsoleEndpoint | undefined;
};
export type Step =
  /** Tell a runner to end a run, or that its end has been heard. */
  | {
      readonly kind: 'stop';
      readonly runnerId: string;
      readonly run: number;
      readonly phase: RunPhase;
      /** How long it may take to shut itself down; absent: none. */
      readonly graceMs?: number;
    }
  /** Choose a runner. */
  | { readonly kind: 'place' }
  /** Tell the chosen runner to start. */
  | { readonly kind: 'start'; readonly runnerId: string; readonly run: number }
  | { readonly kind: 'observe'; readonly seen: Seen }
  /** The run has ended: it is not wanted any more. */
  | { readonly kind: 'ended'; readonly run: number; readonly seen: Seen }
  /** The run is gone with its runner: another one is wanted. */
  | { readonly kind: 'lost'; readonly run: number; readonly seen: Seen }
  | { readonly kind: 'forget' }
  /** Nothing to do before somebody is heard of. */
  | { readonly kind: 'wait' };

/** A heartbeat that comes so soon after a start may have been sent before it. */
const START_SHOWS_MS = 3_000;

/** How a run ended that was stopped from outside. */
const STOPPED = 'stopped';

const LIVE: Readonly<Partial<Record<RunPhase, GuestPhase>>> = {
  RUN_PHASE_STARTING: 'GUEST_PHASE_STARTING',
  RUN_PHASE_RUNNING: 'GUEST_PHASE_RUNNING',
  RUN_PHASE_STOPPING: 'GUEST_PHASE_STOPPING',
};

/** The next step; undefined: everything is as it should be. */
export function plan(view: View): Step | undefined {
  const { guest, runs } = view;
  if (guest?.desired === undefined) return stopOf(runs[0]);
  const { desired, observed } = guest;
  const mine = runs.filter(({ report }) => report.run === desired.run);
  const current = mine.find(({ runnerId }) => runnerId === observed?.runnerId) ?? mine[0];
  // Whatever else there is of it has been replaced: its disks are fenced already, and it only takes room.
  const stray = runs.find((run) => run !== current);
  if (stray !== undefined) return (current === undefined ? replacedSeen(guest, stray) : undefined) ?? stopOf(stray);
  return current === undefined ? withoutRun(view, guest) : withRun(guest, current);
}

const stopOf = (run: SeenRun | undefined, graceMs = 0): Step | undefined =>
  run === undefined
    ? undefined
    : {
        ...{ kind: 'stop', runnerId: run.runnerId, run: run.report.run, phase: run.report.phase },
        ...(graceMs === 0 ? {} : { graceMs }),
      };

/** A reset: the record still shows the run before, which is about to end; its place is given up with it. */
function replacedSeen({ desired, observed }: Guest, { report, runnerId }: SeenRun): Step | undefined {
  const isShown = observed?.run === report.run && observed.runnerId === runnerId && LIVE[report.phase] !== undefined;
  if (!isShown || desired!.power !== 'POWER_ON') return undefined;
  return { kind: 'observe', seen: { phase: 'GUEST_PHASE_STOPPING', run: desired!.run, runnerId: '', message: '' } };
}

/** The wanted run is there, or has been. */
function withRun(guest: Guest, current: SeenRun): Step | undefined {
  const { report, runnerId } = current;
  const { desired, observed } = guest;
  const { run, message, why } = report;
  const phase = LIVE[report.phase];
  if (phase === undefined) {
    const crashed = report.phase === 'RUN_PHASE_CRASHED';
    if (desired!.power !== 'POWER_ON') return endedSeen(guest, current) ?? stopOf(current);
    // Nobody here asked for it: the runner did it by itself, because it leaves.
    if (why === STOPPED) return lostBy(guest, `its runner ${runnerId} leaves; it is started anew`);
    const seen = { phase: crashed ? 'GUEST_PHASE_CRASHED' : 'GUEST_PHASE_OFF', run, runnerId: '' } as const;
    return { kind: 'ended', run, seen: { ...seen, message: crashed ? message || why : '' } };
  }
  const isWanted = desired!.power === 'POWER_ON';
  const seen: Seen = {
    phase: isWanted ? phase : 'GUEST_PHASE_STOPPING',
    run,
    runnerId,
    message,
    ...(report.console === undefined ? {} : { console: report.console }),
  };
  if (!isSame(observed, seen)) return { kind: 'observe', seen };
  return isWanted ? undefined : stopOf(current, desired!.graceMs);
}
/** A run that was stopped by a command has its end written before the runner is told that it was heard. */
function endedSeen({ observed }: Guest, { report }: SeenRun): Step | undefined {
  const done = observed?.phase === 'GUEST_PHASE_OFF' || observed?.phase === 'GUEST_PHASE_CRASHED';
  if (done && observed.run === report.run) return undefined;
  return { kind: 'observe', seen: { phase: 'GUEST_PHASE_OFF', run: report.run, runnerId: '', message: '' } };
}

/** No runner reports the wanted run. */
function withoutRun(view: View, guest: Guest): Step | undefined {
  const { desired, observed } = guest;
  const isPlaced = observed !== undefined && observed.runnerId !== '' && observed.run === desired!.run;
  if (desired!.power !== 'POWER_ON') {
    if (isPlaced && !isGone(view)) return { kind: 'wait' };
    if (desired!.deleting) return { kind: 'forget' };
    const done = observed?.phase === 'GUEST_PHASE_OFF' || observed?.phase === 'GUEST_PHASE_CRASHED';
    if (done) return undefined;
    return { kind: 'observe', seen: { phase: 'GUEST_PHASE_OFF', run: desired!.run, runnerId: '', message: '' } };
  }
  if (!isPlaced) {
    // A run before this one may still be somewhere that has not been heard of.
    return view.isSettled || desired!.run <= 1 ? { kind: 'place' } : { kind: 'wait' };
  }
  if (isGone(view)) {
    const message =
      view.runner === undefined || view.runner.state === 'lost'
        ? `its runner ${observed.runnerId} is not heard of any more; it is started anew`
        : `its runner ${observed.runnerId} does not have it any more; it is started anew`;
    return lostBy(guest, message);
  }
  if (view.runner === undefined) return { kind: 'wait' };
  if (observed.phase === 'GUEST_PHASE_STARTING' && view.acceptedMs === undefined)
    return { kind: 'start', runnerId: observed.runnerId, run: desired!.run };
  return { kind: 'wait' };
}

function lostBy({ desired }: Guest, message: string): Step {
  const { run } = desired!;
  return { kind: 'lost', run, seen: { phase: 'GUEST_PHASE_LOST', run, runnerId: '', message } };
}

/** Whether the run that the record speaks of cannot come back: its runner is silent, or speaks and does not name it. */
function isGone({ guest, runner, isSettled, nowMs, acceptedMs }: View): boolean {
  if (runner === undefined || runner.state === 'lost') return isSettled;
  // Not told to start yet, as far as is known: the command may still be on its way.
  if (guest!.observed!.phase === 'GUEST_PHASE_STARTING' && acceptedMs === undefined)
    return guest!.desired!.power !== 'POWER_ON' && isSettled;
  const since = acceptedMs ?? guest!.observed!.sinceMs;
  return runner.heardMs > since && nowMs - since > START_SHOWS_MS;
}

function isSame(observed: GuestObserved | undefined, seen: Seen): boolean {
  return (
    observed?.phase === seen.phase &&
    observed.run === seen.run &&
    observed.runnerId === seen.runnerId &&
    observed.message === seen.message &&
    observed.console?.token === seen.console?.token &&
    observed.console?.endpoint?.target === seen.console?.endpoint?.target
  );
}
