import { describe, expect, test } from 'vitest';
import { runnerId } from '@tomei/contracts';
import { consoleAddresses } from './console-addresses.ts';
import { cgroupLimitBytes, defaultMemoryMib, defaultVcpus, memoryForGuestsMib, runnerIdFrom } from './host.ts';
import { mipsBetween } from './metrics.ts';

describe('what a host offers', () => {
  test.each([
    ['vcpu-runner-1', 'vcpu-runner-1'],
    ['Host_7.example.org', 'host-7-example-org'],
    ['-a-', 'a'],
    ['日本', 'runner'],
    [`${'a'.repeat(62)}-b`, 'a'.repeat(62)],
  ])('a host %s has the runner %s', (host, id) => {
    expect(runnerIdFrom(host)).toBe(id);
    expect(runnerId(id)).toBe(id);
  });

  test.each([
    [64, 64 * 1024 - 8 * 1024],
    [4, 3584],
    [1, 768],
    [0.25, 0],
    [0.1, 0],
  ])('of %f GiB guests get %i MiB', (gib, mib) => {
    expect(memoryForGuestsMib(gib * 2 ** 30)).toBe(mib);
  });

  test.each([
    ['536870912\n', 536870912],
    ['max\n', undefined],
    ['9223372036854771712\n', undefined],
  ])('a control group with %j is limited to %s', (text, limit) => {
    expect(cgroupLimitBytes(() => text)).toBe(limit);
  });
  test('no control group is no limit', () => {
    const missing = (): string => {
      throw new Error('ENOENT');
    };

    expect(cgroupLimitBytes(missing)).toBeUndefined();
  });

  test('this host offers something', () => {
    expect(defaultMemoryMib()).toBeGreaterThan(0);
    expect(defaultVcpus()).toBeGreaterThan(0);
  });
});

describe('addresses of consoles', () => {
  test('over TCP the system picks the port', () => {
    const next = consoleAddresses('0.0.0.0:0', 'host-1', 'abcdef0123456789');

    expect([next(), next()]).toEqual(Array(2).fill({ bind: '0.0.0.0:0', advertise: 'host-1' }));
  });

  test('in a folder each process has a socket of its own', () => {
    const next = consoleAddresses('unix:/run/tomei/', undefined, 'abcdef0123456789');

    expect([next(), next()]).toEqual([
      { bind: 'unix:/run/tomei/abcdef01-1.sock' },
      { bind: 'unix:/run/tomei/abcdef01-2.sock' },
    ]);
  });
});

test.each([
  [{ instructions: 0, cpuMs: 0 }, { instructions: 5_000_000, cpuMs: 100 }, 50],
  [{ instructions: 5, cpuMs: 10 }, { instructions: 5, cpuMs: 10 }, 0],
  [{ instructions: 500, cpuMs: 10 }, { instructions: 5, cpuMs: 1 }, 0],
])('from %j to %j: %i MIPS', (before, after, mips) => {
  expect(mipsBetween(before, after)).toBe(mips);
});
