/** Combining sets of operands without the full product: the number of cases stays bounded, each pair of values still meets. */
import { type Random } from './random.ts';

/** One set of choices for each place of a combination. */
export type Axes<T extends readonly unknown[]> = { readonly [K in keyof T]: readonly T[K][] };

/** All combinations, the last axis fastest. */
export function* product<const T extends readonly unknown[]>(...axes: Axes<T>): Generator<T> {
  const total = axes.reduce((n, axis) => n * axis.length, 1);
  for (let i = 0; i < total; i++) yield combination<T>(axes, i);
}

/** All combinations if there are at most `limit`, else `limit` different ones chosen by `random`. */
export function* sampled<const T extends readonly unknown[]>(
  random: Random,
  limit: number,
  ...axes: Axes<T>
): Generator<T> {
  const total = axes.reduce((n, axis) => n * axis.length, 1);
  if (total <= limit) {
    yield* product<T>(...axes);
    return;
  }
  const seen = new Set<number>();
  while (seen.size < limit) {
    const i = random.below(total);
    if (seen.has(i)) continue;
    seen.add(i);
    yield combination<T>(axes, i);
  }
}

/**
 * Combinations in which each value of each axis meets each value of every other axis at least once: about the product
 * of the two longest axes. Greedy: a combination takes the pair still missing, and for its other places the value that
 * brings the most missing pairs along. An empty axis gives no combinations.
 */
export function* pairwise<const T extends readonly unknown[]>(random: Random, ...axes: Axes<T>): Generator<T> {
  const sizes = axes.map((axis) => axis.length);
  if (sizes.some((size) => size === 0)) return;
  if (sizes.length < 3) {
    yield* product<T>(...axes);
    return;
  }
  const missing = new MissingPairs(sizes);
  for (let first = missing.first(); first !== undefined; first = missing.first()) {
    const chosen: (number | undefined)[] = sizes.map(() => undefined);
    chosen[first.a] = first.x;
    chosen[first.b] = first.y;
    for (const [axis, size] of sizes.entries()) chosen[axis] ??= missing.bestValue(axis, size, chosen, random);
    const row = chosen.map((value) => value ?? 0);
    missing.cover(row);
    yield row.map((value, axis) => axes[axis]?.[value]) as unknown as T;
  }
}

function combination<T extends readonly unknown[]>(axes: Axes<T>, index: number): T {
  let rest = index;
  const values: unknown[] = [];
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    const choices = axes[axis] as readonly unknown[];
    values[axis] = choices[rest % choices.length];
    rest = Math.floor(rest / choices.length);
  }
  return values as unknown as T;
}

interface Pair {
  readonly a: number;
  readonly b: number;
  readonly x: number;
  readonly y: number;
}

/** Which pairs (axis a has value x, axis b has value y, a < b) no combination has yet. */
class MissingPairs {
  private readonly sizes: readonly number[];
  private readonly tables: { a: number; b: number; open: Uint8Array; left: number; from: number }[] = [];

  constructor(sizes: readonly number[]) {
    this.sizes = sizes;
    for (let a = 0; a < sizes.length; a++)
      for (let b = a + 1; b < sizes.length; b++) {
        const count = (sizes[a] ?? 0) * (sizes[b] ?? 0);
        this.tables.push({ a, b, open: new Uint8Array(count).fill(1), left: count, from: 0 });
      }
  }

  first(): Pair | undefined {
    const table = this.tables.find((t) => t.left > 0);
    if (table === undefined) return undefined;
    while (table.open[table.from] === 0) table.from++;
    const width = this.sizes[table.b] ?? 1;
    return { a: table.a, b: table.b, x: Math.floor(table.from / width), y: table.from % width };
  }

  /** Equal candidates are chosen between at random, so that places without a need of their own do not all stand still. */
  bestValue(axis: number, size: number, chosen: readonly (number | undefined)[], random: Random): number {
    let best = 0;
    let bestGain = -1;
    const offset = random.below(size);
    for (let i = 0; i < size; i++) {
      const value = (i + offset) % size;
      const gain = this.gain(axis, value, chosen);
      if (gain > bestGain) [best, bestGain] = [value, gain];
    }
    return best;
  }

  cover(row: readonly number[]): void {
    for (const table of this.tables) {
      const at = (row[table.a] ?? 0) * (this.sizes[table.b] ?? 1) + (row[table.b] ?? 0);
      table.left -= table.open[at] ?? 0;
      table.open[at] = 0;
    }
  }

  private gain(axis: number, value: number, chosen: readonly (number | undefined)[]): number {
    let gain = 0;
    for (const { a, b, open } of this.tables) {
      if (a !== axis && b !== axis) continue;
      const x = a === axis ? value : chosen[a];
      const y = b === axis ? value : chosen[b];
      if (x !== undefined && y !== undefined) gain += open[x * (this.sizes[b] ?? 1) + y] ?? 0;
    }
    return gain;
  }
}
