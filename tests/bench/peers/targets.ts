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

/** Workloads that are to be this much faster than in QEMU once the whole is. */
const FURTHER = ['x87', 'sse', 'simd', 'copy'],
  FURTHER_RATIO = 4;

/** The targets, by the names of `PEERS`. Those of workloads that did not run are not measured. */
export function targetsOf(comparison: Comparison): Target[] {
  const { means, boot, workloads, longestPauseMs } = comparison;
  const qemu = column(comparison, 'QEMU TCG'),
    v86 = column(comparison, 'v86');
  const target = (
    what: string,
    wanted: number,
    measured: number | undefined,
    unit: Target['unit'] = 'times',
  ): Target => ({
    what,
    wanted,
    unit,
    ...(measured === undefined ? {} : { measured }),
  });
  const worst = workloads
    .flatMap(({ name, ratios }) => (ratios[v86] === undefined ? [] : [{ name, ratio: ratios[v86] }]))
    .sort((a, b) => a.ratio - b.ratio)[0];
  return [
    target('v86 / Tomei, geometric mean', 2.5, means[v86]?.ratio),
    target(`v86 / Tomei, worst workload${worst === undefined ? '' : ` (${worst.name})`}`, 1.2, worst?.ratio),
    target('QEMU TCG / Tomei, geometric mean', 1, means[qemu]?.ratio),
    ...FURTHER.map((name) =>
      target(`QEMU TCG / Tomei, ${name}`, FURTHER_RATIO, workloads.find((row) => row.name === name)?.ratios[qemu]),
    ),
    target('QEMU TCG / Tomei, kernel to shell', 1, boot.ratios[qemu]),
    target('longest pause for translation', 10, longestPauseMs, 'ms'),
  ];
}
/** Where the ratios to a hypervisor are; behind all of them where it did not take part. */
function column({ peers }: Comparison, name: string): number {
  const at = peers.indexOf(name);
  return at < 1 ? peers.length : at - 1;
}
