/** What a guest did between two readings of its counters. */
import { EXIT_CAUSES, TIME_USES, VIRTUALIZATION_WORK, overheadOf, type GuestStats } from '@tomei/guest';
import type { Moment } from '../marks.ts';
import { median } from '../statistics.ts';

type Counts = Readonly<Record<string, number>>;
export interface Figures {
  /** Seconds on the wall, and of processor time that the guest's process took. */
  readonly time: Moment;
  /** Virtualization work by guest code; 0 where there was no guest code. */
  readonly overhead: number;
  readonly instructions: number;
  /** Host milliseconds of the processor's thread, by `TimeUse` and by `VirtualizationWork`. */
  readonly use: Counts;
  readonly work: Counts;
  readonly exits: Counts;
  /** Flushes of the TLB, and page-table writes that were seen. */
  readonly translations: Counts;
}
interface Reading {
  readonly at: Moment;
  readonly stats: GuestStats;
}

export function between(from: Reading, to: Reading): Figures {
  const delta = <K extends string>(names: readonly K[], of: (stats: GuestStats) => Readonly<Record<K, number>>) =>
    Object.fromEntries(names.map((name) => [name, of(to.stats)[name] - of(from.stats)[name]])) as Record<K, number>;
  const use = delta(TIME_USES, ({ time }) => time);
  const seen = ({ translations: { flushes, kept, written, marked } }: GuestStats) => ({
    ...flushes,
    kept,
    written: written.entries,
    batches: written.batches,
    marked,
  });
  return {
    time: { wall: to.at.wall - from.at.wall, cpu: to.at.cpu - from.at.cpu },
    overhead: overheadOf(use) ?? 0,
    instructions: to.stats.instructions - from.stats.instructions,
    use,
    work: delta(VIRTUALIZATION_WORK, ({ virtualization }) => virtualization),
    exits: delta(EXIT_CAUSES, ({ exits }) => exits),
    translations: delta(['whole', 'nonGlobal', 'page', 'kept', 'written', 'batches', 'marked'], seen),
  };
}

/** Times that the guest was left for virtualization: not for its own page walks and exceptions, nor because a slice was over. */
const VIRTUAL_EXITS = ['port', 'device-memory', 'hypervisor', 'privileged', 'interrupt', 'halt'] as const;
export const exitsOf = ({ exits }: Figures): number =>
  VIRTUAL_EXITS.reduce((sum, cause) => sum + (exits[cause] ?? 0), 0);

/** The median of each figure by itself. Throws for none. */
export function medians(all: readonly Figures[]): Figures {
  const of = (figure: (figures: Figures) => number): number => median(all.map(figure));
  const counts = (which: (figures: Figures) => Counts): Counts =>
    Object.fromEntries(Object.keys(which(all[0]!)).map((name) => [name, of((figures) => which(figures)[name] ?? 0)]));
  return {
    time: { wall: of(({ time }) => time.wall), cpu: of(({ time }) => time.cpu) },
    overhead: of(({ overhead }) => overhead),
    instructions: of(({ instructions }) => instructions),
    use: counts(({ use }) => use),
    work: counts(({ work }) => work),
    exits: counts(({ exits }) => exits),
    translations: counts(({ translations }) => translations),
  };
}
