/** Carries steps out: the only writer of what is observed, and the only one that starts and stops runs. */
import { messages, type Guest } from '@tomei/contracts';
import { TomeiError, messageOf } from '@tomei/kit';
import type { Bus, EventPublisher, GuestRecords } from '@tomei/service';
import { askRunner } from '../ask-runner.ts';
import { choose, offersOf } from '../placement.ts';
import type { Runners } from '../runners.ts';
import type { Seen, Step } from './plan.ts';

/** When to look again at what a step should have changed. */
const SOON_MS = 200,
  LATER_MS = 1_000;
/** Refusals of a runner that say nothing of the guest: another runner may take it. */
const ANOTHER_RUNNER = ['runner.no-room', 'runner.draining'];
/** How long a guest is not placed again on a runner that refused it: its heartbeats may say that it has room all the same. */
const AVOID_MS = 10_000;

export interface ActorParts {
  readonly records: GuestRecords;
  readonly runners: Runners;
  readonly bus: Bus;
  readonly events: EventPublisher;
  /** Where runners find disk-service. */
  readonly disks: string;
  readonly now: () => number;
  /** Asked before anything is done: another controller may lead by now. */
  readonly isLeader: () => boolean;
}

export class Actor {
  private readonly parts: ActorParts;
  /** By guest: the run that a runner has taken, and when. */
  private readonly accepted = new Map<string, { readonly run: number; readonly atMs: number }>();
  /** By guest and runner that refused it: until when it is not asked again. */
  private readonly avoided = new Map<string, number>();
  /** Placements one after another: two at once would promise the same room. */
  private placing: Promise<unknown> = Promise.resolve();

  constructor(parts: ActorParts) {
    this.parts = parts;
  }

  /** When the current run of a guest was taken by its runner; undefined when that is not known. */
  acceptedMs({ id, desired }: Guest): number | undefined {
    const accepted = this.accepted.get(id);
    return accepted?.run === desired?.run ? accepted?.atMs : undefined;
  }
  /** What was taken in an earlier term may have been undone by another leader. */
  forgetAccepted(): void {
    this.accepted.clear();
  }

  /** Takes one step. Returns after how many milliseconds to look again. Throws when it is to be tried again. */
  async act(id: string, step: Step): Promise<number> {
    this.mustLead();
    switch (step.kind) {
      case 'stop': {
        const { run, phase, graceMs = 0 } = step;
        // Off at once, behind a shutdown, is another command.
        const command = `stop-${id}-${run}-${phase}${graceMs === 0 ? '' : `-${graceMs}`}`;
        await askRunner(this.parts.bus, step.runnerId, { id: command, stop: { guestId: id, run, graceMs } });
        return LATER_MS;
      }
      case 'place': {
        const placed = this.placing.then(() => this.place(id));
        this.placing = placed.catch(() => undefined);
        return placed;
      }
      case 'start':
        return this.start(id, step.runnerId, step.run);
      case 'observe':
        await this.write(id, step.seen.run, (guest) => this.observed(guest, step.seen));
        return SOON_MS;
      case 'ended':
        await this.write(id, step.run, (guest) => off(this.observed(guest, step.seen)));
        return SOON_MS;
      case 'lost':
        return this.lost(id, step.run, step.seen);
      case 'forget':
        return this.forget(id);
      case 'wait':
        return LATER_MS;
    }
  }

  private mustLead(): void {
    if (!this.parts.isLeader())
      throw new TomeiError('controller.no-leader', 'another controller leads', { retryable: true });
  }

  private async place(id: string): Promise<number> {
    const { records, runners, events } = this.parts;
    const guests = await records.list();
    const guest = guests.find((g) => g.id === id);
    if (guest?.desired?.power !== 'POWER_ON' || guest.spec === undefined) return SOON_MS;
    const { run } = guest.desired;
    const offers = offersOf(runners.list(), guests);
    const asked = offers.filter(({ runnerId }) => !this.isAvoided(id, runnerId));
    // The guest's message says how the last one refused it.
    if (asked.length === 0 && offers.length > 0) return LATER_MS;
    const choice = choose(guest.spec, asked);
    if ('why' in choice) {
      await this.pend(guest, choice.why);
      return LATER_MS;
    }
    const { runnerId } = choice;
    const seen: Seen = { phase: 'GUEST_PHASE_STARTING', run, runnerId, message: '' };
    const written = await this.write(id, run, (g) =>
      g.desired?.power === 'POWER_ON' ? this.observed(g, seen, { isAnew: true }) : undefined,
    );
    if (written) events.emit({ ...about(guest, 'placed'), runnerId, run });
    return 0;
  }
  private isAvoided(id: string, runnerId: string): boolean {
    const key = avoidedKey(id, runnerId);
    const until = this.avoided.get(key);
    if (until !== undefined && until <= this.parts.now()) this.avoided.delete(key);
    return this.avoided.has(key);
  }
  /** Tells why a guest waits, once for each reason. */
  private async pend(guest: Guest, why: string): Promise<void> {
    const { run } = guest.desired!;
    if (guest.observed?.phase === 'GUEST_PHASE_PENDING' && guest.observed.message === why) return;
    const seen: Seen = { phase: 'GUEST_PHASE_PENDING', run, runnerId: '', message: why };
    if (await this.write(guest.id, run, (g) => this.observed(g, seen)))
      this.parts.events.emit({ ...about(guest, 'pending'), run, message: why });
  }

  private async start(id: string, runnerId: string, run: number): Promise<number> {
    const found = await this.parts.records.get(id);
    if (found === undefined) return SOON_MS;
    const { guest } = found;
    const { name, spec, observed } = guest;
    // Of one placement there is one start, however often it is sent; a new placement is another one.
    const command = `start-${id}-${run}-${observed?.sinceMs ?? 0}`;
    try {
      await askRunner(this.parts.bus, runnerId, {
        id: command,
        start: { guestId: id, guestName: name, run, spec, disks: { target: this.parts.disks } },
      });
      this.accepted.set(id, { run, atMs: this.parts.now() });
      return SOON_MS;
    } catch (error) {
      if (!(error instanceof TomeiError)) throw error;
      if (ANOTHER_RUNNER.includes(error.code)) {
        this.avoided.set(avoidedKey(id, runnerId), this.parts.now() + AVOID_MS);
        await this.pend(guest, `${runnerId}: ${error.message}`);
      } else if (error.retryable) throw error;
      else await this.refused(guest, error);
      return LATER_MS;
    }
  }
  /** A guest that no runner can start. */
  private async refused(guest: Guest, error: TomeiError): Promise<void> {
    const { run } = guest.desired!;
    const message = messageOf(error);
    const seen: Seen = { phase: 'GUEST_PHASE_CRASHED', run, runnerId: '', message };
    if (await this.write(guest.id, run, (g) => off(this.observed(g, seen))))
      this.parts.events.emit({ ...about(guest, 'crashed'), run, message });
  }

  private async lost(id: string, run: number, seen: Seen): Promise<number> {
    let before: Guest | undefined;
    const written = await this.write(id, run, (guest) => {
      before = guest;
      if (guest.desired?.power !== 'POWER_ON') return undefined;
      return { ...this.observed(guest, seen), desired: { ...guest.desired, run: run + 1 } };
    });
    if (written && before !== undefined)
      this.parts.events.emit({
        ...about(before, 'lost'),
        run,
        runnerId: before.observed?.runnerId,
        message: seen.message,
      });
    return 0;
  }

  private async forget(id: string): Promise<number> {
    const { records, events } = this.parts;
    const found = await records.get(id);
    if (found?.guest.desired?.deleting !== true) return SOON_MS;
    await records.remove(id);
    this.accepted.delete(id);
    events.emit(about(found.guest, 'deleted'));
    return SOON_MS;
  }

  /** Writes unless the guest is wanted in another run by now. */
  private async write(id: string, run: number, change: (guest: Guest) => Guest | undefined): Promise<boolean> {
    let written = false;
    await this.parts.records.update(id, (guest) => {
      // A process that was held up between its decision and here may have been replaced meanwhile.
      this.mustLead();
      const changed = guest.desired?.run === run ? change(guest) : undefined;
      written = changed !== undefined;
      return changed;
    });
    return written;
  }
  /** `isAnew`: since now, even when the phase is the same. */
  private observed(guest: Guest, seen: Seen, { isAnew = false } = {}): Guest {
    const same = !isAnew && guest.observed?.phase === seen.phase && guest.observed.run === seen.run;
    return messages.Guest.make({
      ...guest,
      observed: { ...seen, sinceMs: same ? guest.observed!.sinceMs : this.parts.now() },
    });
  }
}

const avoidedKey = (id: string, runnerId: string): string => `${id} ${runnerId}`;
const off = (guest: Guest): Guest => ({ ...guest, desired: { ...guest.desired!, power: 'POWER_OFF' } });
export const about = (
  { id, name }: Guest,
  verb: string,
): { noun: string; subjectId: string; guestName: string; verb: string } => ({
  noun: 'guest',
  subjectId: id,
  guestName: name,
  verb,
});
