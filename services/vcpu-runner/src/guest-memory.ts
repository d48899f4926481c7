/** The memory of a running guest: what it is to have, and what its balloon and the driver of that say (virtio 1.2, 5.5). */
import { setTimeout as delay } from 'node:timers/promises';
import type { Init, MemoryReport } from '@tomei/contracts';
import type { Guest } from '@tomei/guest';
import { TomeiError } from '@tomei/kit';

type Balloon = NonNullable<Awaited<ReturnType<Guest['balloon']>>>;

/** The guest, as messages and checks need it. */
export interface MemoryOf {
  readonly name: string;
  readonly memoryMib: number;
}

/** No system that has a driver for a balloon does anything useful with less. */
export const LEAST_MIB = 16;
const MIB = 2 ** 20;
/** Of the device, whatever pages the guest has (5.5.6). */
const PAGE_BYTES = 4096;
/** How long a driver may take to tell statistics, after which the last ones have to do; Linux takes some milliseconds. */
const STATISTICS_MS = 1_000;
/** How long a guest may take for all of it: less than whoever asks waits. */
const ANSWER_MS = 3_000;
const LOOK_AGAIN_MS = 10;

/**
 * Looks at a guest's memory and, where `wantedMib` is given, sets it first. Throws `guest.bad-memory`, `guest.no-balloon`,
 * `guest.no-balloon-driver`, `guest.busy`, and `guest.not-running` when it ends meanwhile.
 */
export async function guestMemory(
  guest: Pick<Guest, 'balloon'>,
  of: MemoryOf,
  wantedMib?: number,
): Promise<Init<MemoryReport>> {
  if (wantedMib !== undefined) checkWanted(of, wantedMib);
  const late = new AbortController();
  try {
    return reportOf(of, await Promise.race([look(guest, of, wantedMib), tooLate(of, late.signal)]));
  } catch (error) {
    if (error instanceof TomeiError && error.code === 'guest.ended')
      throw new TomeiError('guest.not-running', `${of.name} has just ended`, { cause: error });
    throw error;
  } finally {
    late.abort();
  }
}

function checkWanted({ name, memoryMib }: MemoryOf, wantedMib: number): void {
  const least = Math.min(LEAST_MIB, memoryMib);
  if (wantedMib >= least && wantedMib <= memoryMib) return;
  throw new TomeiError(
    'guest.bad-memory',
    wantedMib > memoryMib
      ? `${name} cannot have ${wantedMib} MiB: its .vmx gives it ${memoryMib} (memsize), and a balloon only takes of that`
      : `${name} cannot do with ${wantedMib} MiB: leave it ${least} at least`,
  );
}

async function look(
  guest: Pick<Guest, 'balloon'>,
  { name, memoryMib }: MemoryOf,
  wantedMib?: number,
): Promise<Balloon> {
  const until = performance.now() + STATISTICS_MS;
  const ask = async (pages?: number): Promise<Balloon> => {
    const balloon = await guest.balloon(pages);
    if (balloon !== undefined) return balloon;
    throw new TomeiError(
      'guest.no-balloon',
      `${name} has no balloon: its .vmx gives it one by tomei.balloon.present = "TRUE", unless tomei.paravirt is "off"`,
    );
  };
  const before = await ask();
  if (wantedMib !== undefined) {
    if (!before.hasDriver)
      throw new TomeiError(
        'guest.no-balloon-driver',
        `${name} has no driver for its balloon yet: it still starts, or its system has none (virtio_balloon of Linux)`,
        { retryable: true },
      );
    await ask((memoryMib - wantedMib) * (MIB / PAGE_BYTES));
  }
  // Each answer is of before its question.
  let balloon = await ask();
  while (balloon.isAsked && performance.now() < until) {
    await delay(LOOK_AGAIN_MS);
    balloon = await ask();
  }
  return balloon;
}

async function tooLate({ name }: MemoryOf, signal: AbortSignal): Promise<never> {
  await delay(ANSWER_MS, undefined, { signal });
  throw new TomeiError('guest.busy', `${name} does not answer now`, { retryable: true });
}

function reportOf({ memoryMib }: MemoryOf, balloon: Balloon): Init<MemoryReport> {
  const { wantedPages, actualPages, givenBytes, hasDriver, statistics: told } = balloon;
  const sizeBytes = memoryMib * MIB;
  return {
    sizeBytes,
    wantedBytes: Math.max(0, sizeBytes - wantedPages * PAGE_BYTES),
    balloonBytes: actualPages * PAGE_BYTES,
    ...{ givenBytes, hasDriver },
    ...(told === undefined
      ? {}
      : {
          statistics: {
            swapInBytes: told.swapIn,
            swapOutBytes: told.swapOut,
            majorFaults: told.majorFaults,
            minorFaults: told.minorFaults,
            freeBytes: told.freeMemory,
            totalBytes: told.totalMemory,
            availableBytes: told.availableMemory,
            cachesBytes: told.diskCaches,
            hugetlbAllocations: told.hugetlbAllocations,
            hugetlbFailures: told.hugetlbFailures,
          },
        }),
  };
}
