import { describe, expect, test } from 'vitest';
import type { MemoryView } from '../cluster/views.ts';
import { describeMemory, hasSettled, mebibytes } from './memory.ts';

const MIB = 2 ** 20;
const view = (more: Partial<MemoryView> = {}): MemoryView => ({
  ...{ id: 'g-1', name: 'tiny', run: 1, runner: 'r1' },
  ...{ sizeBytes: 128 * MIB, wantedBytes: 64 * MIB, bytes: 96 * MIB, balloonBytes: 32 * MIB, givenBytes: 40 * MIB },
  driver: true,
  statistics: {
    ...{ swapInBytes: 0, swapOutBytes: 4096, majorFaults: 7, minorFaults: 1234 },
    ...{ freeBytes: 30 * MIB, totalBytes: 120 * MIB, availableBytes: 50 * MIB, cachesBytes: 20 * MIB },
    ...{ hugetlbAllocations: 1, hugetlbFailures: 2 },
  },
  ...more,
});

describe('sizes', () => {
  test.each([
    ['512M', 512],
    ['64m', 64],
    ['1G', 1024],
    ['1.5g', 1536],
    ['0.25G', 256],
  ])('%s is %i MiB', (text, mib) => {
    expect(mebibytes(text)).toBe(mib);
  });

  test.each(['', '512', '512K', '1.5M', '0M', '-1M', '0x10M', '1e3M', ' 5M', 'M', '1.M', '9999999M'])(
    '%j is none',
    (text) => {
      expect(() => mebibytes(text)).toThrow(/512M or 1\.5G/);
    },
  );
});

test('all that is known, as lines', () => {
  expect(describeMemory(view())).toBe(`memory       128 MiB, of which it is to have 64 MiB
has          96 MiB
balloon      32 MiB
given        40 MiB
driver       at work
total        120 MiB
free         30 MiB
available    50 MiB
caches       20 MiB
swapped in   0 bytes
swapped out  4 KiB
page faults  7 major, 1234 minor
huge pages   1 allocated, 2 not`);
});

test('a guest without a driver, and one whose driver tells nothing', () => {
  const all = { wantedBytes: 128 * MIB, statistics: null };

  expect(describeMemory(view({ ...all, driver: false }))).toMatch(/^memory {3}128 MiB\n[^]*\ndriver {3}none: [^\n]*$/);
  expect(describeMemory(view(all))).toMatch(/\nstatistics {2}none: its driver tells none$/);
});

describe('waiting after tomei memory', () => {
  test.each([
    [view(), false],
    [view({ bytes: 63 * MIB }), false],
    [view({ bytes: 64 * MIB }), true],
  ])('%#: what it has is what it is to have: %s', (now, settled) => {
    expect(hasSettled(view(), now)).toBe(settled);
  });

  test.each([[view({ run: 2, bytes: 64 * MIB })], [view({ wantedBytes: 128 * MIB, bytes: 128 * MIB })]])(
    '%#: a guest that started anew, or was asked for something else, never comes there',
    (now) => {
      expect(() => hasSettled(view(), now)).toThrow(expect.objectContaining({ code: 'request.overtaken' }) as Error);
    },
  );
});
