/** Which runner gets a guest. Pure: filter, score, choose. */
import type { Guest, GuestSpec } from '@tomei/contracts';
import type { SeenRunner } from './runners.ts';

/** What a guest takes of a runner. */
export type Needs = Pick<GuestSpec, 'memoryMib' | 'vcpus'>;
/** A runner with what it has to give. */
export interface Offer {
  readonly runnerId: string;
  readonly freeMemoryMib: number;
  readonly freeVcpus: number;
}
export type Choice = { readonly runnerId: string } | { readonly why: string };

/**
 * What runners that take guests have to give: their capacity without what they use, and without what was promised to guests that
 * their heartbeats do not show yet.
 */
export function offersOf(runners: readonly SeenRunner[], guests: readonly Guest[]): readonly Offer[] {
  return runners
    .filter(({ state }) => state === 'ready')
    .map(({ id, heartbeat }) => {
      const { memoryMib = 0, vcpus = 0, usedMemoryMib = 0, usedVcpus = 0 } = heartbeat.capacity ?? {};
      const promised = guests.filter((guest) => isPromised(guest, id, heartbeat.runs));
      const sum = (pick: (needs: Needs) => number): number =>
        promised.reduce((total, { spec }) => total + (spec === undefined ? 0 : pick(spec)), 0);
      return {
        runnerId: id,
        freeMemoryMib: memoryMib - usedMemoryMib - sum((needs) => needs.memoryMib),
        freeVcpus: vcpus - usedVcpus - sum((needs) => needs.vcpus),
      };
    });
}
function isPromised(guest: Guest, runnerId: string, runs: readonly { guestId: string; run: number }[]): boolean {
  const { desired, observed } = guest;
  if (desired?.power !== 'POWER_ON' || observed?.runnerId !== runnerId || observed.run !== desired.run) return false;
  return !runs.some((run) => run.guestId === guest.id && run.run === desired.run);
}

/**
 * The runner with the most free memory, then the most free processors, then the first by id: guests are spread, so that each has as
 * much of a host as there is, and the loss of a runner costs the fewest. Says why when none fits.
 */
export function choose(needs: Needs, offers: readonly Offer[]): Choice {
  if (offers.length === 0) return { why: 'no runner takes guests now' };
  const fits = offers.filter((o) => o.freeMemoryMib >= needs.memoryMib && o.freeVcpus >= needs.vcpus);
  const best = fits.toSorted(
    (a, b) => b.freeMemoryMib - a.freeMemoryMib || b.freeVcpus - a.freeVcpus || (a.runnerId < b.runnerId ? -1 : 1),
  )[0];
  return best === undefined ? { why: whyNone(needs, offers) } : { runnerId: best.runnerId };
}
function whyNone({ memoryMib, vcpus }: Needs, offers: readonly Offer[]): string {
  const most = (pick: (offer: Offer) => number): number => Math.max(0, ...offers.map(pick));
  const memory = most((o) => o.freeMemoryMib),
    processors = most((o) => o.freeVcpus);
  if (memory < memoryMib) return `no runner has ${memoryMib} MiB of memory free: the most is ${memory} MiB`;
  if (processors < vcpus) return `no runner has ${vcpus} virtual processors free: the most is ${processors}`;
  return `no runner has ${memoryMib} MiB of memory and ${vcpus} virtual processors free together`;
}
