/** What the comparison of both modes makes of runs. Nothing here looks at a clock. */
import { EXIT_CAUSES, TIME_USES, VIRTUALIZATION_WORK, type GuestStats } from '@tomei/guest';
import { describe, expect, test } from 'vitest';
import { verdict } from '../targets.ts';
import { pairChart } from './chart.ts';
import { between, exitsOf, type Figures } from './figures.ts';
import { parseOptions } from './options.ts';
import { markdownPage, terminalReport } from './report.ts';
import { compare, disagreements, targetsOf } from './results.ts';
import type { Mode, PairRun } from './run-pair.ts';
import { WORKLOADS } from './workloads.ts';

/** All of a list, each `n`. */
const each = <K extends string>(names: readonly K[], n: number) =>
  Object.fromEntries(names.map((name) => [name, n])) as Record<K, number>;
/** Counters after `n` of everything. */
const stats = (n: number): GuestStats => ({
  ...{
    instructions: n,
    guestMs: n,
    cpuMs: n,
    haltedMs: n,
    decoded: n,
    codeInvalidations: n,
    codeFlushes: n,
    pageWalks: n,
  },
  time: { ...each(TIME_USES, n), compiled: 2 * n },
  virtualization: each(VIRTUALIZATION_WORK, n),
  exits: each(EXIT_CAUSES, n),
  translations: {
    flushes: { whole: n, nonGlobal: 2 * n, page: 3 * n },
    kept: 5 * n,
    written: { entries: 4 * n, batches: n },
    marked: n,
  },
  events: {},
});
const figures = (seconds: number, overhead: number): Figures => ({
  ...between(
    { at: { wall: 0, cpu: 0 }, stats: stats(0) },
    { at: { wall: seconds, cpu: seconds / 2 }, stats: stats(10) },
  ),
  overhead,
});
const run = (mode: Mode, seconds: number, overhead: number, result = 'mixed 1'): PairRun => ({
  mode,
  found: 'disk=/dev/vda',
  workloads: [
    { name: 'mixed', result, figures: figures(seconds, overhead) },
    { name: 'idle', result: 'idle', figures: figures(20, overhead) },
  ],
});

describe('options', () => {
  test('all workloads, or those of some names and kinds in their order', () => {
    expect(parseOptions([]).only).toEqual(WORKLOADS.map(({ name }) => name));
    expect(parseOptions(['--only', 'idle,memory,sieve']).only).toEqual([
      'sieve',
      'fault',
      'mprotect',
      'switch',
      'idle',
    ]);
  });
  test.each([
    [['mixed'], /pnpm bench paravirt/],
    [['--only', 'sieve,fish'], /--only fish: known are all, user,/],
    [['--only', 'sieve', '--write'], /--write is for the whole suite/],
    [['--scale', '0'], /--scale 0/],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

test('figures are what came between two readings', () => {
  const from = { at: { wall: 10, cpu: 1 }, stats: stats(5) },
    to = { at: { wall: 12, cpu: 2.5 }, stats: stats(15) };

  const { time, overhead, exits, translations, ...others } = between(from, to);

  expect(time).toEqual({ wall: 2, cpu: 1.5 });
  // Devices and system, by interpreted, compiled and translating.
  expect(overhead).toBe(20 / 40);
  expect(exits['port']).toBe(10);
  expect(translations).toEqual({ whole: 10, nonGlobal: 20, page: 30, kept: 50, written: 40, batches: 10, marked: 10 });
  expect(exitsOf({ time, overhead, exits, translations, ...others })).toBe(60);
});

describe('sums', () => {
  const runs = [run('full', 4, 0.4), run('paravirt', 2, 0.1), run('full', 6, 0.2), run('paravirt', 2, 0.1)];

  test('medians of each mode, and the ratio of their times', () => {
    const [idle, mixed] = compare(runs);

    expect([mixed!.full?.time.wall, mixed!.paravirt?.time.wall, mixed!.ratio]).toEqual([5, 2, 2.5]);
    expect(mixed!.full?.overhead).toBeCloseTo(0.3);
    expect([idle!.name, idle!.ratio]).toEqual(['idle', 1]);
  });
  test('targets are of the mixed workload', () => {
    const [percent, ratio] = targetsOf(compare(runs));

    expect(verdict(percent!)).toBe('missed by 0.0 %');
    expect(ratio!.measured).toBeCloseTo(3);
    expect(targetsOf([]).map(verdict)).toEqual(['not measured', 'not measured']);
  });
  test('results that differ, that say of a failure, or that are not there are named', () => {
    expect(disagreements(runs)).toEqual([]);
    expect(disagreements([run('full', 1, 0), run('paravirt', 1, 0, 'mixed 2')])).toEqual([
      "mixed: 'mixed 2' in mode paravirt, and 'mixed 1' in mode full",
    ]);
    expect(disagreements([run('full', 1, 0, 'mixed 00000000'), run('paravirt', 1, 0, 'mixed 00000000')])).toHaveLength(
      2,
    );
    expect(disagreements([run('full', 1, 0)])).toContain('mixed: not ended in mode paravirt');
  });
});

test('the report has a row of each workload, and the chart a bar of each figure', () => {
  const runs = [run('full', 4, 0.4), run('paravirt', 2, 0.05)],
    rows = compare(runs);
  const circumstances = {
    ...{ date: '2026-01-02', processor: 'a processor', processors: 2, system: 'Linux 6.1', node: '24.0.0', load: 0.5 },
    ...{ runs: 1, scale: 1, found: { full: 'disk=/dev/sda', paravirt: 'disk=/dev/vda' } },
  };
  const report = { circumstances, rows, targets: targetsOf(rows), wrong: [] };

  expect(terminalReport(report)).toMatch(/mixed +mixed +4\.00 +2\.00 +2\.00 +2\.00 +1\.00 +40\.0 % +5\.00 % +8\.00/);
  const page = markdownPage(report, { chart: 'c.svg', json: 'c.json' });
  expect(page).toContain('- full: disk=/dev/sda');
  expect(page).toContain('| overhead of the mixed workload, paravirtualized | below 10 % | 5.00 % | met by 50 % |');
  // Two workloads with three bars each, and the two of the legend.
  expect(pairChart(rows).match(/<rect /g)).toHaveLength(8);
});
