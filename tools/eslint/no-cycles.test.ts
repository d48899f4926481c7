import { expect, test } from 'vitest';
import { findCycle, importsOf } from './no-cycles.ts';

const graph =
  (edges: Record<string, string[]>) =>
  (file: string): string[] =>
    edges[file] ?? [];

test('finds the shortest way from a file back to itself', () => {
  const imports = graph({ a: ['b', 'c'], b: ['d'], c: ['a'], d: ['a'] });

  expect(findCycle('a', imports)).toEqual(['a', 'c', 'a']);
  expect(findCycle('d', imports)).toEqual(['d', 'a', 'b', 'd']);
});

test('a circle is the matter of the files in it, not of those that import them', () => {
  const imports = graph({ main: ['a'], a: ['b'], b: ['a'] });

  expect(findCycle('main', imports)).toBeUndefined();
});

test('a file that imports itself is a circle', () => {
  expect(findCycle('a', graph({ a: ['a'] }))).toEqual(['a', 'a']);
});

test('reads relative imports and re-exports, and leaves out those of types', () => {
  const text = [
    "import { a, type A } from './a.ts';",
    "import type { B } from './b.ts';",
    "import { type C, type D } from './c.ts';",
    "export * from '../e.ts';",
    "export { f } from './f.ts';",
    "import 'node:fs';",
    "import { kit } from '@tomei/kit';",
    'import {\n  g,\n  h,\n} from "./quotes-are-single.ts";',
    "import {\n  i,\n  type I,\n} from './i.ts';",
  ].join('\n');

  expect(importsOf('/root/src/x.ts', text)).toEqual([
    '/root/src/a.ts',
    '/root/e.ts',
    '/root/src/f.ts',
    '/root/src/i.ts',
  ]);
});
