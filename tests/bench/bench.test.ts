/** What the benchmarks make of options, output and numbers. Nothing here looks at a clock. */
import { describe, expect, test } from 'vitest';
import { workloadNames } from './guest/build-guest.ts';
import { Marks, type Moment } from './marks.ts';
import { parseOptions } from './options.ts';
import { statsOf } from './peers.ts';
import { descendants, parseStat } from './process-time.ts';
import { markdownPage, terminalReport } from './report.ts';
import { geometricMean, median } from './statistics.ts';
import { figure, markdownTable, textTable } from './tables.ts';

describe('the guest’s marks', () => {
  const feed = (pieces: readonly string[], until = /@ DONE/): Marks => {
    let second = 0;
    const marks = new Marks(until, (): Moment => ({ wall: ++second, cpu: second / 2 }));
    for (const piece of pieces) marks.feed(piece);
    return marks;
  };

  test('lines are put together from pieces, and a workload has the time between its marks and its last line', () => {
    const marks = feed(['noise\r\n@ BOO', 'TED\r\n@ BEGIN fib\nfib 1', '2\n@ END\n', '@ DONE\n']);

    expect(marks.booted).toEqual({ wall: 1, cpu: 0.5 });
    expect(marks.workloads).toEqual([{ name: 'fib', time: { wall: 1, cpu: 0.5 }, result: 'fib 12' }]);
    expect(marks.done).toEqual({ wall: 4, cpu: 2 });
  });

  test('an end without a beginning counts for nothing, and a workload that never ends is none', () => {
    expect(feed(['@ END\n@ BEGIN sort\nsort 1\n@ DONE\n']).workloads).toEqual([]);
  });

  test('what the guest does is known between its marks', () => {
    expect(feed(['booting\n']).step).toBe('kernel to shell');
    expect(feed(['@ BOOTED\n@ BEGIN fib\n']).step).toBe('fib');
    expect(feed(['@ BOOTED\n@ BEGIN fib\nfib 1\n@ END\n']).step).toBe('next workload');
  });

  test('an unfinished line may end a run', () => {
    expect(feed(['tiny login: '], /login: $/).done).toBeDefined();
  });
});

describe('options of the engine’s benchmark', () => {
  test('three runs by default', () => {
    expect(parseOptions([])).toEqual({ runs: 3, json: false, write: false, help: false });
  });

  test.each([
    [['disk'], /pnpm bench engine/],
    [['--runs', '0'], /--runs 0: give a whole number/],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('processor time', () => {
  test('the name of a process may hold blanks and parentheses', () => {
    const line = `42 (a) b (c) S 7 ${'0 '.repeat(9)}150 50 0 0`;

    expect(parseStat(line)).toEqual({ pid: 42, parent: 7, seconds: 2 });
  });

  test('a process counts with all below it', () => {
    const all = [
      { pid: 1, parent: 0, seconds: 1 },
      { pid: 2, parent: 1, seconds: 1 },
      { pid: 3, parent: 2, seconds: 1 },
      { pid: 4, parent: 9, seconds: 1 },
    ];

    expect(descendants(all, 1).map(({ pid }) => pid)).toEqual([1, 2, 3]);
  });
});

describe('statistics of a run', () => {
  test('they are taken from the last line, if that has them', () => {
    const line = '{"end":{},"stats":{"instructions":12,"compiled":{"longestMs":3.5}}}';

    expect(statsOf(`warning\n${line}\n`)).toEqual({ instructions: 12, longestPauseMs: 3.5 });
  });

  test.each(['warning\n', '{"stats":{"instructions":"12"}}', ''])('%j has none', (output) => {
    expect(statsOf(output)).toBeUndefined();
  });
});

test('all workloads are those that the program names and those that the guest’s init makes of the shell', () => {
  // A program that names none.
  expect(workloadNames('/bin/true').all).toEqual(['shell', 'spawn', 'awk', 'gzip', 'md5']);
});

describe('sums', () => {
  test('the median is the middle, or the mean of the two there', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
    expect(() => median([])).toThrow(/no values/);
  });

  test('the geometric mean is the root of the product', () => {
    expect(geometricMean([2, 8])).toBeCloseTo(4);
    expect(geometricMean([])).toBeUndefined();
  });
});

describe('reports', () => {
  test('figures have three digits', () => {
    expect([1234.5, 12.34, 0.126, undefined].map(figure)).toEqual(['1235', '12.3', '0.13', '-']);
  });

  test('tables: names to the left, numbers to the right', () => {
    expect(textTable(['loop', 'MIPS'], [['alu', '1235']])).toBe('loop  MIPS\n----  ----\nalu   1235');
    expect(markdownTable(['loop', 'MIPS'], [['alu', '1235']])).toBe('| loop | MIPS |\n| --- | ---: |\n| alu | 1235 |');
  });

  test('the engine’s page says where it was measured, and the terminal gets the same table', () => {
    const results = {
      circumstances: {
        ...{ date: '2026-01-02', processor: 'a processor', processors: 2, system: 'Linux 6.1', node: '24.0.0' },
        ...{ load: 0.5, runs: 1, v8: '13' },
      },
      loops: [{ name: 'alu', what: 'registers', mips: 123.4, perUnit: { name: 'round', ns: 5.5 } }],
    };

    expect(markdownPage(results)).toContain('2 processors (a processor), Linux 6.1, Node 24.0.0, V8 13');
    expect(markdownPage(results)).toContain('| alu | 123 | 5.50 ns a round |');
    expect(terminalReport(results)).toContain('alu    123  5.50 ns a round');
  });
});
