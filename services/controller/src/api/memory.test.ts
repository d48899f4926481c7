/** The memory of guests over the HTTP API: whoever has a guest is asked. */
import { messages, newId, subjects, type Init, type RunReport, type RunnerReply } from '@tomei/contracts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiRig } from './api-rig.ts';

describe('the memory of a guest', () => {
  let rig: ApiRig;
  let id: string;
  const asked: unknown[] = [];
  beforeEach(async () => {
    asked.length = 0;
    rig = await ApiRig.start();
    id = await rig.register();
  });
  afterEach(() => rig.close());
  /** A runner that has runs of the guest, and answers every command with the same. */
  async function answering(reply: Init<RunnerReply>, ...runs: Init<RunReport>[]): Promise<void> {
    rig.bus.respond(subjects.runnerCommand('r-1'), (bytes) => {
      const { memory } = messages.RunnerCommand.decode(bytes);
      // The reconciler stops runs that nobody wants.
      if (memory !== undefined) asked.push(memory);
      return Promise.resolve(messages.RunnerReply.encode(reply));
    });
    const heartbeat = { runnerId: 'r-1', instanceId: newId(), atMs: 1 };
    const reports = runs.map((run) => ({ guestId: id, ...run }));
    rig.bus.publish(subjects.runnerHeartbeat('r-1'), messages.RunnerHeartbeat.encode({ ...heartbeat, runs: reports }));
    await vi.waitFor(async () =>
      expect((await rig.call('GET', '/runners')).json<{ runners: [] }>().runners).toHaveLength(1),
    );
  }

  test('is asked of the runner that has it, of the run that runs, and set there', async () => {
    const memory = { sizeBytes: 64, wantedBytes: 32, balloonBytes: 16, givenBytes: 99, hasDriver: true };
    await answering(
      { memory: { ...memory, statistics: { freeBytes: 5 } } },
      { run: 3, phase: 'RUN_PHASE_RUNNING' },
      { run: 2, phase: 'RUN_PHASE_RUNNING' },
      { run: 4, phase: 'RUN_PHASE_ENDED' },
    );

    const shown = await rig.call('GET', '/guests/tiny/memory');
    const set = await rig.call('PUT', `/guests/${id}/memory`, { wantedMiB: 48 });

    expect([shown.statusCode, set.statusCode, set.json()]).toEqual([200, 200, shown.json()]);
    expect(shown.json()).toMatchObject({
      ...{ id, name: 'tiny', run: 3, runner: 'r-1', sizeBytes: 64, wantedBytes: 32, bytes: 48 },
      ...{ balloonBytes: 16, givenBytes: 99, driver: true, statistics: { freeBytes: 5, swapInBytes: 0 } },
    });
    expect(asked).toEqual([
      { guestId: id, run: 3 },
      { guestId: id, run: 3, wantedMib: 48 },
    ]);
  });

  test('a driver that says that it took more than there is, and tells nothing, is shown all the same', async () => {
    await answering({ memory: { sizeBytes: 64, balloonBytes: 2 ** 44 } }, { run: 1, phase: 'RUN_PHASE_RUNNING' });

    expect((await rig.call('GET', '/guests/tiny/memory')).json()).toMatchObject({ bytes: 0, statistics: null });
  });

  test.each([
    ['guest.bad-memory', 400],
    ['guest.no-balloon', 409],
    ['guest.no-balloon-driver', 409],
    ['guest.not-running', 409],
    ['guest.busy', 503],
  ])('what a runner refuses with %s is answered with %i', async (code, status) => {
    const trouble = { code, message: 'no', retryable: true };
    await answering({ trouble }, { run: 1, phase: 'RUN_PHASE_RUNNING' });

    const answer = await rig.call('PUT', '/guests/tiny/memory', { wantedMiB: 48 });
    expect([answer.statusCode, answer.json()]).toEqual([status, { error: trouble }]);
  });

  test('of a guest that is off, or that a silent runner has, is not known', async () => {
    const off = await rig.call('GET', '/guests/tiny/memory');
    expect([off.statusCode, off.json()]).toMatchObject([409, { error: { code: 'guest.not-running' } }]);

    await answering({}, { run: 1, phase: 'RUN_PHASE_RUNNING' });
    const mute = await rig.call('GET', '/guests/tiny/memory');
    expect([mute.statusCode, mute.json()]).toMatchObject([500, { error: { code: 'runner.bad-answer' } }]);
  });
});
