/** Reads a machine's counters, between two slices. */
import { METERED_WORK, type Machine, type MeteredWork, type TranslationCounts } from '@tomei/paravirt-core';
import { SYSTEM_WORK, overheadOf, type GuestStats, type VirtualizationWork } from './guest-stats.ts';
import type { TimeAccount } from './time-account.ts';

const VECTORS = 256;
type Processor = Machine['processors'][number];
/** Vectors below are exceptions, and one is the NMI. */
const FIRST_INTERRUPT = 32,
  NMI = 2;

type FrameCounts = NonNullable<GuestStats['frames']>;
export interface StatsSources {
  readonly machine: Machine;
  readonly account: TimeAccount;
  /** Host CPU time of the processor's thread since its start. */
  readonly cpuMs: number;
  /** Of each network card. */
  readonly frames: readonly FrameCounts[];
}

export function collectStats({ machine, account, cpuMs, frames }: StatsSources): GuestStats {
  const { processors, served, compilation, hypercalls } = machine,
    { guestMs, idleMs, halts, slices } = account,
    sum = (of: (processor: Processor) => number): number => processors.reduce((all, each) => all + of(each), 0),
    walks = sum(({ mmu }) => mmu.walks);
  const delivered = Array.from({ length: VECTORS }, (_, vector) => vector)
      .map((vector) => [vector, sum(({ delivered: counts }) => counts[vector]!)] as const)
      .filter(([, n]) => n > 0),
    total = (events: typeof delivered): number => events.reduce((sum, [, n]) => sum + n, 0),
    exceptions = total(delivered.filter(([vector]) => vector < FIRST_INTERRUPT && vector !== NMI));
  const count = (kind: MeteredWork): number => served.of(kind).count,
    // A register of the hypervisor's is reached by a privileged instruction, and counted once.
    registers = hypercalls?.msr ?? 0;
  const { time, virtualization } = timeOf({ machine, account }),
    overhead = overheadOf(time);
  return {
    ...{ instructions: machine.instructions, guestMs, cpuMs, haltedMs: idleMs, time, virtualization },
    ...(overhead === undefined ? {} : { overhead }),
    exits: {
      port: count('port'),
      'device-memory': count('device-memory'),
      hypervisor: registers + count('hypervisor'),
      privileged: count('privileged') - registers,
      'tlb-miss': walks,
      exception: exceptions,
      interrupt: total(delivered) - exceptions,
      halt: halts,
      slice: slices,
    },
    decoded: sum(({ code }) => code.counts.decoded),
    codeInvalidations: sum(({ code }) => code.counts.invalidations),
    codeFlushes: sum(({ code }) => code.counts.flushes),
    pageWalks: walks,
    translations: processors.map(({ mmu }) => mmu.counts).reduce(sumOfTranslations),
    ...(compilation === undefined ? {} : { compiled: { ...compilation } }),
    events: Object.fromEntries(delivered),
    ...(frames.length === 0 ? {} : { frames: frames.reduce(sumOfFrames) }),
  };
}

function timeOf({ machine, account }: Pick<StatsSources, 'machine' | 'account'>) {
  const metered = METERED_WORK.map((kind) => [kind, machine.served.of(kind).milliseconds] as const),
    measured = Object.fromEntries(metered) as Record<MeteredWork, number>,
    virtualization: Record<VirtualizationWork, number> = { ...measured, host: account.betweenMs };
  const system = SYSTEM_WORK.reduce((sum, kind) => sum + measured[kind], 0),
    devices = metered.reduce((sum, [, ms]) => sum + ms, 0) - system;
  return {
    time: account.use({ devices, system, translating: machine.compilation?.ownMs ?? 0 }),
    virtualization,
  };
}
const sumOfTranslations = (a: TranslationCounts, b: TranslationCounts): TranslationCounts => ({
  flushes: {
    whole: a.flushes.whole + b.flushes.whole,
    nonGlobal: a.flushes.nonGlobal + b.flushes.nonGlobal,
    page: a.flushes.page + b.flushes.page,
  },
  kept: a.kept + b.kept,
  written: { entries: a.written.entries + b.written.entries, batches: a.written.batches + b.written.batches },
  marked: a.marked + b.marked,
});
const sumOfFrames = (a: FrameCounts, b: FrameCounts): FrameCounts => ({
  sent: a.sent + b.sent,
  received: a.received + b.received,
  lost: a.lost + b.lost,
});
