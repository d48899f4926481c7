/** What a runner counts. */
import type { Metrics } from '@tomei/service';
import type { GuestRun } from './guest-run.ts';

/** Reads a guest's counters of two looks as instructions a second of the processor's own time. */
export function mipsBetween(
  before: { readonly instructions: number; readonly cpuMs: number },
  after: { readonly instructions: number; readonly cpuMs: number },
): number {
  const ms = after.cpuMs - before.cpuMs;
  return ms <= 0 ? 0 : Math.max(0, after.instructions - before.instructions) / ms / 1000;
}

export class RunnerMetrics {
  private readonly guests;
  private readonly ends;
  private readonly perGuest;
  private readonly before = new Map<string, { instructions: number; cpuMs: number }>();

  constructor(metrics: Metrics) {
    const labelNames = ['guest_id'] as const;
    this.guests = metrics.gauge({
      name: 'tomei_runner_guests',
      help: 'Runs of guests, by phase.',
      labelNames: ['phase'],
    });
    this.ends = metrics.counter({
      name: 'tomei_runner_runs_ended_total',
      help: 'Runs that ended, by how.',
      labelNames: ['phase'],
    });
    this.perGuest = {
      mips: metrics.gauge({
        name: 'tomei_guest_mips',
        help: 'Million instructions a second of processor time.',
        labelNames,
      }),
      instructions: metrics.gauge({ name: 'tomei_guest_instructions', help: 'Instructions of this run.', labelNames }),
      cpu: metrics.gauge({ name: 'tomei_guest_cpu_seconds', help: "Host time of the guest's processor.", labelNames }),
      halted: metrics.gauge({ name: 'tomei_guest_halted_seconds', help: 'Time that the guest slept.', labelNames }),
    };
  }
  ended(phase: string): void {
    this.ends.inc({ phase });
  }
  /** Once a heartbeat. */
  observe(runs: readonly GuestRun[]): void {
    this.guests.reset();
    const there = new Set<string>();
    for (const run of runs) {
      this.guests.inc({ phase: run.report().phase });
      if (run.isOver) continue;
      there.add(run.guestId);
      if (run.stats !== undefined) this.observeGuest(run.guestId, run.stats);
    }
    for (const id of this.before.keys()) {
      if (there.has(id)) continue;
      this.before.delete(id);
      for (const gauge of Object.values(this.perGuest)) gauge.remove({ guest_id: id });
    }
  }
  private observeGuest(
    id: string,
    { instructions, cpuMs, haltedMs }: { instructions: number; cpuMs: number; haltedMs: number },
  ): void {
    const { perGuest } = this;
    const label = { guest_id: id };
    const before = this.before.get(id) ?? { instructions: 0, cpuMs: 0 };
    perGuest.mips.set(label, mipsBetween(before, { instructions, cpuMs }));
    perGuest.instructions.set(label, instructions);
    perGuest.cpu.set(label, cpuMs / 1000);
    perGuest.halted.set(label, haltedMs / 1000);
    this.before.set(id, { instructions, cpuMs });
  }
}
