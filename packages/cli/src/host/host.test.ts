import { describe, expect, test } from 'vitest';
import { missingPackages } from './debian-packages.ts';
import { cacheFolder } from './folders.ts';
import { findCommand, runTool } from './tool.ts';

describe('runTool', () => {
  test('gives back what the tool printed, and each line as it comes', async () => {
    const lines: string[] = [];

    const result = await runTool('sh', ['-c', 'echo one; echo two; echo three >&2'], {
      onLine: (line) => lines.push(line),
    });

    expect(result).toEqual({ code: 0, stdout: 'one\ntwo\n', stderr: 'three\n' });
    expect(lines).toEqual(['one', 'two']);
  });

  test('a failure names the tool, its exit code and its last words', async () => {
    const failing = runTool('sh', ['-c', 'echo reason >&2; exit 3']);

    await expect(failing).rejects.toMatchObject({ code: 'tool.failed', message: 'sh failed with exit code 3: reason' });
  });

  test('an exit code that is accepted is no failure', async () => {
    expect((await runTool('sh', ['-c', 'exit 100'], { accept: [0, 100] })).code).toBe(100);
  });

  test('a tool that is not installed is named', async () => {
    await expect(runTool('tomei-no-such-tool', [])).rejects.toMatchObject({ code: 'tool.missing' });
  });

  test('a tool that ends without reading its input is judged by its exit code', async () => {
    expect((await runTool('true', [], { input: 'x'.repeat(1 << 20) })).code).toBe(0);
  });
});

test('findCommand looks where the system keeps its tools', () => {
  expect(findCommand('sh')).toMatch(/\/sh$/);
  expect(findCommand('tomei-no-such-tool')).toBeUndefined();
});

test('missingPackages tells what is there from what is not', async () => {
  const packages = [{ name: 'dash', command: 'sh' }, { name: 'tomei-no-such-package' }];

  expect(await missingPackages(packages)).toEqual(['tomei-no-such-package']);
});

test.each([
  [{ XDG_CACHE_HOME: '/cache' }, '/cache/tomei'],
  [{ XDG_CACHE_HOME: 'relative' }, /\/\.cache\/tomei$/],
  [{}, /\/\.cache\/tomei$/],
])('cacheFolder for %j', (environment, expected) => {
  if (typeof expected === 'string') expect(cacheFolder(environment)).toBe(expected);
  else expect(cacheFolder(environment)).toMatch(expected);
});
