/** Where the host CPU cannot be used, that is said with what to do about it; an existing harness is not compiled again. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostCpu } from './host-cpu.ts';

const host = HostCpu.available();
const SCRIPT = `
  const { HostCpu } = await import(${JSON.stringify(join(import.meta.dirname, 'host-cpu.ts'))});
  console.log(JSON.stringify(HostCpu.available()));
`;

describe('HostCpu.available', () => {
  let cache: string;

  beforeEach(() => void (cache = mkdtempSync(join(tmpdir(), 'tomei-host-cpu-'))));
  afterEach(() => rmSync(cache, { recursive: true }));

  function availableWith(environment: Record<string, string>): unknown {
    const env = { ...process.env, XDG_CACHE_HOME: cache, ...environment };
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', SCRIPT], { encoding: 'utf8', env });
    return JSON.parse(run.stdout);
  }

  it('names the package to install when there is no compiler', () => {
    expect(availableWith({ PATH: '/nonexistent' })).toEqual({
      ok: false,
      why: 'gcc cannot be run; install Debian package gcc-multilib',
    });
  });

  it('names the directory when the cache cannot be made', () => {
    expect(availableWith({ XDG_CACHE_HOME: '/dev/null' })).toEqual({
      ok: false,
      why: expect.stringMatching(/^cannot make \/dev\/null\/tomei\/host-cpu: /) as string,
    });
  });

  it('compiles once and finds the harness again, without a compiler', (context) => {
    context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`);
    const directory = join(cache, 'tomei', 'host-cpu');

    const first = availableWith({});
    const made = readdirSync(directory).map((name) => statSync(join(directory, name)).mtimeMs);
    const second = availableWith({ PATH: '/nonexistent' });

    expect([first, second]).toEqual([{ ok: true }, { ok: true }]);
    expect(readdirSync(directory).map((name) => statSync(join(directory, name)).mtimeMs)).toEqual(made);
    expect(made).toHaveLength(1);
  });
});
