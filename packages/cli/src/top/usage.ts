/** What guests did between two looks, and their order in `tomei top`. */
import { overheadOf } from '@tomei/guest';
import type { StatsView } from '../cluster/views.ts';

/** One guest within the time between two looks; of one that was not there before, since the start of its run. */
export interface Usage {
  readonly id: string;
  readonly name: string;
  readonly phase: string;
  readonly runner: string;
  /** Million instructions a second of processor time. */
  readonly mips: number;
  /** Share of the time that the guest's processor was not halted, 0 to 1. */
  readonly busy: number;
  /** Shares of the time that passed; together 1. */
  readonly shares: Readonly<Record<keyof StatsView['time'], number>>;
  /** Virtualization work by guest code. */
  readonly overhead: number;
  /** A second. */
  readonly tlbMisses: number;
  readonly tlbFlushes: number;
  readonly exits: number;
  readonly exitsByCause: Readonly<Record<string, number>>;
  /** Compiled regions in use, and bytes of all that were compiled. */
  readonly regions: number;
  readonly compiledBytes: number;
}

/** Of `translations`. */
const FLUSHES = ['flushesWhole', 'flushesNonGlobal', 'flushesPage'];
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const NOTHING = { interpreted: 0, compiled: 0, translating: 0, devices: 0, system: 0, idle: 0 };

/** `former` is what was made of the look before: kept for guests of which nothing newer is known. */
export function usageBetween(
  before: readonly StatsView[],
  after: readonly StatsView[],
  former: readonly Usage[] = [],
): Usage[] {
  const old = new Map(before.map((stats) => [stats.id, stats])),
    known = new Map(former.map((usage) => [usage.id, usage]));
  return after.map((now) => {
    const then = old.get(now.id);
    // A guest that has reset itself within a run counts anew, too.
    const isSame = then?.run === now.run && then.instructions <= now.instructions && elapsed(now) >= elapsed(then);
    const usage = usageOf(isSame ? then : undefined, now);
    return usage ?? known.get(now.id) ?? usageOf(undefined, now) ?? idle(now);
  });
}
const elapsed = ({ time }: StatsView): number => sum(Object.values(time));

/** Undefined where no time has passed. */
function usageOf(then: StatsView | undefined, now: StatsView): Usage | undefined {
  const ms = elapsed(now) - (then === undefined ? 0 : elapsed(then));
  if (ms <= 0) return undefined;
  const share = (use: keyof StatsView['time']): number => Math.max(0, now.time[use] - (then?.time[use] ?? 0)) / ms;
  const rate = (count = 0, before = 0): number => (Math.max(0, count - before) / ms) * 1000,
    perSecond = (cause: string): number => rate(now.exits[cause], then?.exits[cause]);
  const cpuMs = now.cpuMs - (then?.cpuMs ?? 0),
    instructions = now.instructions - (then?.instructions ?? 0);
  const exitsByCause = Object.fromEntries(Object.keys(now.exits).map((cause) => [cause, perSecond(cause)]));
  const shares = {
    interpreted: share('interpreted'),
    compiled: share('compiled'),
    translating: share('translating'),
    devices: share('devices'),
    system: share('system'),
    idle: share('idle'),
  };
  return {
    ...same(now),
    mips: cpuMs > 0 ? instructions / cpuMs / 1000 : 0,
    busy: Math.min(1, Math.max(0, 1 - shares.idle)),
    shares,
    overhead: overheadOf(shares) ?? 0,
    tlbFlushes: sum(FLUSHES.map((kind) => rate(now.translations[kind], then?.translations[kind]))),
    tlbMisses: exitsByCause['tlbMiss'] ?? 0,
    exits: sum(Object.values(exitsByCause)),
    exitsByCause,
  };
}
const same = ({ id, name, phase, runner, regions, compiledBytes }: StatsView) => ({
  ...{ id, name, phase, runner, regions, compiledBytes },
});
const idle = (now: StatsView): Usage => ({
  ...same(now),
  ...{ mips: 0, busy: 0, shares: NOTHING, overhead: 0, tlbFlushes: 0, tlbMisses: 0, exits: 0, exitsByCause: {} },
});

/** What guests can be sorted by, each with its key in the live table. */
export const SORT_KEYS = {
  name: 'n',
  busy: 'b',
  mips: 'm',
  overhead: 'o',
  tlb: 't',
  exits: 'x',
  regions: 'r',
} as const;
export type SortKey = keyof typeof SORT_KEYS;
const VALUE: Readonly<Record<Exclude<SortKey, 'name'>, (usage: Usage) => number>> = {
  busy: ({ busy }) => busy,
  mips: ({ mips }) => mips,
  overhead: ({ overhead }) => overhead,
  tlb: ({ tlbMisses }) => tlbMisses,
  exits: ({ exits }) => exits,
  regions: ({ regions }) => regions,
};
/** The largest first, names by the alphabet; `reversed` is the other way round. Ties by name. */
export function sortUsage(all: readonly Usage[], key: SortKey, reversed = false): Usage[] {
  const byName = (a: Usage, b: Usage): number => a.name.localeCompare(b.name);
  const value = key === 'name' ? undefined : VALUE[key];
  const turn = reversed ? -1 : 1;
  return all.toSorted((a, b) => turn * (value === undefined ? byName(a, b) : value(b) - value(a)) || byName(a, b));
}
