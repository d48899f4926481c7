/** Every policy of the cluster, a row each. */
import { messages, type Guest, type Init, type RunPhase, type RunReport } from '@tomei/contracts';
import { describe, expect, test } from 'vitest';
import type { SeenRun } from '../runners.ts';
import { plan, type Step, type View } from './plan.ts';

const NOW = 100_000;
const LONG_AGO = NOW - 60_000;

const guest = (desired: Init<Guest['desired']>, observed: Init<Guest['observed']> = {}): Guest =>
  messages.Guest.make({
    id: 'g',
    name: 'g',
    desired: { power: 'POWER_ON', run: 1, ...desired },
    observed: { phase: 'GUEST_PHASE_OFF', sinceMs: LONG_AGO, ...observed },
  });
const on = (run: number): Init<Guest['desired']> => ({ power: 'POWER_ON', run });
const off = (run: number): Init<Guest['desired']> => ({ power: 'POWER_OFF', run });
const deleting = (run: number): Init<Guest['desired']> => ({ power: 'POWER_OFF', run, deleting: true });
const running = (run: number, runnerId = 'r1'): Init<Guest['observed']> => ({
  phase: 'GUEST_PHASE_RUNNING',
  run,
  runnerId,
});
const starting = (run: number, runnerId = 'r1'): Init<Guest['observed']> => ({
  phase: 'GUEST_PHASE_STARTING',
  run,
  runnerId,
});
const seen = (runnerId: string, run: number, phase: RunPhase, more: Init<RunReport> = {}): SeenRun => ({
  runnerId,
  report: messages.RunReport.make({ guestId: 'g', run, phase, ...more }),
  heardMs: NOW,
});
const ready = { state: 'ready', heardMs: NOW } as const;
const lost = { state: 'lost', heardMs: LONG_AGO } as const;

const world = (guestOf: Guest | undefined, more: Partial<View> = {}): View => ({
  guest: guestOf,
  runs: [],
  runner: undefined,
  isSettled: true,
  nowMs: NOW,
  acceptedMs: undefined,
  ...more,
});
const stop = (runnerId: string, run: number, phase: RunPhase): Step => ({ kind: 'stop', runnerId, run, phase });
const observe = (phase: string, run: number, runnerId: string, message = ''): Step =>
  ({ kind: 'observe', seen: { phase, run, runnerId, message } }) as Step;

describe('what is done next', () => {
  test.each<[name: string, world: View, step: Step | undefined]>([
    ['nothing about a guest that is off', world(guest(off(0))), undefined],
    ['a wanted guest is placed', world(guest(on(1))), { kind: 'place' }],
    [
      'one that waits for room is placed as soon as it can be',
      world(guest(on(1), { phase: 'GUEST_PHASE_PENDING', run: 1 })),
      { kind: 'place' },
    ],
    [
      'a later run waits until whoever has the earlier one could have said so',
      world(guest(on(2)), { isSettled: false }),
      { kind: 'wait' },
    ],
    [
      'a placed guest is started',
      world(guest(on(1), starting(1)), { runner: ready }),
      { kind: 'start', runnerId: 'r1', run: 1 },
    ],
    [
      'one that was told to start is waited for',
      world(guest(on(1), starting(1)), { runner: { ...ready, heardMs: NOW - 1 }, acceptedMs: NOW - 1_000 }),
      { kind: 'wait' },
    ],
    [
      'one that its runner took and does not name for long is lost',
      world(guest(on(1), starting(1)), { runner: ready, acceptedMs: NOW - 4_000 }),
      {
        kind: 'lost',
        run: 1,
        seen: {
          phase: 'GUEST_PHASE_LOST',
          run: 1,
          runnerId: '',
          message: 'its runner r1 does not have it any more; it is started anew',
        },
      },
    ],
    [
      'what the runner says is written down',
      world(guest(on(1), starting(1)), { runner: ready, runs: [seen('r1', 1, 'RUN_PHASE_RUNNING')] }),
      observe('GUEST_PHASE_RUNNING', 1, 'r1'),
    ],
    [
      'a guest that runs as it should is left alone',
      world(guest(on(1), running(1)), { runner: ready, runs: [seen('r1', 1, 'RUN_PHASE_RUNNING')] }),
      undefined,
    ],
    [
      'a run that is there already is adopted, whatever the record says of it',
      world(guest(on(3), { phase: 'GUEST_PHASE_PENDING', run: 3 }), { runs: [seen('r2', 3, 'RUN_PHASE_RUNNING')] }),
      observe('GUEST_PHASE_RUNNING', 3, 'r2'),
    ],
    [
      'power off: first it is said to be stopping',
      world(guest(off(1), running(1)), { runner: ready, runs: [seen('r1', 1, 'RUN_PHASE_RUNNING')] }),
      observe('GUEST_PHASE_STOPPING', 1, 'r1'),
    ],
    [
      'power off: then it is stopped',
      world(guest(off(1), { phase: 'GUEST_PHASE_STOPPING', run: 1, runnerId: 'r1' }), {
        runner: ready,
        runs: [seen('r1', 1, 'RUN_PHASE_RUNNING')],
      }),
      stop('r1', 1, 'RUN_PHASE_RUNNING'),
    ],
    [
      'shutdown: it is given its time',
      world(guest({ ...off(1), graceMs: 9_000 }, { phase: 'GUEST_PHASE_STOPPING', run: 1, runnerId: 'r1' }), {
        runner: ready,
        runs: [seen('r1', 1, 'RUN_PHASE_RUNNING')],
      }),
      { kind: 'stop', runnerId: 'r1', run: 1, phase: 'RUN_PHASE_RUNNING', graceMs: 9_000 },
    ],
    [
      'power off: its end is written down before the runner may forget it',
      world(guest(off(1), { phase: 'GUEST_PHASE_STOPPING', run: 1, runnerId: 'r1' }), {
        runner: ready,
        runs: [seen('r1', 1, 'RUN_PHASE_ENDED', { why: 'stopped' })],
      }),
      observe('GUEST_PHASE_OFF', 1, ''),
    ],
    [
      'an end that is written down is confirmed',
      world(guest(off(1), { phase: 'GUEST_PHASE_OFF', run: 1 }), {
        runs: [seen('r1', 1, 'RUN_PHASE_ENDED', { why: 'stopped' })],
      }),
      stop('r1', 1, 'RUN_PHASE_ENDED'),
    ],
    [
      'power off of one that waits for room',
      world(guest(off(1), { phase: 'GUEST_PHASE_PENDING', run: 1, message: 'no room' })),
      observe('GUEST_PHASE_OFF', 1, ''),
    ],
    [
      'reset: first the old run is said to be stopping, and is not where the guest is any more',
      world(guest(on(2), running(1)), { runner: ready, runs: [seen('r1', 1, 'RUN_PHASE_RUNNING')] }),
      observe('GUEST_PHASE_STOPPING', 2, ''),
    ],
    [
      'reset: then the old run is stopped',
      world(guest(on(2), { phase: 'GUEST_PHASE_STOPPING', run: 2 }), { runs: [seen('r1', 1, 'RUN_PHASE_RUNNING')] }),
      stop('r1', 1, 'RUN_PHASE_RUNNING'),
    ],
    [
      'reset: when the old run is gone the new one is placed',
      world(guest(on(2), { phase: 'GUEST_PHASE_STOPPING', run: 2 })),
      { kind: 'place' },
    ],
    [
      'reset: the new run is placed when the old one is gone',
      world(guest(on(2), running(1)), { runner: ready }),
      { kind: 'place' },
    ],
    [
      'a guest that powered itself off stays off',
      world(guest(on(1), running(1)), {
        runner: ready,
        runs: [seen('r1', 1, 'RUN_PHASE_ENDED', { why: 'power-off' })],
      }),
      { kind: 'ended', run: 1, seen: { phase: 'GUEST_PHASE_OFF', run: 1, runnerId: '', message: '' } },
    ],
    [
      'a guest that crashed stays down, and says why',
      world(guest(on(1), running(1)), {
        runner: ready,
        runs: [seen('r1', 1, 'RUN_PHASE_CRASHED', { why: 'triple-fault', message: 'it went down' })],
      }),
      { kind: 'ended', run: 1, seen: { phase: 'GUEST_PHASE_CRASHED', run: 1, runnerId: '', message: 'it went down' } },
    ],
    [
      'a crash that is written down is confirmed, and stays written',
      world(guest(off(1), { phase: 'GUEST_PHASE_CRASHED', run: 1, message: 'it went down' }), {
        runs: [seen('r1', 1, 'RUN_PHASE_CRASHED')],
      }),
      stop('r1', 1, 'RUN_PHASE_CRASHED'),
    ],
    [
      'a crashed guest that is wanted again is placed, once the end of its old run is confirmed',
      world(guest(on(2), { phase: 'GUEST_PHASE_CRASHED', run: 1 }), { runs: [seen('r1', 1, 'RUN_PHASE_CRASHED')] }),
      stop('r1', 1, 'RUN_PHASE_CRASHED'),
    ],
    [
      'a guest whose runner stopped it to leave goes on elsewhere',
      world(guest(on(1), running(1)), {
        runner: { state: 'draining', heardMs: NOW },
        runs: [seen('r1', 1, 'RUN_PHASE_ENDED', { why: 'stopped' })],
      }),
      {
        kind: 'lost',
        run: 1,
        seen: { phase: 'GUEST_PHASE_LOST', run: 1, runnerId: '', message: 'its runner r1 leaves; it is started anew' },
      },
    ],
    [
      'a guest whose runner is lost is wanted anew',
      world(guest(on(1), running(1)), { runner: lost }),
      {
        kind: 'lost',
        run: 1,
        seen: {
          phase: 'GUEST_PHASE_LOST',
          run: 1,
          runnerId: '',
          message: 'its runner r1 is not heard of any more; it is started anew',
        },
      },
    ],
    [
      'nobody is lost before everybody could be heard',
      world(guest(on(1), running(1)), { isSettled: false }),
      { kind: 'wait' },
    ],
    ['a lost guest is placed', world(guest(on(2), { phase: 'GUEST_PHASE_LOST', run: 1 })), { kind: 'place' }],
    [
      'a lost guest that is not wanted any more is off',
      world(guest(off(1), running(1)), { runner: lost }),
      observe('GUEST_PHASE_OFF', 1, ''),
    ],
    [
      'of two runs the older one is stopped, on whatever runner it is',
      world(guest(on(2), running(2, 'r2')), {
        runner: ready,
        runs: [seen('r1', 1, 'RUN_PHASE_RUNNING'), seen('r2', 2, 'RUN_PHASE_RUNNING')],
      }),
      stop('r1', 1, 'RUN_PHASE_RUNNING'),
    ],
    [
      'of one run on two runners the one is stopped that the record does not name',
      world(guest(on(2), running(2, 'r2')), {
        runner: ready,
        runs: [seen('r1', 2, 'RUN_PHASE_RUNNING'), seen('r2', 2, 'RUN_PHASE_RUNNING')],
      }),
      stop('r1', 2, 'RUN_PHASE_RUNNING'),
    ],
    [
      'a run of a guest that nobody knows is stopped',
      world(undefined, { runs: [seen('r1', 1, 'RUN_PHASE_RUNNING')] }),
      stop('r1', 1, 'RUN_PHASE_RUNNING'),
    ],
    ['nothing about a guest that nobody knows and nobody has', world(undefined), undefined],
    ['a guest that is off and to be deleted is forgotten', world(guest(deleting(1))), { kind: 'forget' }],
    [
      'a guest that runs and is to be deleted is stopped first',
      world(guest(deleting(1), { phase: 'GUEST_PHASE_STOPPING', run: 1, runnerId: 'r1' }), {
        runner: ready,
        runs: [seen('r1', 1, 'RUN_PHASE_STOPPING')],
      }),
      stop('r1', 1, 'RUN_PHASE_STOPPING'),
    ],
    [
      'a guest that is to be deleted is not forgotten before it is known to be off',
      world(guest(deleting(1), running(1)), { runner: ready, nowMs: LONG_AGO + 1_000 }),
      { kind: 'wait' },
    ],
  ])('%s', (_, view, step) => {
    expect(plan(view)).toEqual(step);
  });

  test('a secret that a process of the same run has anew is written down', () => {
    const console = (token: string): Init<Guest['observed']> => ({ console: { endpoint: { target: 'x:1' }, token } });
    const view = world(guest(on(1), { ...running(1), ...console('old') }), {
      runner: ready,
      runs: [seen('r1', 1, 'RUN_PHASE_RUNNING', console('new') as Init<RunReport>)],
    });

    expect(plan(view)).toMatchObject({ kind: 'observe', seen: { console: { token: 'new' } } });
  });
});
