/**
 * Where the two words of the status flags must be in place. Most blocks set all flags before they look at any: what comes to them by several
 * ways need not agree on what is pending (pending-flags.ts), as long as it is known, in a local, when something leaves compiled code.
 */
import type { Form } from '../isa/model.ts';
import type { Block, Place } from './region.ts';

const ALL = 'oszapc';

/** Forms that were found to need the words though nothing says so: those that go by the interpreter's handlers, or set flags on some paths. */
const found = new WeakSet<Form>();
export const needsWords = (form: Form): void => void found.add(form);

/** What forms do with flags, by their traits (`Traits.flags`). */
const effects = new WeakMap<Form, 'needs' | 'sets' | 'none'>();
function effectOf(form: Form): 'needs' | 'sets' | 'none' {
  if (found.has(form)) return 'needs';
  let effect = effects.get(form);
  if (effect === undefined) {
    const parts = (form.row.flags ?? '').split(' ').map((part) => part.split('='));
    const changed = parts.filter(([how]) => how !== 'r').flatMap(([, flags = '']) => [...flags]);
    const reads = parts.some(([how, flags = '']) => how === 'r' && [...flags].some((flag) => ALL.includes(flag)));
    const sets = [...ALL].filter((flag) => changed.includes(flag)).length;
    effect = reads || (sets > 0 && sets < ALL.length) ? 'needs' : sets > 0 ? 'sets' : 'none';
    effects.set(form, effect);
  }
  return effect;
}
/** Whether instructions need the words at their begin; undefined when what comes after them tells. */
function needs({ instructions }: Block): boolean | undefined {
  for (const { instruction } of instructions) {
    const effect = effectOf(instruction.form);
    if (effect !== 'none') return effect === 'needs';
  }
  return undefined;
}

/**
 * Blocks that begin with the words in place, because they or those after them look at flags, or change some of them only; and those that
 * were found to need them.
 */
export function blocksThatNeedWords(blocks: ReadonlyMap<Place, Block>, known: ReadonlySet<Place>): ReadonlySet<Place> {
  const needing = new Set<Place>(known);
  const from = new Map<Place, Block[]>();
  for (const block of blocks.values()) {
    const own = needs(block);
    if (own === true) needing.add(block.at);
    if (own !== undefined) continue;
    for (const to of block.successors) from.set(to, [...(from.get(to) ?? []), block]);
  }
  const work = [...needing];
  for (let at = work.pop(); at !== undefined; at = work.pop()) {
    for (const block of from.get(at) ?? []) {
      if (needing.has(block.at)) continue;
      needing.add(block.at);
      work.push(block.at);
    }
  }
  return needing;
}
