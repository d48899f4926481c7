/** How fast Tomei is to be beside its peers, and by how much it is or is not. */
import type { Comparison } from './results.ts';

export interface Target {
  readonly what: string;
  readonly wanted: number;
  readonly unit: 'times' | 'ms';
  /** Absent where nothing was measured that says so. */
  readonly measured?: number;
}

/** By how many parts of what is wanted a target is surpassed: below 0, missed. Undefined where nothing was measured. */
export function margin({ wanted, unit, measured }: Target): number | undefined {
  if (measured === undefined) return undefined;
  return unit === 'ms' ? (wanted - measured) / wanted : (measured - wanted) / wanted;
}
/** A time has to be below its bound, a ratio at least at it. Undefined where nothing was measured. */
export function isMet(target: Target): boolean | undefined {
  const by = margin(target);
  return by === undefined ? undefined : target.unit === 'ms' ? by > 0 : by >= 0;
}

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
