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

/** MOV ECX, 1 << 29; again: DEC ECX; JNZ again: long enough for the translating thread to have been idle after its first region. */
const loop = [0xb9, 0, 0, 0, 0x20, 0x49, 0x75, 0xfd];

/** What Node says of each module of a guest's process: whether its compiled code was found, and whether it could be used. */
function starts(code: readonly number[], use: (start: () => Said[]) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'tomei-start-'));
  try {
    writeFileSync(join(folder, 'exit.elf'), smallKernel(code));
    writeFileSync(join(folder, 'a.vmx'), 'memsize = "16"\ntomei.kernel = "exit.elf"\n');
    const env: NodeJS.ProcessEnv = { ...process.env, XDG_CACHE_HOME: folder, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };
    delete env['NODE_COMPILE_CACHE'];
    use(() => {
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
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
const said = (all: readonly Said[], what: string): string[] =>
  all.filter((one) => one.what === what).map((one) => one.module);

test('what is compiled of its first two threads is kept, however soon a guest and its process end', () => {
  starts(exit(STATUS), (start) => {
    // Of the sources or of what was built of them.
    const both = [expect.stringContaining('vcpu-worker'), expect.stringContaining('guest-requests')];
    const cold = said(start(), 'not initialized'),
      warm = start();
    expect(cold).toEqual(expect.arrayContaining(both));
    // That thread is ended with its guest, and has kept nothing by then: see below.
    const isTranslators = (module: string): boolean => module.includes('translator-thread');
    expect(said(warm, 'not initialized').filter((module) => !isTranslators(module))).toEqual([]);
    expect(said(warm, 'rejected')).toEqual([]);
    expect(said(warm, 'accepted')).toEqual(expect.arrayContaining(both));
  });
});

test('so is what is compiled of the translating thread, once it has translated and waits', () => {
  starts([...loop, ...exit(STATUS)], (start) => {
    expect(said(start(), 'not initialized')).toContainEqual(expect.stringContaining('translator-thread'));
    const warm = start();
    expect(said(warm, 'accepted')).toContainEqual(expect.stringContaining('translator-thread'));
    expect(said(warm, 'rejected')).toEqual([]);
  });
});
