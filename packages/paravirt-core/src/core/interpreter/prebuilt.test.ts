/** The interpreter that `pnpm build` generates: the one that would be generated now, or none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { deserialize, serialize } from 'node:v8';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Sources } from '@tomei/built';
import { FormTable } from '../../isa/forms.ts';
import { allRows } from '../../isa/instructions/index.ts';
import { generateInterpreter } from './generate.ts';
import { SOURCE_FOLDERS, readPrebuilt, writePrebuilt } from './prebuilt.ts';

const SRC = new URL('../../', import.meta.url);
let folder: string, file: URL;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'prebuilt-'));
  file = pathToFileURL(join(folder, 'deeper', 'interpreter.bin'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('comes back as it was generated', () => {
  const generated = generateInterpreter(new FormTable(allRows).forms);
  writePrebuilt({ generated }, file);
  expect(readPrebuilt(file)).toEqual({ generated });
  writePrebuilt({ generated, code: Uint8Array.of(1, 2) }, file);
  expect(readPrebuilt(file)).toEqual({ generated, code: Uint8Array.of(1, 2) });
});

it('is none where it is of other sources, damaged, or missing', () => {
  const bytes = readFileSync(file);
  const prebuilt = deserialize(bytes) as { sources: Sources };
  const [[path, size, modified] = [''], ...others] = prebuilt.sources.files;
  for (const first of [
    [path, size! + 1, modified],
    [`${path}x`, size, modified],
  ]) {
    writeFileSync(file, serialize({ ...prebuilt, sources: { ...prebuilt.sources, files: [first, ...others] } }));
    expect(readPrebuilt(file)).toBeUndefined();
  }
  writeFileSync(file, serialize({ ...prebuilt, v8: '0' }));
  expect(readPrebuilt(file)).toBeUndefined();
  writeFileSync(file, bytes.subarray(0, bytes.length / 2));
  expect(readPrebuilt(file)).toBeUndefined();
  writeFileSync(file, bytes);
  expect(readPrebuilt(file)).toBeDefined();
  rmSync(file);
  expect(readPrebuilt(file)).toBeUndefined();
});

it('is made from nothing but the folders whose changes it notices', () => {
  const seen = new Set<string>();
  const visit = (url: URL): void => {
    if (seen.has(url.href)) return;
    seen.add(url.href);
    const imports = readFileSync(url, 'utf8').matchAll(/^(?:import|export|\} from)(?! type\b)[^;]*?from '(\.[^']+)'/gm);
    for (const [, path] of imports) visit(new URL(path!, url));
  };
  for (const first of ['core/interpreter/generate.ts', 'isa/instructions/index.ts']) visit(new URL(first, SRC));
  const files = [...seen].map((href) => fileURLToPath(href).slice(fileURLToPath(SRC).length));
  expect(files.length).toBeGreaterThan(40);
  expect(files.filter((name) => !SOURCE_FOLDERS.some((each) => name.startsWith(`${each}/`)))).toEqual([]);
});
