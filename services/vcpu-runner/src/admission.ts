/** Whether a runner takes a run of a guest. */
import { guestId, type RunnerCapacity, type StartGuest } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';

/** What a run takes of a runner. */
export interface Room {
  readonly memoryMib: number;
  readonly vcpus: number;
}
/** A run that the runner has: under way, or ended and not confirmed yet. */
export interface KnownRun extends Room {
  readonly guestId: string;
  readonly run: number;
  readonly isOver: boolean;
}
export interface Situation {
  readonly runnerId: string;
  readonly offers: Room;
  readonly draining: boolean;
  readonly runs: readonly KnownRun[];
}
/** A start command whose fields are there and make sense. */
export type CheckedStart = Required<StartGuest> & { readonly spec: NonNullable<StartGuest['spec']> };

/** Throws `command.malformed` and `guest.bad-id`. */
export function checkStart(start: StartGuest): CheckedStart {
  const { spec, disks, run } = start;
  const malformed = (what: string): TomeiError =>
    new TomeiError('command.malformed', `a command to start guest ${start.guestId} ${what}`);
  guestId(start.guestId);
  if (run < 1) throw malformed('has run 0: runs count from 1');
  if (spec === undefined) throw malformed('says nothing of what the guest is made of (spec)');
  if (spec.vmxPath === '') throw malformed('has no spec.vmx_path');
  if (spec.memoryMib < 1 || spec.vcpus < 1) throw malformed('asks for no memory or no processor (spec)');
  if (disks === undefined || disks.target === '') throw malformed('does not say where its disks are (disks.target)');
  return { ...start, spec, disks };
}

const sum = (runs: readonly KnownRun[]): Room => ({
  memoryMib: runs.reduce((total, { memoryMib }) => total + memoryMib, 0),
  vcpus: runs.reduce((total, { vcpus }) => total + vcpus, 0),
});

/** What is offered and what is in use, as heartbeats tell it. */
export function capacityOf({ offers, runs }: Pick<Situation, 'offers' | 'runs'>): RunnerCapacity {
  const used = sum(runs.filter(({ isOver }) => !isOver));
  return { ...offers, usedMemoryMib: used.memoryMib, usedVcpus: used.vcpus };
}

export type Admission =
  /** It has this run already: nothing is to be done. */
  | 'known'
  /** Start it, after ending older runs of the same guest. */
  | 'start';

/** Throws `guest.stale-run`, `runner.draining`, `runner.no-room`. */
export function admit({ guestId: id, guestName, run, spec }: CheckedStart, situation: Situation): Admission {
  const { runnerId, runs, draining, offers } = situation;
  const newest = Math.max(0, ...runs.filter((known) => known.guestId === id).map((known) => known.run));
  if (run === newest) return 'known';
  if (run < newest)
    throw new TomeiError(
      'guest.stale-run',
      `${guestName}: run ${run} is to start on ${runnerId}, which has run ${newest} of it already`,
    );
  if (draining) throw new TomeiError('runner.draining', `${runnerId} takes no new guests: it is about to leave`);
  // Older runs of the same guest make room before it starts.
  const used = sum(runs.filter((known) => !known.isOver && known.guestId !== id));
  const missing = [
    lack('MiB of memory', spec.memoryMib, offers.memoryMib - used.memoryMib),
    lack('vCPUs', spec.vcpus, offers.vcpus - used.vcpus),
  ].filter((one) => one !== undefined);
  if (missing.length === 0) return 'start';
  throw new TomeiError('runner.no-room', `${runnerId} has no room for ${guestName}: ${missing.join(', and ')}`, {
    retryable: true,
  });
}
const lack = (what: string, needed: number, free: number): string | undefined =>
  needed <= free ? undefined : `it needs ${needed} ${what}, of which ${Math.max(0, free)} are free`;
