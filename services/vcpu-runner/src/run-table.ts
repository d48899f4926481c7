/** The runs of one runner: under way, and ended without a controller that knows it yet. */
import type { GuestMemory, Init, MemoryReport, RunReport, StopGuest } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { admit, type CheckedStart, type KnownRun, type Situation } from './admission.ts';
import { GuestRun, type RunParts } from './guest-run.ts';

/** Reports of ended runs that nobody confirms are given up beyond this, the oldest first. */
const MAX_ENDED = 500;

export class RunTable {
  private readonly parts: RunParts;
  private readonly situation: Omit<Situation, 'runs' | 'draining'>;
  private readonly all = new Map<string, GuestRun>();
  draining = false;

  constructor(parts: RunParts, situation: Omit<Situation, 'runs' | 'draining'>) {
    this.parts = parts;
    this.situation = situation;
  }
  get runs(): readonly GuestRun[] {
    return [...this.all.values()];
  }
  reports(): RunReport[] {
    return this.runs.map((run) => run.report());
  }

  /** Throws what `admit` throws. */
  start(start: CheckedStart): void {
    const known: readonly KnownRun[] = this.runs;
    if (admit(start, { ...this.situation, draining: this.draining, runs: known }) === 'known') return;
    const older = this.runs.filter(({ guestId }) => guestId === start.guestId);
    for (const run of older) run.stop('a newer run of the guest takes its place');
    const run = new GuestRun(this.parts, start, Promise.all(older.map(({ over }) => over)));
    this.all.set(keyOf(run), run);
    void run.over.then(() => this.prune());
    this.parts.changed();
  }
  /** Of a run that is over it takes its report back: whoever asks knows that it has ended. */
  stop({ guestId, run, graceMs }: StopGuest): void {
    const known = this.all.get(keyOf({ guestId, run }));
    if (known === undefined) return;
    if (known.isOver) {
      this.all.delete(keyOf(known));
      this.parts.changed();
    } else if (graceMs > 0) known.shutDown('the guest was shut down by its power button', graceMs);
    else known.stop('the guest was powered off');
  }
  /** Throws `guest.not-running`, and as `guestMemory` does. */
  memory({ guestId, run, wantedMib }: GuestMemory): Promise<Init<MemoryReport>> {
    const known = this.all.get(keyOf({ guestId, run }));
    if (known !== undefined) return known.memory(wantedMib);
    throw new TomeiError('guest.not-running', `run ${run} of guest ${guestId} is not on ${this.situation.runnerId}`);
  }
  /** Stops them all in order. */
  async stopAll(why: string): Promise<void> {
    for (const run of this.runs) run.stop(why);
    await Promise.all(this.runs.map(({ over }) => over));
  }
  /** Forgets runs that are over. */
  clear(): void {
    for (const run of this.runs) if (run.isOver) this.all.delete(keyOf(run));
  }

  private prune(): void {
    const ended = this.runs.filter(({ isOver }) => isOver);
    for (const run of ended.slice(0, Math.max(0, ended.length - MAX_ENDED))) this.all.delete(keyOf(run));
  }
}
const keyOf = ({ guestId, run }: { readonly guestId: string; readonly run: number }): string => `${guestId}/${run}`;
