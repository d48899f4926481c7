/** What a runner counts. */
import type { Metrics } from '@tomei/service';
import { EXIT_CAUSES, TIME_USES, VIRTUALIZATION_WORK, type GuestStats } from '@tomei/guest';
import type { GuestRun } from './guest-run.ts';
import { regionsInUse } from './run-stats.ts';

/** Labels of `TranslationCounts`. */
const FLUSHES = ['whole', 'nonGlobal', 'page'] as const;
const PAGE_TABLE_WRITES = ['written', 'batches', 'marked'] as const;

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
  private readonly virtualization;
  private readonly exits;
  private readonly flushes;
  private readonly pageTables;
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
      overhead: metrics.gauge({
        name: 'tomei_guest_overhead_ratio',
        help: 'Virtualization work (devices, system) of this run by guest code (interpreted, compiled, translating).',
        labelNames,
      }),
      regions: metrics.gauge({ name: 'tomei_guest_regions', help: 'Compiled regions in use.', labelNames }),
      compiledBytes: metrics.gauge({
        name: 'tomei_guest_compiled_bytes',
        help: 'WebAssembly that was compiled in this run, whether in use or not.',
        labelNames,
      }),
      kept: metrics.gauge({
        name: 'tomei_guest_translations_kept',
        help: 'Translations of addresses that outlived a load of CR3 in this run.',
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
    this.virtualization = metrics.gauge({
      name: 'tomei_guest_virtualization_seconds',
      help: "Host time of the guest's processor in this run that went into virtualization, by kind of work.",
      labelNames: [...labelNames, 'work'],
    });
    this.flushes = metrics.gauge({
      name: 'tomei_guest_tlb_flushes',
      help: 'Flushes of the TLB in this run, by what was forgotten.',
      labelNames: [...labelNames, 'scope'],
    });
    this.pageTables = metrics.gauge({
      name: 'tomei_guest_page_table_writes',
      help: 'Page-table entries that loads of CR3 found written, the loads that found some, and bits that page walks set, in this run.',
      labelNames: [...labelNames, 'kind'],
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
    for (const work of VIRTUALIZATION_WORK) this.virtualization.remove({ ...label, work });
    for (const scope of FLUSHES) this.flushes.remove({ ...label, scope });
    for (const kind of PAGE_TABLE_WRITES) this.pageTables.remove({ ...label, kind });
  }
  private observeGuest(id: string, stats: GuestStats): void {
    const { perGuest } = this,
      { instructions, cpuMs, haltedMs, compiled } = stats,
      { flushes, kept, written, marked } = stats.translations;
    const label = { guest_id: id };
    const before = this.before.get(id) ?? { instructions: 0, cpuMs: 0 };
    perGuest.mips.set(label, mipsBetween(before, { instructions, cpuMs }));
    perGuest.instructions.set(label, instructions);
    perGuest.cpu.set(label, cpuMs / 1000);
    perGuest.halted.set(label, haltedMs / 1000);
    perGuest.tlbMisses.set(label, stats.pageWalks);
    perGuest.overhead.set(label, stats.overhead ?? 0);
    perGuest.regions.set(label, regionsInUse(compiled));
    perGuest.compiledBytes.set(label, compiled?.bytes ?? 0);
    perGuest.kept.set(label, kept);
    perGuest.translatingBeside.set(label, (compiled?.translatingMs ?? 0) / 1000);
    for (const use of TIME_USES) this.timeUse.set({ ...label, use }, stats.time[use] / 1000);
    for (const cause of EXIT_CAUSES) this.exits.set({ ...label, cause }, stats.exits[cause]);
    for (const work of VIRTUALIZATION_WORK)
      this.virtualization.set({ ...label, work }, stats.virtualization[work] / 1000);
    const writes = { written: written.entries, batches: written.batches, marked };
    for (const scope of FLUSHES) this.flushes.set({ ...label, scope }, flushes[scope]);
    for (const kind of PAGE_TABLE_WRITES) this.pageTables.set({ ...label, kind }, writes[kind]);
    this.before.set(id, { instructions, cpuMs });
  }
}
