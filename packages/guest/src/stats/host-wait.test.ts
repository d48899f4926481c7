import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostWaitOfThread } from './host-wait.ts';

test('the second figure of the file is what a thread has waited, each time anew', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tomei-wait-')),
    path = join(folder, 'schedstat');
  try {
    await writeFile(path, '123456 7890123456789 42\n');
    const waited = hostWaitOfThread(path);
    expect(waited()).toBe(7_890_123_456_789);
    await writeFile(path, '123456 7890123456790 42\n');
    expect(waited()).toBe(7_890_123_456_790);
    await writeFile(path, 'nothing\n');
    expect(waited()).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});
test('a host that does not say is no error', () => {
  expect(hostWaitOfThread('/nowhere/schedstat')()).toBeUndefined();
});
