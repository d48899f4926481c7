/** What this host offers to guests, and what a runner on it is called, unless somebody says so. */
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, totalmem } from 'node:os';

/** Ids are 1 to 63 of a to z, 0 to 9 and `-`, neither first nor last a `-`. */
export function runnerIdFrom(name: string): string {
  const fitting = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, '');
  return fitting === '' ? 'runner' : fitting;
}
export const defaultRunnerId = (): string => runnerIdFrom(hostname());

const MIB = 2 ** 20;
/** For the host, for the runner, and for what each guest's process takes besides the guest's memory. */
const RESERVE = { part: 1 / 8, leastMib: 256 } as const;

/** Memory for guests on a host, or in a container, that has so much. */
export function memoryForGuestsMib(bytes: number): number {
  const mib = Math.floor(bytes / MIB);
  return Math.max(0, mib - Math.max(RESERVE.leastMib, Math.ceil(mib * RESERVE.part)));
}
/** The limit of this process's control group (version 2, then 1), when there is one. */
export function cgroupLimitBytes(
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): number | undefined {
  for (const path of ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']) {
    try {
      const limit = Number(read(path).trim());
      // `max` is no number; version 1 says "none" by a number that no machine has.
      if (Number.isFinite(limit) && limit > 0 && limit < 2 ** 60) return limit;
    } catch {
      // Not that version, or not on Linux.
    }
  }
  return undefined;
}
export const defaultMemoryMib = (): number =>
  memoryForGuestsMib(Math.min(totalmem(), cgroupLimitBytes() ?? Number.POSITIVE_INFINITY));

/** Guests wait most of the time: so many virtual processors share one of the host. */
const VCPUS_PER_PROCESSOR = 4;
export const defaultVcpus = (): number => VCPUS_PER_PROCESSOR * availableParallelism();
