/** The memory of guests that run. Nothing of it is kept here: whoever has the guest is asked, and a guest that starts anew has all of its memory. */
import { newId } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import type { Bus } from '@tomei/service';
import type { MemoryView } from './api/schemas.ts';
import { askRunner } from './ask-runner.ts';
import type { Guests } from './guests.ts';
import type { Runners } from './runners.ts';
import { memoryView } from './views.ts';

export interface GuestMemoryParts {
  readonly guests: Guests;
  readonly runners: Runners;
  readonly bus: Bus;
}

export class GuestMemory {
  private readonly parts: GuestMemoryParts;
  constructor(parts: GuestMemoryParts) {
    this.parts = parts;
  }

  /**
   * Looks, and has the guest have `wantedMib` where that is given. Throws `guest.missing`, `guest.not-running`, what `guestMemory` of the
   * runner throws, and as `Bus.request` does.
   */
  async of(idOrName: string, wantedMib?: number): Promise<MemoryView> {
    const { guests, runners, bus } = this.parts;
    const { id, name } = await guests.find(idOrName);
    const seen = runners
      .runsOf(id)
      .filter(({ report }) => report.phase === 'RUN_PHASE_RUNNING')
      .toSorted((a, b) => b.report.run - a.report.run)[0];
    if (seen === undefined)
      throw new TomeiError('guest.not-running', `the guest ${JSON.stringify(name)} does not run: it has no memory now`);
    const { runnerId } = seen,
      { run } = seen.report;
    const { memory } = await askRunner(bus, runnerId, { id: newId(), memory: { guestId: id, run, wantedMib } });
    if (memory === undefined)
      throw new TomeiError('runner.bad-answer', `${runnerId} says nothing of the memory: is it of another version?`);
    return memoryView({ id, name, run, runner: runnerId }, memory);
  }
}
