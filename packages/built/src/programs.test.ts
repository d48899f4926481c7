/** Programs that are built: they do what their sources do, and are taken while those are what they were. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildPrograms } from './bundle.ts';
import { MANIFEST, builtFrom, type Manifest } from './programs.ts';

const EXAMPLE = 'packages/built/src/programs.example.ts',
  SOURCE = new URL('./programs.example.ts', import.meta.url);
let folder: string, built: URL;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'built-'));
  built = pathToFileURL(`${folder}/`);
  await buildPrograms({ example: EXAMPLE }, built);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('find what lies beside their sources, and name lines of those in stacks of errors', () => {
  const run = (file: URL): unknown => {
    const { stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(file)], { encoding: 'utf8' });
    expect(stderr).toBe('');
    const { stack, ...told } = JSON.parse(stdout) as { stack: string[] };
    // Without columns: what strips types leaves blanks in their places.
    const frames = stack.slice(0, 3).map((line) => /(\w+).*?([^/]*\.ts:\d+)/.exec(line)?.slice(1) ?? line);
    return { ...told, frames };
  };
  const program = builtFrom(SOURCE, built);
  expect(program.href).toBe(new URL('example.js', built).href);
  const told = run(program);
  expect(told).toEqual(run(SOURCE));
  expect(told).toMatchObject({
    place: SOURCE.href,
    frames: ['Error: as it was meant to be', ['at', 'programs.example.ts:10'], ['at', 'programs.example.ts:18']],
  });
});

it('are not taken where a source is another one, where none was built, and where what tells is damaged', () => {
  const file = new URL(MANIFEST, built),
    text = readFileSync(file, 'utf8'),
    manifest = JSON.parse(text) as Manifest;
  const [[path, size, modified] = ['', 0, 0], ...others] = manifest.sources.files;
  const taken = (changed: string): boolean => {
    writeFileSync(file, changed);
    return builtFrom(SOURCE, built) !== SOURCE;
  };
  const withFirst = (first: readonly [string, number, number], fingerprint = manifest.sources.fingerprint): string =>
    JSON.stringify({ ...manifest, sources: { files: [first, ...others], fingerprint } });
  expect(taken(withFirst([path, size + 1, modified]))).toBe(false);
  expect(taken(withFirst([`${path}.gone`, size, modified]))).toBe(false);
  expect(taken(text.slice(0, 100))).toBe(false);
  expect(taken(JSON.stringify({ ...manifest, programs: {} }))).toBe(false);
  // Another time alone says nothing: its text decides.
  expect(taken(withFirst([path, size, modified + 1]))).toBe(true);
  expect(taken(withFirst([path, size, modified + 1], 'another'))).toBe(false);
  expect(taken(text)).toBe(true);
  expect(builtFrom(SOURCE, new URL('nothing/', built))).toBe(SOURCE);
});

it('of the build before are kept for those that run, and no older ones', async () => {
  const old = ['older.js', 'last.js'].map((name) => new URL(name, built));
  for (const each of old) writeFileSync(each, '');
  const file = new URL(MANIFEST, built),
    manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  writeFileSync(file, JSON.stringify({ ...manifest, files: ['last.js'] }));
  await buildPrograms({ example: EXAMPLE }, built);
  expect(readdirSync(built)).toContain('last.js');
  expect(readdirSync(built)).not.toContain('older.js');
});
