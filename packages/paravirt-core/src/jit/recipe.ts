/**
 * How a value comes from others: an expression that is written down instead of a result, for what is asked for seldom, and then somewhere
 * else in the code.
 */
import type { Value } from '../core/interpreter/value.ts';
import type { Origin } from './folding.ts';

/** A constant, one of the values that are kept, by its number, or an operation. `text` is equal for equal expressions. */
export type Recipe =
  | { readonly text: string; readonly constant: Value }
  | { readonly text: string; readonly leaf: number }
  | { readonly text: string; readonly name: string; readonly args: readonly Recipe[] };

/** Operations of one recipe: what is longer is better computed at once. */
const MOST_OPERATIONS = 12;

/** What recipes are written from: where values come from, and how many may be kept for them. */
export interface Sources {
  originOf(value: Value): Origin | undefined;
  /** Values that are found under these numbers; the recipe adds those that it needs, 32 bits each. */
  readonly leaves: Value[];
  readonly mostLeaves: number;
  /** Whether a value may have changed when the recipe is followed, so that it must not be a leaf. */
  isPassing(value: Value): boolean;
}

/** Undefined when it would need too much. */
export function recipeOf(value: Value, sources: Sources): Recipe | undefined {
  let operations = 0;
  const written = (each: Value): Recipe | undefined => {
    if (each.constant !== undefined) return { text: `${each.type}${each.constant}`, constant: each };
    const known = sources.leaves.indexOf(each);
    if (known >= 0) return { text: `$${known}`, leaf: known };
    const origin = sources.originOf(each);
    if (origin === undefined) return kept(each);
    if (++operations > MOST_OPERATIONS) return undefined;
    const args: Recipe[] = [];
    for (const arg of origin.args) {
      const recipe = written(arg);
      if (recipe === undefined) return undefined;
      args.push(recipe);
    }
    return { text: `${origin.name}(${args.map(({ text }) => text).join()})`, name: origin.name, args };
  };
  const kept = (each: Value): Recipe | undefined => {
    const { leaves, mostLeaves } = sources;
    if (each.type !== 'i' || leaves.length >= mostLeaves || sources.isPassing(each)) return undefined;
    leaves.push(each);
    return { text: `$${leaves.length - 1}`, leaf: leaves.length - 1 };
  };
  return written(value);
}

/** The value, computed here from what is kept. */
export function follow(
  recipe: Recipe,
  leaves: readonly Value[],
  op: (name: string, args: readonly Value[]) => Value,
): Value {
  if ('constant' in recipe) return recipe.constant;
  if ('leaf' in recipe) return leaves[recipe.leaf]!;
  return op(
    recipe.name,
    recipe.args.map((arg) => follow(arg, leaves, op)),
  );
}
