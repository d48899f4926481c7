import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const REPOSITORY = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(REPOSITORY, path), 'utf8');

/** Lines of the README's shell blocks that begin without anything installed. */
const freshCommands = [...read('README.md').matchAll(/```sh\n([^]*?)```/g)]
  .flatMap(([, block]) => block!.trim().split('\n'))
  .filter((line) => line.startsWith('npx '));

test('continuous integration runs exactly the test command of the README', () => {
  const lines = read('.ci/run')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

  // Behind it nothing; before it a Docker engine is started, for the tests that can use one.
  expect(lines.at(-1)).toBe(freshCommands.at(-1));
  expect(lines.slice(0, -1)).toEqual([
    'set -euo pipefail',
    'cd "$(dirname "$0")/.."',
    expect.stringMatching(/engine\.sh start \|\| /),
  ]);
  expect(freshCommands.at(-1)).toMatch(/check:all$/);
  expect(statSync(join(REPOSITORY, '.ci/run')).mode & 0o111).toBe(0o111);
});

test('every script that the documents name is there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const builtIn = ['install', 'exec', '-r'];
  const named = ['README.md', 'CONTRIBUTING.md']
    .flatMap((path) => [...read(path).matchAll(/`[^`]*\bpnpm ([a-z][a-z:]*)/g)].map((match) => match[1]!))
    .concat(freshCommands.map((line) => / pnpm ([a-z:]+)/.exec(line)?.[1] ?? line))
    .filter((name) => !builtIn.includes(name));

  expect(named.length).toBeGreaterThan(0);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});
