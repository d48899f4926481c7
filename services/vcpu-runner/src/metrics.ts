/** What a runner counts. */
import type { Metrics } from '@tomei/service';
import { EXIT_CAUSES, TIME_USES, type GuestStats } from '@tomei/guest';
import type { GuestRun } from './guest-run.ts';
import { regionsInUse } from './run-stats.ts';

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
  private readonly timeUse;
  private readonly exits;
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
      tlbMisses: metrics.gauge({ name: 'tomei_guest_tlb_misses', help: 'Page walks of this run.', labelNames }),
      regions: metrics.gauge({ name: 'tomei_guest_regions', help: 'Compiled regions in use.', labelNames }),
      compiledBytes: metrics.gauge({
        name: 'tomei_guest_compiled_bytes',
        help: 'WebAssembly that was compiled in this run, whether in use or not.',
        labelNames,
      }),
      translatingBeside: metrics.gauge({
        name: 'tomei_guest_translating_thread_seconds',
        help: "Time of the thread that translates beside the guest's processor.",
        labelNames,
      }),
    };
    this.timeUse = metrics.gauge({
      name: 'tomei_guest_time_seconds',
      help: "Host time of the guest's processor in this run, by what it was spent on.",
      labelNames: [...labelNames, 'use'],
    });
    this.exits = metrics.gauge({
      name: 'tomei_guest_exits',
      help: "Times that the guest's code was left in this run, by cause.",
      labelNames: [...labelNames, 'cause'],
    });
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
      this.forget(id);
    }
  }
  private forget(id: string): void {
    const label = { guest_id: id };
    for (const gauge of Object.values(this.perGuest)) gauge.remove(label);
    for (const use of TIME_USES) this.timeUse.remove({ ...label, use });
    for (const cause of EXIT_CAUSES) this.exits.remove({ ...label, cause });
  }
  private observeGuest(id: string, stats: GuestStats): void {
    const { perGuest } = this,
      { instructions, cpuMs, haltedMs, compiled } = stats;
    const label = { guest_id: id };
    const before = this.before.get(id) ?? { instructions: 0, cpuMs: 0 };
    perGuest.mips.set(label, mipsBetween(before, { instructions, cpuMs }));
    perGuest.instructions.set(label, instructions);
    perGuest.cpu.set(label, cpuMs / 1000);
    perGuest.halted.set(label, haltedMs / 1000);
    perGuest.tlbMisses.set(label, stats.pageWalks);
    perGuest.regions.set(label, regionsInUse(compiled));
    perGuest.compiledBytes.set(label, compiled?.bytes ?? 0);
    perGuest.translatingBeside.set(label, (compiled?.translatingMs ?? 0) / 1000);
    for (const use of TIME_USES) this.timeUse.set({ ...label, use }, stats.time[use] / 1000);
    for (const cause of EXIT_CAUSES) this.exits.set({ ...label, cause }, stats.exits[cause]);
    this.before.set(id, { instructions, cpuMs });
  }
}
