/** What runs of both modes come to. */
import type { Here } from '../here.ts';
import type { Target } from '../targets.ts';
import { medians, type Figures } from './figures.ts';
import { MODES, type Mode, type PairRun } from './run-pair.ts';
import { MIXED, WORKLOADS, type PairWorkload } from './workloads.ts';

export interface Circumstances extends Here {
  readonly runs: number;
  readonly scale: number;
  /** What the guest found in each mode. */
  readonly found: Readonly<Partial<Record<Mode, string>>>;
}
/** A workload; a mode in which it was not ended is absent. */
export interface PairRow extends PairWorkload {
  readonly full: Figures | undefined;
  readonly paravirt: Figures | undefined;
  /** Of seconds, full by paravirt: above 1, the paravirtualized guest is faster. Of host processor time where the guest is idle. */
  readonly ratio: number | undefined;
}

/** Medians of all runs, in the order of the workloads; those that nobody has run are left out. */
export function compare(runs: readonly PairRun[]): PairRow[] {
  return WORKLOADS.flatMap((workload) => {
    const of = (mode: Mode): Figures | undefined => {
      const all = runs
        .filter((run) => run.mode === mode)
        .flatMap(({ workloads }) => workloads.filter(({ name }) => name === workload.name));
      return all.length === 0 ? undefined : medians(all.map(({ figures }) => figures));
    };
    const full = of('full'),
      paravirt = of('paravirt');
    const seconds = ({ time }: Figures): number => (workload.kind === 'idle' ? time.cpu : time.wall);
    const known = full !== undefined && paravirt !== undefined && seconds(paravirt) > 0;
    const ratio = known ? seconds(full) / seconds(paravirt) : undefined;
    return full === undefined && paravirt === undefined ? [] : [{ ...workload, full, paravirt, ratio }];
  });
}

/** Every workload whose results differ, or are 0, which says that it failed; and every one that a mode has not ended. */
export function disagreements(runs: readonly PairRun[]): string[] {
  const names = [...new Set(runs.flatMap(({ workloads }) => workloads.map(({ name }) => name)))];
  return names.flatMap((name) => {
    const all = runs.flatMap(({ mode, workloads }) =>
      workloads.filter((w) => w.name === name).map(({ result }) => ({ mode, result })),
    );
    const wrong = all
      .filter(({ result }) => result !== all[0]!.result || result === '' || result.endsWith(' 00000000'))
      .map(
        ({ mode, result }) => `${name}: '${result}' in mode ${mode}, and '${all[0]!.result}' in mode ${all[0]!.mode}`,
      );
    const missing = (Object.keys(MODES) as Mode[]).filter((mode) => !all.some((one) => one.mode === mode));
    return [...wrong, ...missing.map((mode) => `${name}: not ended in mode ${mode}`)];
  });
}

/** Overhead of the mixed workload below this, in percent, and at most this part of full virtualization's. */
const MOST_PERCENT = 10,
  LEAST_RATIO = 3;
export function targetsOf(rows: readonly PairRow[]): Target[] {
  const mixed = rows.find(({ name }) => name === MIXED),
    full = mixed?.full?.overhead,
    paravirt = mixed?.paravirt?.overhead;
  return [
    {
      what: 'overhead of the mixed workload, paravirtualized',
      wanted: MOST_PERCENT,
      unit: '%',
      ...(paravirt === undefined ? {} : { measured: paravirt * 100 }),
    },
    {
      what: 'overhead of the mixed workload, full / paravirt',
      wanted: LEAST_RATIO,
      unit: 'times',
      ...(full === undefined || paravirt === undefined || paravirt <= 0 ? {} : { measured: full / paravirt }),
    },
  ];
}
