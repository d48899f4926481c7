/** What the benchmark of the cluster found, and the medians that its pages show. */
import type { Here } from '../here.ts';
import { median } from '../statistics.ts';
import type { DiskMeasurement } from './disk.ts';
import type { ViewersResult } from './viewers.ts';

export interface ClusterResults {
  readonly circumstances: Here & { readonly runs: number };
  /** Medians of the runs; undefined where a part was left out. */
  readonly disk: DiskMeasurement | undefined;
  /** One for each number of viewers. */
  readonly viewers: readonly ViewersResult[];
  /** What the medians are of. */
  readonly measured: {
    readonly disk: readonly DiskMeasurement[];
    readonly viewers: readonly (readonly ViewersResult[])[];
  };
}

/** `disk` and `viewers`: one for each run. */
export function resultsOf(
  circumstances: ClusterResults['circumstances'],
  disk: readonly DiskMeasurement[],
  viewers: readonly (readonly ViewersResult[])[],
): ClusterResults {
  return {
    circumstances,
    disk: disk.length === 0 ? undefined : medianOf(disk),
    viewers: (viewers[0] ?? []).map((_, i) => medianOf(viewers.map((run) => run[i]!))),
    measured: { disk, viewers },
  };
}

/**
 * One object of the shape that all have, with the median of each number in it. Throws for none, and for anything but numbers and
 * objects of them.
 */
export function medianOf<T extends object>(samples: readonly T[]): T {
  const first = samples[0];
  if (first === undefined) throw new Error('no values');
  return Object.fromEntries(
    Object.keys(first).map((key) => {
      const values = samples.map((sample) => (sample as Readonly<Record<string, unknown>>)[key]);
      return [key, values.every(isObject) ? medianOf(values) : median(values.map((value) => numberOf(key, value)))];
    }),
  ) as T;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
function numberOf(key: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`${key} was measured as ${String(value)}`);
  return value;
}
