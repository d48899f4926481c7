/** ESLint rule `tomei/no-cycles`: files of one workspace do not import each other in a circle. Imports of types alone do not count. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import type { Rule } from 'eslint';

/** Relative imports and re-exports, with what is between the keyword and `from`. */
const IMPORT = /^(?:import|export)\s+([^'";]*?)\s*from\s+'(\.[^']+)'/gm;

/** Whether an import clause brings in types only: `type { A }`, `{ type A, type B }`. */
const typesOnly = (clause: string): boolean =>
  /^type\s/.test(clause) || (/^\{[^]*\}$/.test(clause) && /^\{(\s*type\s[^,}]*,?)+\s*\}$/.test(clause));

/** Files that `file` imports, absolute. */
export function importsOf(file: string, text: string): string[] {
  return [...text.matchAll(IMPORT)]
    .filter(([, clause]) => !typesOnly(clause!))
    .map(([, , specifier]) => resolve(dirname(file), specifier!));
}

/** Finds the shortest way from a file back to itself; `imports` gives the files that a file imports. */
export function findCycle(start: string, imports: (file: string) => readonly string[]): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    for (const next of imports(file)) {
      if (next === start) {
        const way = [start];
        for (let at: string | undefined = file; at !== undefined; at = cameFrom.get(at)) way.unshift(at);
        return way[0] === start ? way : [start, ...way];
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, file);
      queue.push(next);
    }
  }
  return undefined;
}

/** The rule, with a memory of one run: each file is read once. */
export function createNoCycles(): Rule.RuleModule {
  const known = new Map<string, readonly string[]>();
  const imports = (file: string): readonly string[] => {
    let list = known.get(file);
    if (list === undefined) {
      list = existsSync(file) ? importsOf(file, readFileSync(file, 'utf8')) : [];
      known.set(file, list);
    }
    return list;
  };
  return {
    meta: {
      type: 'problem',
      docs: { description: 'files do not import each other in a circle' },
      messages: { cycle: 'this file imports itself by way of {{way}}' },
      schema: [],
    },
    create(context) {
      return {
        Program(node) {
          const file = context.filename;
          known.set(file, importsOf(file, context.sourceCode.text));
          const way = findCycle(file, imports);
          if (way === undefined) return;
          const names = way.slice(1, -1).map((each) => relative(dirname(file), each));
          context.report({ node, messageId: 'cycle', data: { way: names.join(', ') || 'itself' } });
        },
      };
    },
  };
}
