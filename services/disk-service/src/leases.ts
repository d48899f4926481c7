/**
 * Who may do what with which disk.
 *
 * One writer, or any number of readers: readers share a disk, and keep writers out as a writer keeps out them. A later run of a guest,
 * and a new process of the same run, takes its disk over; an earlier run or another guest waits until the lease is given back or has
 * run out. A client that comes back (`resume_epoch`) keeps its lease, under a new epoch all the same: what is still on its way over
 * the connection that broke must not be done behind its back. Every epoch is on stable storage before anybody is told of it.
 */
import { guestId, type Init, type LeaseInfo, type OpenRequest, type OpenResponse } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { openVmdk } from '@tomei/vmdk';
import type { Log } from '@tomei/service';
import { Lease, type LeaseHolder } from './lease.ts';
import type { Located, Pool } from './pool.ts';
import { GUEST_NAME_MAX, readTenure, writeTenure, type Tenure } from './tenure.ts';

/** Of leases that are over, so that whoever had one is told why. */
const ENDED_KEPT = 4096;

export interface LeasesOptions {
  readonly pool: Pool;
  readonly instanceId: string;
  readonly ttlMs: number;
  readonly log: Log;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}
/** One disk that somebody has, or wants. */
interface Slot {
  readonly real: string;
  readonly path: string;
  readonly holders: Set<Lease>;
  /** What is said in the lease file, while a writer has the disk. */
  tenure: Tenure | undefined;
  /** Opening, closing and running out happen one after the other. */
  turn: Promise<unknown>;
  waiting: number;
}

export class Leases {
  private readonly options: LeasesOptions;
  private readonly startedAt: number;
  private readonly slots = new Map<string, Slot>();
  private readonly byId = new Map<string, { lease: Lease; slot: Slot }>();
  private readonly ended = new Map<string, TomeiError>();
  private closing = false;

  constructor(options: LeasesOptions) {
    this.options = options;
    this.startedAt = options.now();
  }
  get size(): number {
    return this.byId.size;
  }

  /** Throws `disk.leased`, `disk.stale-lease`, `guest.bad-id`, and what finding and opening the disk does. */
  async open(request: OpenRequest): Promise<Init<OpenResponse>> {
    const name = request.guestName.slice(0, GUEST_NAME_MAX);
    const holder = { guestId: guestId(request.guestId), guestName: name, run: request.run };
    const located = await this.options.pool.locate(request.path, 'disk');
    return this.inTurn(located, async (slot) => {
      if (this.closing) throw shuttingDown();
      await this.dropDue(slot);
      return request.readOnly ? this.openForReading(slot, holder) : this.openForWriting(slot, holder, request);
    });
  }

  /** The lease of a request. Throws `disk.stale-lease`, or `disk.unknown-lease`: then opening the disk again may help. */
  find(leaseId: string, epoch: number): Lease {
    const found = this.byId.get(leaseId);
    if (found === undefined) throw this.ended.get(leaseId) ?? unknownLease(leaseId);
    found.lease.check(epoch);
    return found.lease;
  }

  /** Who has the disk now: its writer, or the first of its readers. */
  holderOf({ real }: Located): LeaseInfo | undefined {
    const [lease] = this.slots.get(real)?.holders ?? [];
    return lease === undefined ? undefined : { ...lease.holder, epoch: lease.epoch };
  }

  /** Flushes, closes, gives the lease back. Does nothing when it is gone. Throws what flushing does. */
  async close(leaseId: string, epoch: number): Promise<void> {
    const slot = this.byId.get(leaseId)?.slot;
    if (slot === undefined) return;
    await this.inTurn(slot, async () => {
      const found = this.byId.get(leaseId);
      if (found === undefined || found.lease.epoch !== epoch) return;
      await this.drop(slot, found.lease, unknownLease(leaseId), { giveBack: true });
    });
  }

  /** Ends the leases that nobody was heard of; call it now and then. */
  async expire(): Promise<void> {
    const due = [...this.slots.values()].filter((slot) => [...slot.holders].some((l) => l.isDue(this.options.ttlMs)));
    await Promise.all(due.map((slot) => this.inTurn(slot, () => this.dropDue(slot))));
  }

  /** Flushes and closes everything. The disks stay those of their holders, who may come back to the next process. */
  async closeAll(): Promise<void> {
    this.closing = true;
    await Promise.all(
      [...this.slots.values()].map((slot) => {
        return this.inTurn(slot, async () => {
          for (const lease of slot.holders) await this.dropLogged(slot, lease, shuttingDown(), { giveBack: false });
        });
      }),
    );
  }

  private async openForReading(slot: Slot, holder: LeaseHolder): Promise<Init<OpenResponse>> {
    const tenure = slot.tenure ?? (await readTenure(slot.real));
    this.refuseInGrace(slot, holder, tenure);
    await this.takeOver(
      slot,
      holder,
      [...slot.holders].filter((lease) => !lease.readOnly),
    );
    // Readers need no fence: an epoch that was given to nobody for writing is as good as the next.
    return this.grant(slot, holder, { readOnly: true, epoch: tenure?.epoch ?? 0 });
  }

  private async openForWriting(slot: Slot, holder: LeaseHolder, request: OpenRequest): Promise<Init<OpenResponse>> {
    const { resumeEpoch } = request;
    const tenure = slot.tenure ?? (await readTenure(slot.real));
    const epoch = (tenure?.epoch ?? 0) + 1;
    if (resumeEpoch !== 0) refuseOvertaken(slot, holder, tenure, resumeEpoch);
    const live = [...slot.holders].find((lease) => !lease.readOnly);
    if (resumeEpoch !== 0 && live !== undefined && slot.tenure !== undefined) {
      slot.tenure = { ...slot.tenure, epoch };
      await live.fence(epoch);
      await writeTenure(slot.real, slot.tenure);
      return this.answer(live);
    }
    this.refuseInGrace(slot, holder, tenure);
    refuseEarlierRun(slot, holder, tenure);
    await this.takeOver(slot, holder, [...slot.holders]);
    const since = resumeEpoch === 0 ? epoch : (tenure?.since ?? epoch);
    slot.tenure = { epoch, since, ...holder, held: true };
    return this.grant(slot, holder, { readOnly: false, epoch });
  }

  /** Ends what stands in the way if it is the same guest's, and not of a later run. Throws `disk.leased`. */
  private async takeOver(slot: Slot, holder: LeaseHolder, inTheWay: readonly Lease[]): Promise<void> {
    const other = inTheWay.find((lease) => lease.holder.guestId !== holder.guestId || lease.holder.run > holder.run);
    if (other !== undefined) throw leased(slot, holder, other.holder);
    const why = new TomeiError(
      'disk.stale-lease',
      `${slot.path}: run ${holder.run} of guest ${holder.guestId} has taken the disk over`,
      { data: { path: slot.path, ...holder } },
    );
    for (const lease of inTheWay) await this.dropLogged(slot, lease, why, { giveBack: false });
  }

  private async grant(
    slot: Slot,
    holder: LeaseHolder,
    { readOnly, epoch }: { readOnly: boolean; epoch: number },
  ): Promise<Init<OpenResponse>> {
    try {
      const disk = await openVmdk(slot.real, { readOnly });
      try {
        if (!readOnly) await writeTenure(slot.real, slot.tenure!);
      } catch (error) {
        await disk.close().catch(() => undefined);
        throw error;
      }
      const lease = new Lease({ holder, disk, epoch, now: this.options.now });
      slot.holders.add(lease);
      this.byId.set(lease.id, { lease, slot });
      this.options.log.info({ disk: slot.path, ...holder, epoch, readOnly }, 'a disk is open');
      return await this.answer(lease);
    } catch (error) {
      if (!readOnly) slot.tenure = undefined;
      throw error;
    }
  }
  private async answer({ id, epoch, disk }: Lease): Promise<Init<OpenResponse>> {
    return {
      leaseId: id,
      epoch,
      sizeBytes: disk.sizeBytes,
      readOnly: disk.readOnly,
      instanceId: this.options.instanceId,
      leaseTtlMs: this.options.ttlMs,
      warnings: [...disk.warnings],
      // A disk that cannot be flushed says so when its holder flushes.
      contentId: (await disk.pinContentId().catch(() => undefined)) ?? '',
    };
  }

  /** Those who had a disk when the last process of disk-service ended get as long as a lease to come back. */
  private refuseInGrace(slot: Slot, holder: LeaseHolder, tenure: Tenure | undefined): void {
    const { now, ttlMs } = this.options;
    if (slot.holders.size > 0 || tenure === undefined || !tenure.held || now() - this.startedAt >= ttlMs) return;
    if (tenure.guestId !== holder.guestId || tenure.run > holder.run) throw leased(slot, holder, tenure);
  }

  private async dropDue(slot: Slot): Promise<void> {
    for (const lease of slot.holders) {
      if (!lease.isDue(this.options.ttlMs)) continue;
      this.options.log.warn({ disk: slot.path, ...lease.holder, epoch: lease.epoch }, 'a lease has run out');
      await this.dropLogged(slot, lease, ranOut(slot), { giveBack: true });
    }
  }
  /** For whoever must go on: what was written and cannot be flushed is told in the log. */
  private async dropLogged(slot: Slot, lease: Lease, why: TomeiError, how: { giveBack: boolean }): Promise<void> {
    await this.drop(slot, lease, why, how).catch((error: unknown) => {
      this.options.log.error({ disk: slot.path, ...lease.holder, error }, 'a disk was not closed in order');
    });
  }
  private async drop(slot: Slot, lease: Lease, why: TomeiError, { giveBack }: { giveBack: boolean }): Promise<void> {
    await lease.end(why);
    slot.holders.delete(lease);
    this.byId.delete(lease.id);
    this.ended.set(lease.id, why);
    const [oldest] = this.ended.keys();
    if (this.ended.size > ENDED_KEPT) this.ended.delete(oldest!);
    const { tenure } = slot;
    if (!lease.readOnly) slot.tenure = undefined;
    await lease.disk.close();
    if (giveBack && !lease.readOnly && tenure !== undefined) await writeTenure(slot.real, { ...tenure, held: false });
    this.options.log.info({ disk: slot.path, ...lease.holder, epoch: lease.epoch }, 'a disk is closed');
  }

  private async inTurn<T>({ real, path }: Located, work: (slot: Slot) => Promise<T>): Promise<T> {
    const slot = this.slots.get(real) ?? {
      real,
      path,
      holders: new Set<Lease>(),
      tenure: undefined,
      turn: Promise.resolve(),
      waiting: 0,
    };
    this.slots.set(real, slot);
    slot.waiting++;
    const mine = slot.turn.then(() => work(slot));
    slot.turn = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      slot.waiting--;
      if (slot.waiting === 0 && slot.holders.size === 0) this.slots.delete(real);
    }
  }
}

const unknownLease = (leaseId: string): TomeiError =>
  new TomeiError(
    'disk.unknown-lease',
    `there is no lease ${JSON.stringify(leaseId.slice(0, 80))}; open the disk again`,
    {
      retryable: true,
    },
  );
const ranOut = (slot: Slot): TomeiError =>
  new TomeiError('disk.unknown-lease', `${slot.path}: the lease has run out; open the disk again`, { retryable: true });
const shuttingDown = (): TomeiError =>
  new TomeiError('disk.unknown-lease', 'disk-service is shutting down; open the disk again when it is back', {
    retryable: true,
  });

function leased(slot: Slot, holder: LeaseHolder, by: LeaseHolder): TomeiError {
  const other = by.guestName === '' ? by.guestId : `${JSON.stringify(by.guestName)} (${by.guestId})`;
  const who = by.guestId === holder.guestId ? `run ${by.run} of this guest` : `guest ${other}, run ${by.run}`;
  const { guestId: byGuest, run } = by;
  return new TomeiError('disk.leased', `${slot.path} is in use by ${who}; power that off first`, {
    data: { path: slot.path, guestId: byGuest, run },
    retryable: true,
  });
}
/** A client that comes back must not write over what others have written since. */
function refuseOvertaken(slot: Slot, holder: LeaseHolder, tenure: Tenure | undefined, resumeEpoch: number): void {
  const same = tenure !== undefined && tenure.guestId === holder.guestId && tenure.run === holder.run;
  if (same && resumeEpoch >= tenure.since && resumeEpoch <= tenure.epoch) return;
  const by = tenure === undefined ? 'nobody knows who' : `run ${tenure.run} of guest ${tenure.guestId}`;
  throw new TomeiError('disk.stale-lease', `${slot.path}: ${by} has had the disk since epoch ${resumeEpoch}`, {
    data: { path: slot.path, epoch: resumeEpoch },
  });
}
/** A run that was overtaken is over, whether or not the later one still has the disk. */
function refuseEarlierRun(slot: Slot, holder: LeaseHolder, tenure: Tenure | undefined): void {
  if (tenure === undefined || tenure.guestId !== holder.guestId || tenure.run <= holder.run) return;
  if (slot.holders.size > 0) return; // whoever has it is named by `takeOver`
  throw new TomeiError(
    'disk.stale-lease',
    `${slot.path}: run ${tenure.run} of guest ${holder.guestId} has had the disk; run ${holder.run} is over`,
    { data: { path: slot.path, ...holder } },
  );
}
