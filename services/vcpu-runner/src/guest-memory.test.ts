/** The memory of guests, asked for by commands to their runner. */
import { afterEach, describe, expect, test } from 'vitest';
import { TomeiError } from '@tomei/kit';
import { Rig, closeRigs } from './runner-rig.ts';
import type { ScriptedGuest } from './scripted-guest.ts';

afterEach(closeRigs);

describe('memory', () => {
  const MIB = 2 ** 20;
  const balloon = { hasDriver: true, wantedPages: 0, actualPages: 0, givenBytes: 0, isAsked: false };
  const statistics = {
    ...{ swapIn: 1, swapOut: 2, majorFaults: 3, minorFaults: 4, freeMemory: 5, totalMemory: 6 },
    ...{ availableMemory: 7, diskCaches: 8, hugetlbAllocations: 9, hugetlbFailures: 10 },
  };

  test('is told as it is when the driver has answered, in bytes', async () => {
    const rig = await Rig.start();
    const guest = await rig.running();
    const old = { ...balloon, statistics: { ...statistics, freeMemory: 0 } };
    const told = { ...balloon, wantedPages: 512, actualPages: 256, givenBytes: 77, statistics };
    const looks = [old, { ...old, isAsked: true }, { ...old, isAsked: true }, told];
    guest.balloonNow = () => Promise.resolve(looks.shift());

    expect(await rig.memory()).toEqual({
      memory: {
        ...{ sizeBytes: 256 * MIB, wantedBytes: 254 * MIB, balloonBytes: MIB, givenBytes: 77, hasDriver: true },
        statistics: {
          ...{ swapInBytes: 1, swapOutBytes: 2, majorFaults: 3, minorFaults: 4, freeBytes: 5, totalBytes: 6 },
          ...{ availableBytes: 7, cachesBytes: 8, hugetlbAllocations: 9, hugetlbFailures: 10 },
        },
      },
    });
    expect([guest.asked, looks]).toEqual([[], []]);
  });

  test('of a driver that does not answer, or is not there, is what is known', async () => {
    const rig = await Rig.start();
    const guest = await rig.running();

    guest.balloonNow = () => Promise.resolve({ ...balloon, isAsked: true, statistics });
    expect((await rig.memory()).memory?.statistics?.freeBytes).toBe(5);
    guest.balloonNow = () => Promise.resolve({ ...balloon, hasDriver: false });
    const { memory } = await rig.memory();
    expect(memory).toMatchObject({ hasDriver: false, wantedBytes: 256 * MIB, balloonBytes: 0 });
    expect(memory).not.toHaveProperty('statistics');
  });

  test('is set by what is to be in the balloon, between 16 MiB and all that the guest has', async () => {
    const rig = await Rig.start();
    const guest = await rig.running();
    guest.balloonNow = () => Promise.resolve(balloon);

    for (const mib of [16, 100, 256]) expect((await rig.memory(mib)).trouble).toBeUndefined();
    for (const [mib, words] of [
      [0, /leave it 16/],
      [15, /leave it 16/],
      [257, /memsize/],
    ] as const)
      // prettier-ignore
      expect((await rig.memory(mib)).trouble).toMatchObject({
        code: 'guest.bad-memory',
        message: expect.stringMatching(words) as string,
      });
    expect(guest.asked).toEqual(['61440 pages', '39936 pages', '0 pages']);
  });

  test.each<[string, ScriptedGuest['balloonNow'], string, boolean]>([
    ['without a balloon', undefined, 'guest.no-balloon', false],
    ['without a driver', () => Promise.resolve({ ...balloon, hasDriver: false }), 'guest.no-balloon-driver', true],
    ['that ends', () => Promise.reject(new TomeiError('guest.ended', 'x')), 'guest.not-running', false],
    ['that never answers', () => new Promise(() => undefined), 'guest.busy', true],
  ])('a guest %s is left as it is, and that is said', async (_, balloonNow, code, retryable) => {
    const rig = await Rig.start();
    const guest = await rig.running();
    guest.balloonNow = balloonNow;

    expect((await rig.memory(100)).trouble).toMatchObject({ code, retryable });
    expect(guest.asked).toEqual([]);
  });

  test('is of the run that is asked for, while it runs', async () => {
    const rig = await Rig.start();
    await rig.start();
    expect((await rig.memory()).trouble?.code).toBe('guest.not-running');
    const guest = await rig.guest(0);
    guest.run();
    await rig.report('RUN_PHASE_RUNNING');

    expect((await rig.memory(undefined, 2)).trouble?.code).toBe('guest.not-running');
    guest.end('power-off');
    await rig.report('RUN_PHASE_ENDED');
    expect((await rig.memory()).trouble?.code).toBe('guest.not-running');
  });

  test('a guest that answers slowly keeps no other command waiting', async () => {
    const rig = await Rig.start();
    const guest = await rig.running();
    const answer = Promise.withResolvers<typeof balloon>();
    guest.balloonNow = () => answer.promise;
    const asked = rig.memory();

    expect(await rig.stop()).toEqual({});
    answer.resolve(balloon);
    expect((await asked).memory?.sizeBytes).toBe(256 * MIB);
  });
});
