/** What a guest of this machine loads: `tomei run` is to start no slower for all that a cluster needs. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Imports that are there when the program runs and that nothing decides about: no types, no `import()`. */
const STATIC = /^(?:import|export)\s+(?!type\b)[^;]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm;

/** Every module that `file` loads as it starts: files of this package, and names of others. */
async function loadedBy(file: string, found = new Set<string>()): Promise<ReadonlySet<string>> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, name = '', bare = ''] of (await readFile(file, 'utf8')).matchAll(STATIC)) {
    const target = name === '' ? bare : name;
    if (target.startsWith('.')) await loadedBy(join(dirname(file), target), found);
    else found.add(target);
  }
  return found;
}

describe('a guest of this machine', () => {
  it.each(['index.ts', 'io-thread.ts', 'guest-requests.ts', 'vcpu-worker.ts'])(
    'does not load gRPC with %s',
    async (file) => {
      const loaded = await loadedBy(join(import.meta.dirname, file));
      expect([...loaded].filter((name) => /grpc|protobuf|@tomei\/(service|contracts)/.test(name))).toEqual([]);
    },
  );
  it('would be found to: a console does', async () => {
    const loaded = await loadedBy(join(import.meta.dirname, 'console/console.ts'));
    expect([...loaded]).toEqual(expect.arrayContaining(['@tomei/service', '@tomei/contracts']));
  });
});
