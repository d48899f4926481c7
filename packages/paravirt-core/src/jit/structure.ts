/**
 * From a graph of blocks to WebAssembly's structured control: which block lies within which, and which are loops. Blocks lie where
 * the dominator tree has them (N. Ramsey, "Beyond Relooper", ICFP 2022), so that every jump forward is a branch out of a `block` and
 * every jump back one to a `loop`. Jumps into the middle of a loop go by a dispatcher: a node of its own before all others, from which each
 * of their targets can be reached.
 */
import type { Place, Region } from './region.ts';

export interface Node {
  readonly at: Place;
  /** Position in reverse postorder, from 0. */
  readonly order: number;
  /** Some jump back goes here, from within what this node dominates. */
  readonly isLoop: boolean;
  /** What this node dominates immediately, in reverse postorder. */
  readonly children: readonly Node[];
}
/** The place of the dispatcher. */
export const DISPATCHER = Number.MIN_SAFE_INTEGER;

export interface Structure {
  /** The only entry, or the dispatcher. */
  readonly root: Node;
  /** Where the dispatcher leads, the entries first; empty where there is none. All are its children. */
  readonly dispatched: readonly Place[];
  readonly nodes: ReadonlyMap<Place, Node>;
  /** Whether there are jumps that go by the dispatcher. */
  readonly isDispatching: boolean;
  /** Whether a jump can be made within the region: not one into the middle of a loop. */
  isStructured(from: Place, to: Place): boolean;
  /** Whether it goes back. */
  isBack(from: Place, to: Place): boolean;
}

/** Of a graph with one entry or more, which are all different. */
export function structureOf(entries: readonly Place[], successors: (place: Place) => readonly Place[]): Structure {
  const dispatched = new Set<Place>(entries);
  let structure =
    entries.length === 1 ? structureFrom(entries[0]!, successors, []) : dispatching([...dispatched], successors);
  for (;;) {
    const { nodes, isStructured } = structure;
    const before = dispatched.size;
    let isDispatching = false;
    for (const from of nodes.keys()) {
      if (from === DISPATCHER) continue;
      for (const to of successors(from)) {
        if (isStructured(from, to)) continue;
        dispatched.add(to);
        isDispatching = true;
      }
    }
    if (dispatched.size === before) return { ...structure, isDispatching };
    structure = dispatching([...dispatched], successors);
  }
}
/** By a dispatcher that leads to some places. */
function dispatching(
  targets: readonly Place[],
  successors: (place: Place) => readonly Place[],
): Omit<Structure, 'isDispatching'> {
  return structureFrom(DISPATCHER, (place) => (place === DISPATCHER ? targets : successors(place)), targets);
}
function structureFrom(
  entry: Place,
  successors: (place: Place) => readonly Place[],
  dispatched: readonly Place[],
): Omit<Structure, 'isDispatching'> {
  const postorder: Place[] = [];
  const seen = new Set<Place>([entry]);
  // Depth first without recursion: regions are deep where code is straight.
  const stack: { at: Place; rest: Place[] }[] = [{ at: entry, rest: [...successors(entry)] }];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const next = top.rest.pop();
    if (next === undefined) {
      postorder.push(top.at);
      stack.pop();
    } else if (!seen.has(next)) {
      seen.add(next);
      stack.push({ at: next, rest: [...successors(next)] });
    }
  }
  const places = postorder.reverse();
  const orderOf = new Map(places.map((place, i) => [place, i]));
  const predecessors = places.map((): number[] => []);
  places.forEach((place, i) => successors(place).forEach((to) => predecessors[orderOf.get(to)!]!.push(i)));

  // Immediate dominators (Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm").
  const dominator = places.map((_, i): number => (i === 0 ? 0 : -1));
  const common = (a: number, b: number): number => {
    while (a !== b) {
      while (a > b) a = dominator[a]!;
      while (b > a) b = dominator[b]!;
    }
    return a;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (let i = 1; i < places.length; i++) {
      const known = predecessors[i]!.filter((p) => dominator[p] !== -1);
      const found = known.reduce(common);
      if (found !== dominator[i]) {
        dominator[i] = found;
        changed = true;
      }
    }
  }
  const dominates = (a: number, b: number): boolean => {
    while (b > a) b = dominator[b]!;
    return a === b;
  };
  const isLoop = places.map((_, i) => predecessors[i]!.some((from) => from >= i && dominates(i, from)));
  const children = places.map((): Node[] => []);
  const nodes = places.map((at, order): Node => ({ at, order, isLoop: isLoop[order]!, children: children[order]! }));
  for (let i = 1; i < places.length; i++) children[dominator[i]!]!.push(nodes[i]!);
  const isBack = (from: Place, to: Place): boolean => orderOf.get(to)! <= orderOf.get(from)!;
  return {
    root: nodes[0]!,
    dispatched,
    nodes: new Map(nodes.map((node) => [node.at, node])),
    isBack,
    isStructured: (from, to) =>
      orderOf.has(to) && (!isBack(from, to) || dominates(orderOf.get(to)!, orderOf.get(from)!)),
  };
}

/** Places to which control comes from one block alone, with that one. */
export function onlyPredecessors({ entries, blocks }: Region, dispatched: readonly Place[]): ReadonlyMap<Place, Place> {
  const only = new Map<Place, Place>();
  const several = new Set<Place>([...entries, ...dispatched]);
  for (const { at, successors } of blocks.values()) {
    for (const to of successors) {
      if (only.has(to)) several.add(to);
      else only.set(to, at);
    }
  }
  for (const place of several) only.delete(place);
  return only;
}
