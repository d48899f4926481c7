/** Graphs to structured control: whatever the graph, the branches that are said to be possible lead where they should. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DISPATCHER, structureOf, type Node } from './structure.ts';

/** Successors by node number; node 0 is the entry. */
type Graph = readonly (readonly number[])[];
const graphs = fc
  .integer({ min: 1, max: 12 })
  .chain((n) => fc.array(fc.uniqueArray(fc.nat(n - 1), { maxLength: 3 }), { minLength: n, maxLength: n }));

const reachable = (graph: Graph, without?: number, from = 0): Set<number> => {
  const seen = new Set<number>();
  const visit = (n: number): void => {
    if (n === without || seen.has(n)) return;
    seen.add(n);
    graph[n]!.forEach(visit);
  };
  visit(from);
  return seen;
};

describe('the structure of a graph', () => {
  it('has each reachable node once, below what every way to it leads through', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const { root } = structureOf([0], (n) => graph[n]!);
        const parents = new Map<number, number | undefined>();
        const walk = (node: Node, parent?: number): void => {
          expect(parents.has(node.at)).toBe(false);
          parents.set(node.at, parent);
          for (const child of node.children) walk(child, node.at);
        };
        walk(root);

        const seen = new Set([...parents.keys()].filter((at) => at !== DISPATCHER));
        expect(seen).toEqual(reachable(graph));
        // The dispatcher is a way of its own.
        if (parents.has(DISPATCHER)) return;
        for (const [at, parent] of parents) {
          if (parent !== undefined && parent !== at) expect(reachable(graph, parent).has(at)).toBe(false);
        }
      }),
    );
  });

  it('has the target of every branch around it, or dispatches to it', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const structure = structureOf([0], (n) => graph[n]!);
        // What is open where a node's own code stands: loops it lies in, and blocks that end before nodes that come later.
        const open = new Map<number, { loops: Set<number>; blocks: Set<number> }>();
        const walk = (node: Node, loops: ReadonlySet<number>, blocks: ReadonlySet<number>): void => {
          const inside = new Set(loops),
            around = new Set(blocks);
          if (node.isLoop) inside.add(node.at);
          for (const child of node.children) around.add(child.at);
          open.set(node.at, { loops: inside, blocks: around });
          for (const child of node.children) {
            around.delete(child.at);
            walk(child, inside, around);
          }
        };
        walk(structure.root, new Set(), new Set());

        for (const from of structure.nodes.keys()) {
          if (from === DISPATCHER) continue;
          for (const to of graph[from]!) {
            if (!structure.isStructured(from, to)) {
              expect(structure.dispatched).toContain(to);
              continue;
            }
            const { loops, blocks } = openAt(from);
            if (structure.isBack(from, to)) expect(loops.has(to)).toBe(true);
            else expect(blocks.has(to)).toBe(true);
          }
        }
        function openAt(at: number): { loops: Set<number>; blocks: Set<number> } {
          const found = open.get(at)!;
          return { loops: found.loops, blocks: new Set([...found.blocks, ...childrenOf(at)]) };
        }
        function childrenOf(at: number): number[] {
          return structure.nodes.get(at)!.children.map((child) => child.at);
        }
      }),
    );
  });

  it('has a dispatcher where there are jumps into the middle of a loop', () => {
    // 0 goes to 1 and 2, which go to each other: neither is before the other on every way.
    const { root, dispatched } = structureOf([0], (n) => [[1, 2], [2], [1]][n]!);

    expect(root.at).toBe(DISPATCHER);
    expect(dispatched[0]).toBe(0);
    expect(root.children.map((child) => child.at).sort()).toEqual(expect.arrayContaining([...dispatched]));
  });

  it('of several entries has all of them below the dispatcher, first and in their order, and all that they lead to', () => {
    fc.assert(
      fc.property(graphs, fc.uniqueArray(fc.nat(11), { minLength: 2, maxLength: 4 }), (graph, chosen) => {
        const entries = chosen.filter((n) => n < graph.length);
        fc.pre(entries.length > 1);
        const { root, dispatched, nodes, isDispatching, isStructured } = structureOf(entries, (n) => graph[n]!);

        expect([root.at, dispatched.slice(0, entries.length)]).toEqual([DISPATCHER, entries]);
        expect(root.children.map(({ at }) => at)).toEqual(expect.arrayContaining([...dispatched]));
        const led = new Set(entries.flatMap((entry) => [...reachable(graph, undefined, entry)]));
        expect(new Set([...nodes.keys()].filter((at) => at !== DISPATCHER))).toEqual(led);
        // A loop around all is there for jumps only that cannot be made otherwise.
        expect(isDispatching).toBe([...led].some((from) => graph[from]!.some((to) => !isStructured(from, to))));
      }),
    );
  });
});
