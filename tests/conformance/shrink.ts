/** Finding the few parts of a failing sequence that matter (delta debugging after Zeller and Hildebrandt, "ddmin"). */

/**
 * A subsequence of `items` for which `fails` still holds and from which no single item can be left out. The order is
 * kept. `fails(items)` must hold to begin with; it is asked about O(n^2) subsequences at worst, O(log n) when one item
 * is to blame. It may be asynchronous, and should give the same answer each time.
 */
export async function shrink<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => boolean | Promise<boolean>,
): Promise<readonly T[]> {
  let current = items;
  let pieces = 2;
  while (current.length > 1) {
    const smaller = await withoutOnePiece(current, pieces, fails);
    if (smaller !== undefined) {
      current = smaller;
      pieces = Math.max(2, pieces - 1);
    } else if (pieces < current.length) pieces = Math.min(current.length, 2 * pieces);
    else break;
  }
  if (current.length === 1 && (await fails([]))) return [];
  return current;
}

/** `items` without one of `count` about equal pieces, such that it still fails; undefined if every piece is needed. */
async function withoutOnePiece<T>(
  items: readonly T[],
  count: number,
  fails: (items: readonly T[]) => boolean | Promise<boolean>,
): Promise<readonly T[] | undefined> {
  for (let piece = 0; piece < count; piece++) {
    const from = Math.floor((piece * items.length) / count);
    const to = Math.floor(((piece + 1) * items.length) / count);
    const rest = [...items.slice(0, from), ...items.slice(to)];
    if (to > from && (await fails(rest))) return rest;
  }
  return undefined;
}

/**
 * Makes numbers smaller one after another: each becomes 0 or loses bits from the top as long as `fails` holds. For the
 * registers of a failing case, when its instructions are as few as they get.
 */
export async function shrinkNumbers(
  values: readonly number[],
  fails: (values: readonly number[]) => boolean | Promise<boolean>,
): Promise<readonly number[]> {
  let current = values;
  for (let i = 0; i < values.length; i++)
    for (const candidate of smallerThan(values[i] ?? 0)) {
      const attempt = current.with(i, candidate);
      if (!(await fails(attempt))) continue;
      current = attempt;
      break;
    }
  return current;
}

/** 0, 1, and the low bits of `value` in growing number: the simplest first. */
function smallerThan(value: number): number[] {
  const low = Array.from({ length: 31 }, (_, bits) => value % 2 ** (bits + 1));
  return [...new Set([0, 1, ...low])].filter((candidate) => candidate < value);
}
