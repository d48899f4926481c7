/** What runs of several hypervisors come to: medians, ratios to the first of them, and their means. */
import type { Here } from '../here.ts';
import type { Moment } from '../marks.ts';
import type { Run } from '../run-peer.ts';
import { geometricMean, median } from '../statistics.ts';

export interface Circumstances extends Here {
  readonly versions: Readonly<Record<string, string>>;
  readonly runs: number;
  readonly scale: number;
  /** What was booted, where it was not what this repository makes. */
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
}

/** A row of figures: medians of each hypervisor's seconds, undefined where there are none. */
export interface Row {
  readonly name: string;
  readonly cells: readonly (Moment | undefined)[];
  /** On the wall, how often the first one's time goes into that of each other one: above 1, the first is faster. */
  readonly ratios: readonly (number | undefined)[];
}
export interface Comparison {
  /** Names of the hypervisors; the first is the one that the others are compared with. */
  readonly peers: readonly string[];
  /** From the start of the program to the shell that runs the workloads. */
  readonly boot: Row;
  readonly workloads: readonly Row[];
  /** The geometric mean of the workloads' ratios, and on how many workloads it stands, for each of the other hypervisors. */
  readonly means: readonly { readonly ratio: number | undefined; readonly count: number }[];
  /** The longest pause that any run of the first one tells of, in milliseconds. */
  readonly longestPauseMs: number | undefined;
}

/** The sums over all runs. `peers` has the order of the columns. */
export function compare(runs: readonly Run[], peers: readonly string[]): Comparison {
  const of = (peer: string): readonly Run[] => runs.filter((run) => run.peer === peer);
  const row = (name: string, times: (run: Run) => readonly Moment[]): Row => {
    const cells = peers.map((peer) => medians(of(peer).flatMap(times)));
    return { name, cells, ratios: cells.slice(1).map((cell) => ratioOf(cell, cells[0])) };
  };
  const names = [...new Set(runs.flatMap((run) => run.workloads.map(({ name }) => name)))];
  const workloads = names.map((name) =>
    row(name, (run) => run.workloads.filter((each) => each.name === name).map(({ time }) => time)),
  );
  const means = peers.slice(1).map((_, i) => {
    const known = workloads.flatMap(({ ratios }) => ratios[i] ?? []);
    return { ratio: geometricMean(known), count: known.length };
  });
  const pauses = of(peers[0]!).flatMap(({ stats }) => stats?.longestPauseMs ?? []);
  return {
    peers,
    boot: row('kernel to shell', ({ booted }) => (booted === undefined ? [] : [booted])),
    workloads,
    means,
    longestPauseMs: pauses.length === 0 ? undefined : Math.max(...pauses),
  };
}

const medians = (times: readonly Moment[]): Moment | undefined =>
  times.length === 0 ? undefined : { wall: median(times.map((t) => t.wall)), cpu: median(times.map((t) => t.cpu)) };
const ratioOf = (other: Moment | undefined, first: Moment | undefined): number | undefined =>
  other === undefined || first === undefined || first.wall <= 0 || other.wall <= 0
    ? undefined
    : other.wall / first.wall;

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
/** Every workload that some run has and another has not: one that was not ended, or that hypervisor's guest went down in. */
export function missing(runs: readonly Run[]): string[] {
  const names = new Set(runs.flatMap((run) => run.workloads.map(({ name }) => name)));
  return runs.flatMap(({ peer, workloads }) =>
    [...names].filter((name) => !workloads.some((w) => w.name === name)).map((name) => `${name}: not ended in ${peer}`),
  );
}
