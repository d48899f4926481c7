/** What the benchmark of the cluster makes of its options and of numbers. Nothing here measures. */
import { describe, expect, test } from 'vitest';
import { clusterChart } from './chart.ts';
import type { DiskFigures, DiskMeasurement } from './disk.ts';
import { parseOptions } from './options.ts';
import { diskLine, markdownPage, ratio, terminalReport, viewersLine } from './report.ts';
import { medianOf, resultsOf, type ClusterResults } from './results.ts';
import type { ViewersResult } from './viewers.ts';

/** A disk whose every speed is `speed`, and whose latencies are the smaller the higher that is. */
const disk = (speed: number): DiskFigures => {
  const latency = { p50Us: 10_000 / speed, p99Us: 20_000 / speed, perSecond: speed * 10 };
  return {
    sequentialWriteMiBs: speed,
    sequentialReadMiBs: speed * 2,
    randomReadDepth1: latency,
    randomReadDepth32: latency,
  };
};
const measured = (local: number, remote: number): DiskMeasurement => ({ local: disk(local), remote: disk(remote) });
const viewing = (viewers: number, cpu: number): ViewersResult => ({
  viewers,
  guestFramesPerSecond: 30,
  framesPerSecond: { median: 29.5, slowest: 28 },
  bytesPerFrame: 4000,
  keyToPixelMs: { median: 2.5, p95: 6 },
  gatewayCpu: cpu,
  gatewayCpuPerViewer: cpu / viewers,
});
const circumstances: ClusterResults['circumstances'] = {
  date: '2026-01-02',
  processor: 'a processor',
  processors: 2,
  system: 'Linux 6.1',
  node: '24.0.0',
  load: 0.5,
  runs: 3,
};
const three = resultsOf(
  circumstances,
  [measured(1000, 50), measured(500, 100), measured(2000, 90)],
  [0.1, 0.9, 0.2].map((cpu) => [viewing(1, cpu), viewing(50, cpu * 2)]),
);
const FILES = { chart: 'cluster.svg', json: 'cluster.json' };

describe('options', () => {
  test('both parts and three runs by default, nothing written', () => {
    expect(parseOptions([])).toEqual({
      help: false,
      parts: ['disk', 'viewers'],
      runs: 3,
      json: false,
      write: false,
    });
  });

  test('parts are taken once, in their own order', () => {
    expect(parseOptions(['--only', 'viewers,disk,viewers']).parts).toEqual(['disk', 'viewers']);
  });

  test('help needs nothing else', () => {
    expect(parseOptions(['--help']).help).toBe(true);
  });

  test.each([
    [['disk'], /pnpm bench cluster/],
    [['--only', 'boot'], /--only boot: known are disk, viewers/],
    [['--only', ''], /--only : known are/],
    [['--runs', '1.5'], /--runs 1.5: give a whole number/],
    [['--write', '--only', 'disk'], /--write needs all parts/],
    [['--scale', '2'], /--scale/],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('medians', () => {
  test('each number has its own, however deep it lies', () => {
    expect(
      medianOf([
        { a: 1, b: { c: 9 } },
        { a: 3, b: { c: 7 } },
        { a: 2, b: { c: 8 } },
      ]),
    ).toEqual({ a: 2, b: { c: 8 } });
  });

  test('what is no number is named', () => {
    expect(() => medianOf([{ rate: 1 }, { rate: Number.NaN }])).toThrow(/rate was measured as NaN/);
    expect(() => medianOf([{ rate: 1 }, {}])).toThrow(/rate was measured as undefined/);
    expect(() => medianOf([])).toThrow(/no values/);
  });

  test('local and remote, and each number of viewers, are apart; every run is kept', () => {
    expect(three.disk?.local.sequentialWriteMiBs).toBe(1000);
    expect(three.disk?.remote.sequentialWriteMiBs).toBe(90);
    expect(three.viewers.map(({ viewers, gatewayCpu }) => [viewers, gatewayCpu])).toEqual([
      [1, 0.2],
      [50, 0.4],
    ]);
    expect([three.measured.disk.length, three.measured.viewers.length]).toEqual([3, 3]);
  });

  test('a part that was left out has no figures', () => {
    expect(resultsOf(circumstances, [], [])).toMatchObject({ disk: undefined, viewers: [] });
  });
});

describe('reports', () => {
  test('small ratios keep two digits, and nothing is divided by nothing', () => {
    expect([ratio(1, 70), ratio(50, 100), ratio(300, 100), ratio(1, 0)]).toEqual(['0.014', '0.50', '3.00', '-']);
  });

  test('the terminal gets a table for each part, with remote by local', () => {
    const text = terminalReport(three);

    expect(text).toMatch(/^write in a row +MiB\/s +1000 +90.0 +0.090$/m);
    expect(text).toMatch(/^1 deep, median +µs +10.0 +111 +11.1$/m);
    expect(text).toMatch(/^50 +30.0 +29.5 +28.0 +4.00 +2.50 +6.00 +40.0 +0.80$/m);
  });

  test('a part that was left out has no table', () => {
    expect(terminalReport(resultsOf(circumstances, [], three.measured.viewers))).not.toContain('local');
    expect(terminalReport(resultsOf(circumstances, three.measured.disk, []))).not.toContain('viewers');
  });

  test('a line of progress for each', () => {
    expect(diskLine(measured(1000, 50))).toContain('write in a row 50.0 of 1000 MiB/s');
    expect(viewersLine(viewing(1, 0.25))).toBe(
      '1 viewer: 29.5 frames/s, key to pixel 2.50 ms, gateway 25.0 % of a processor',
    );
  });

  test('the page says where it was measured, how to read it and what limits it', () => {
    const page = markdownPage(three, FILES);

    expect(page).toContain('Measured on 2026-01-02: 2 processors (a processor), Linux 6.1, Node 24.0.0. Medians of 3');
    expect(page).toContain('load average was 0.50');
    expect(page).toContain('![Disks and viewers](cluster.svg)');
    expect(page).toContain('| write in a row | MiB/s | 1000 | 90.0 | 0.090 |');
    expect(page.match(/^##+ .*$/gm)).toEqual([
      '## Disks',
      '### What limits disks',
      '## Viewers',
      '### What limits viewers',
    ]);
  });
});

describe('chart', () => {
  /** Widths of all bars of a colour, from top to bottom, without the key above them. */
  const bars = (svg: string, colour: string): number[] =>
    [...svg.matchAll(/<rect x="152" y="(?!10")[^>]*width="([\d.]+)" [^>]*fill="(#\w+)"/g)]
      .filter((found) => found[2] === colour)
      .map((found) => Number(found[1]));

  test('a bar for every figure; disks on a scale of powers, viewers on one of sums', () => {
    const svg = clusterChart(three);
    const [write, read] = bars(svg, '#3b7dd8');
    const throughGrpc = bars(svg, '#d8803b');
    const perViewer = bars(svg, '#6a9a4c').slice(-2);

    expect(throughGrpc).toHaveLength(8);
    // 1000, 2000 and 90 MiB/s between 10 and 10,000, in 240 units.
    expect([write, read, throughGrpc[0]]).toEqual([160, 184.1, 76.3]);
    // 20 and 0.8 percent, from 0 to 20.
    expect(perViewer).toEqual([240, 9.6]);
  });

  test('a part that was left out has no column, and figures of zero do not break it', () => {
    const still = { ...viewing(1, 0), framesPerSecond: { median: 0, slowest: 0 }, keyToPixelMs: { median: 0, p95: 0 } };
    const svg = clusterChart(resultsOf(circumstances, [], [[still]]));

    expect(svg).not.toContain('through gRPC');
    expect(svg).not.toMatch(/NaN|Infinity/);
    expect(clusterChart(resultsOf(circumstances, [measured(1, 1)], []))).not.toMatch(/viewer<|NaN|Infinity/);
  });
});
