/** What a benchmark found, and the sums that its pages show. */
import type { Here } from './here.ts';
import type { LoopFigure } from './measure-loops.ts';
import type { Run } from './run-peer.ts';
import { median } from './statistics.ts';

export interface Circumstances extends Here {
  readonly versions: Readonly<Record<string, string>>;
  readonly runs: number;
  readonly scale: number;
}
export interface Results {
  readonly circumstances: Circumstances;
  readonly loops: readonly LoopFigure[];
  /** Runs by what was booted. */
  readonly boots: readonly { readonly title: string; readonly runs: readonly Run[] }[];
  readonly suite: readonly Run[];
  /** Results of the workloads on this host itself, by name. */
  readonly expected: Readonly<Record<string, string>>;
}

/** A row of figures, one for each hypervisor; undefined where there is none. */
export interface Row {
  readonly name: string;
  readonly cells: readonly (Figure | undefined)[];
}
export interface Figure {
  readonly wall: number;
  readonly cpu: number;
}

export const peersOf = (runs: readonly Run[]): string[] => [...new Set(runs.map((run) => run.peer))];

const medians = (times: readonly Figure[]): Figure | undefined =>
  times.length === 0 ? undefined : { wall: median(times.map((t) => t.wall)), cpu: median(times.map((t) => t.cpu)) };

/** Seconds of the whole run, medians by hypervisor. */
export function bootRow(title: string, runs: readonly Run[], peers: readonly string[]): Row {
  return { name: title, cells: peers.map((peer) => medians(runs.filter((r) => r.peer === peer).map((r) => r.done))) };
}

/** One row for each workload, in the order in which they ran. */
export function suiteRows(runs: readonly Run[], peers: readonly string[]): Row[] {
  const names = [...new Set(runs.flatMap((run) => run.workloads.map((w) => w.name)))];
  return names.map((name) => ({
    name,
    cells: peers.map((peer) =>
      medians(
        runs
          .filter((r) => r.peer === peer)
          .flatMap((r) => r.workloads.filter((w) => w.name === name).map((w) => w.time)),
      ),
    ),
  }));
}

/** Every workload whose result differs between two runs, or from this host's own. */
export function disagreements(runs: readonly Run[], expected: Readonly<Record<string, string>>): string[] {
  const first = new Map(Object.entries(expected));
  const wrong: string[] = [];
  for (const { peer, workloads } of runs) {
    for (const { name, result } of workloads) {
      const known = first.get(name);
      if (known === undefined) first.set(name, result);
      else if (known !== result) wrong.push(`${name}: ${peer} gives '${result}', not '${known}'`);
    }
  }
  return wrong;
}

/** Millions of guest instructions per second of processor time, over whole runs that count them. */
export function mipsOf(runs: readonly Run[]): number | undefined {
  const counted = runs.flatMap((r) => (r.instructions === undefined ? [] : [r.instructions / r.done.cpu / 1e6]));
  return counted.length === 0 ? undefined : median(counted);
}

/** The geometric mean of how much longer the first column takes than another; undefined without common rows. */
export function meanRatio(rows: readonly Row[], column: number): number | undefined {
  const logs = rows.flatMap(({ cells }) => {
    const a = cells[0]?.cpu,
      b = cells[column]?.cpu;
    return a === undefined || b === undefined || a <= 0 || b <= 0 ? [] : [Math.log(a / b)];
  });
  return logs.length === 0 ? undefined : Math.exp(logs.reduce((x, y) => x + y, 0) / logs.length);
}
