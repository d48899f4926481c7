/** The contracts of proto/ keep their style, and what was released stays readable by those who speak it. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';

const REPOSITORY = join(import.meta.dirname, '..');
const BUF = join(REPOSITORY, 'node_modules/.bin/buf');
const RELEASED = join(REPOSITORY, 'proto/released.binpb');

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** The exit code and what buf says. */
function buf(directory: string, ...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(BUF, args, { cwd: directory }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}
/** A copy of the contracts in which one text is another. */
async function changed(file: string, before: string, after: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tomei-proto-'));
  folders.push(folder);
  await cp(join(REPOSITORY, 'proto'), join(folder, 'proto'), { recursive: true });
  await cp(join(REPOSITORY, 'buf.yaml'), join(folder, 'buf.yaml'));
  const path = join(folder, 'proto/tomei/v1', file);
  const text = await readFile(path, 'utf8');
  expect(text).toContain(before);
  await writeFile(path, text.replace(before, after));
  return folder;
}

test('the contracts follow the style rules', async () => {
  expect(await buf(REPOSITORY, 'lint')).toEqual({ code: 0, output: '' });
});

test('nothing that was released is broken', async () => {
  expect(await buf(REPOSITORY, 'breaking', '--against', RELEASED)).toEqual({ code: 0, output: '' });
});

test.each([
  ['a field with another number', 'uint64 epoch = 2;', 'uint64 epoch = 12;'],
  ['a field of another type', 'uint64 epoch = 2;', 'string epoch = 2;'],
  ['a call that is gone', 'rpc Close(CloseRequest) returns (CloseResponse);', ''],
])('%s is found', async (_, before, after) => {
  const folder = await changed('disk.proto', before, after);

  expect((await buf(folder, 'breaking', '--against', RELEASED)).code).not.toBe(0);
});

test('a new field breaks nothing', async () => {
  const folder = await changed('disk.proto', 'uint64 epoch = 2;', 'uint64 epoch = 2;\n  uint64 later = 4090;');

  expect(await buf(folder, 'breaking', '--against', RELEASED)).toEqual({ code: 0, output: '' });
});
