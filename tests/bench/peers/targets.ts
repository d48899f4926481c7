/** How fast Tomei is to be beside its peers. */
import type { Target } from '../targets.ts';
import type { Comparison } from './results.ts';

/** A ratio of times that is to be reached: another hypervisor's, by the name in `PEERS`, to Tomei's. */
export interface Goal {
  readonly peer: string;
  readonly ratio: number;
  /** What the ratio is of: the mean of all workloads, each one of them, some of them, or the time to the shell. */
  readonly of: 'mean' | 'each' | 'boot' | readonly string[];
}
export const GOALS: readonly Goal[] = [
  { peer: 'v86', ratio: 2.5, of: 'mean' },
  { peer: 'v86', ratio: 1.2, of: 'each' },
  { peer: 'QEMU TCG', ratio: 1, of: 'mean' },
  { peer: 'QEMU TCG', ratio: 1, of: 'boot' },
  { peer: 'QEMU TCG', ratio: 4, of: ['x87', 'sse', 'simd', 'copy'] },
];
const LONGEST_PAUSE_MS = 10;

/** The targets of GOALS and of the pause. Those of what did not run are not measured. */
export function targetsOf(comparison: Comparison): Target[] {
  return [
    ...GOALS.flatMap((goal) => targetsOfGoal(goal, comparison)),
    targetOf('longest pause for translation', LONGEST_PAUSE_MS, comparison.longestPauseMs, 'ms'),
  ];
}
function targetsOfGoal({ peer, ratio, of }: Goal, { peers, means, boot, workloads }: Comparison): Target[] {
  // Behind all of them where it did not take part.
  const at = peers.indexOf(peer) < 1 ? peers.length : peers.indexOf(peer) - 1;
  const target = (what: string, measured: number | undefined): Target =>
    targetOf(`${peer} / ${peers[0]}, ${what}`, ratio, measured);
  if (of === 'mean') return [target('geometric mean', means[at]?.ratio)];
  if (of === 'boot') return [target(boot.name, boot.ratios[at])];
  if (of === 'each') {
    const known = workloads.flatMap(({ name, ratios }) => ({ name, ratio: ratios[at] ?? Infinity }));
    const worst = known.reduce((a, b) => (b.ratio < a.ratio ? b : a), { name: '', ratio: Infinity });
    return worst.name === ''
      ? [target('worst workload', undefined)]
      : [target(`worst workload (${worst.name})`, worst.ratio)];
  }
  return of.map((name) => target(name, workloads.find((row) => row.name === name)?.ratios[at]));
}
const targetOf = (
  what: string,
  wanted: number,
  measured: number | undefined,
  unit: Target['unit'] = 'times',
): Target => ({ what, wanted, unit, ...(measured === undefined ? {} : { measured }) });
