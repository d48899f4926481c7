/** What a guest's process keeps for the next start. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { exit, smallKernel } from './small-kernel.ts';

const MAIN = fileURLToPath(new URL('../../packages/cli/tomei.js', import.meta.url));
const STATUS = 3;

interface Said {
  readonly module: string;
  readonly what: string;
}

test('what is compiled for a guest is kept, for each of its threads, however soon its process is ended afterwards', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tomei-start-'));
  try {
    writeFileSync(join(folder, 'exit.elf'), smallKernel(exit(STATUS)));
    writeFileSync(join(folder, 'a.vmx'), 'memsize = "16"\ntomei.kernel = "exit.elf"\n');
    // Node tells on standard error of each module: whether its compiled code was found, and whether it could be used.
    const env: NodeJS.ProcessEnv = { ...process.env, XDG_CACHE_HOME: folder, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };
    delete env['NODE_COMPILE_CACHE'];
    const start = (): Said[] => {
      const { stderr, status } = spawnSync(process.execPath, [MAIN, 'run', join(folder, 'a.vmx')], {
        env,
        encoding: 'utf8',
        maxBuffer: 64 << 20,
      });
      expect(status, stderr.slice(-2000)).toBe(1 + 2 * STATUS);
      // Threads write at the same time, so that two messages may share a line.
      return [...stderr.matchAll(/V8 code cache for ESM (\S+) was (accepted|rejected|not initialized)/g)].map(
        ([, module = '', what = '']) => ({ module, what }),
      );
    };
    const said = (all: readonly Said[], what: string): string[] =>
      all.filter((one) => one.what === what).map((one) => one.module);
    // Of the sources or of what was built of them.
    const both = [expect.stringContaining('vcpu-worker'), expect.stringContaining('guest-requests')];
    const cold = said(start(), 'not initialized'),
      warm = start();
    expect(cold).toEqual(expect.arrayContaining(both));
    expect(said(warm, 'not initialized')).toEqual([]);
    expect(said(warm, 'rejected')).toEqual([]);
    expect(said(warm, 'accepted')).toEqual(expect.arrayContaining(both));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
