/** What the benchmark makes of output and numbers. Nothing here looks at a clock. */
import { describe, expect, test } from 'vitest';
import { barChart } from './chart.ts';
import { Marks, type Moment } from './marks.ts';
import { parseOptions } from './options.ts';
import { instructionsOf } from './peers.ts';
import { descendants, parseStat } from './process-time.ts';
import { figure, markdownPage, markdownTable, terminalReport, textTable } from './report.ts';
import { disagreements, meanRatio, mipsOf, suiteRows, type Results } from './results.ts';
import type { Run } from './run-peer.ts';
import { median } from './statistics.ts';

/** A run whose workloads took `cpu` seconds each, and answered what they are told. */
const run = (peer: string, cpu: number, results: Readonly<Record<string, string>>): Run => ({
  peer,
  booted: { wall: 1, cpu: 1 },
  done: { wall: 10, cpu: 4 },
  workloads: Object.entries(results).map(([name, result]) => ({ name, result, time: { wall: cpu * 2, cpu } })),
  instructions: peer === 'Tomei' ? 400e6 : undefined,
});
const results = (suite: readonly Run[], expected: Readonly<Record<string, string>> = {}): Results => ({
  circumstances: {
    date: '2026-01-02',
    processor: 'a processor',
    processors: 2,
    system: 'Linux 6.1',
    node: '24.0.0',
    versions: { QEMU: '7.2' },
    load: 0.5,
    runs: 1,
    scale: 20,
  },
  loops: [{ name: 'alu', what: 'registers', mips: 123.4, perUnit: { name: 'round', ns: 5.5 } }],
  boots: [],
  suite,
  expected,
});

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

  test('an unfinished line may end a run', () => {
    expect(feed(['tiny login: '], /login: $/).done).toBeDefined();
  });
});

describe('options', () => {
  test('all parts and three runs by default', () => {
    expect(parseOptions([])).toMatchObject({
      parts: ['loops', 'boot', 'suite'],
      runs: 3,
      scale: 1,
      work: 'all',
    });
  });

  test('help needs nothing else', () => {
    expect(parseOptions(['--help']).help).toBe(true);
  });

  test.each([
    [['disk'], /pnpm bench engine/],
    [['--only', 'disk'], /--only disk: known are loops, boot, suite/],
    [['--runs', '0'], /--runs 0: give a whole number/],
    // It becomes a part of the kernel's command line.
    [['--work', 'fib init=/bin/sh'], /--work fib init/],
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

test('instructions are taken from the last line, if that has them', () => {
  expect(instructionsOf('warning\n{"end":{},"stats":{"instructions":12}}\n')).toBe(12);
  expect(instructionsOf('warning\n')).toBeUndefined();
  expect(instructionsOf('{"stats":{"instructions":"12"}}')).toBeUndefined();
});

describe('sums', () => {
  test('the median is the middle, or the mean of the two there', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
    expect(() => median([])).toThrow(/no values/);
  });

  test('rows are medians by hypervisor, and a workload that one did not reach has no figure', () => {
    const rows = suiteRows(
      [run('Tomei', 4, { fib: 'a' }), run('Tomei', 2, { fib: 'a' }), run('v86', 1, {})],
      ['Tomei', 'v86'],
    );

    expect(rows).toEqual([{ name: 'fib', cells: [{ wall: 6, cpu: 3 }, undefined] }]);
  });

  test('the mean of ratios is geometric', () => {
    const row = (name: string, a: number, b: number) => ({
      name,
      cells: [
        { wall: 0, cpu: a },
        { wall: 0, cpu: b },
      ],
    });

    expect(meanRatio([row('x', 2, 1), row('y', 8, 1)], 1)).toBeCloseTo(4);
    expect(meanRatio([], 1)).toBeUndefined();
  });

  test('MIPS come from the runs that count instructions', () => {
    expect(mipsOf([run('Tomei', 1, {}), run('v86', 1, {})])).toBeCloseTo(100);
    expect(mipsOf([run('v86', 1, {})])).toBeUndefined();
  });

  test('a result that differs from the host’s, or from another hypervisor’s, is named', () => {
    const runs = [
      run('Tomei', 1, { fib: 'fib 2', shell: 'shell 1' }),
      run('v86', 1, { fib: 'fib 1', shell: 'shell 9' }),
    ];

    expect(disagreements(runs, { fib: 'fib 1' })).toEqual([
      "fib: Tomei gives 'fib 2', not 'fib 1'",
      "shell: v86 gives 'shell 9', not 'shell 1'",
    ]);
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

  test('the page says where it was measured and what differed', () => {
    const page = markdownPage(results([run('Tomei', 1, { fib: 'fib 2' })], { fib: 'fib 1' }), undefined);

    expect(page).toContain('2 processors (a processor), Linux 6.1, Node 24.0.0, QEMU 7.2');
    expect(page).toContain('20 times shorter');
    expect(page).toContain("Results that differ: fib: Tomei gives 'fib 2', not 'fib 1'.");
    expect(page).not.toContain('## Boot');
  });

  test('the terminal gets the same tables', () => {
    const text = terminalReport(results([run('Tomei', 1, { fib: 'a' }), run('v86', 2, { fib: 'a' })]));

    expect(text).toContain('alu    123  5.50 ns a round');
    expect(text).toContain('0.50 times v86');
  });

  test('the chart leaves out rows without figures and escapes names', () => {
    const svg = barChart(
      [
        {
          name: 'a<b',
          cells: [
            { wall: 1, cpu: 1 },
            { wall: 1, cpu: 10 },
          ],
        },
        { name: 'gone', cells: [undefined, undefined] },
      ],
      ['Tomei', 'v86'],
    );

    expect(svg).toContain('a&lt;b');
    expect(svg).not.toContain('gone');
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});
