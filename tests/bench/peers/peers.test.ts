/** What the comparison makes of runs of three hypervisors, and how one run is begun and ended. Nothing here looks at a clock. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runPeer, type Run } from '../run-peer.ts';
import type { Peer } from '../peers.ts';
import { verdict } from '../targets.ts';
import { ratioChart } from './chart.ts';
import { parseOptions } from './options.ts';
import { markdownPage, terminalReport, type Report } from './report.ts';
import { compare, disagreements, missing } from './results.ts';
import { targetsOf } from './targets.ts';

const NAMES = ['Tomei', 'QEMU TCG', 'v86'] as const;

/** A run that took `seconds` for each workload and ten times as long to the shell; results are what is given. */
const run = (peer: string, seconds: number, results: Readonly<Record<string, string>>, pause?: number): Run => ({
  peer,
  booted: { wall: seconds * 10, cpu: 1 },
  done: { wall: 100, cpu: 4 },
  workloads: Object.entries(results).map(([name, result]) => ({ name, result, time: { wall: seconds, cpu: 1 } })),
  stats: peer === 'Tomei' ? { instructions: 400e6, longestPauseMs: pause } : undefined,
});
const SAME = { fib: 'fib 1', x87: 'x87 2' };
const THREE: readonly Run[] = [run('Tomei', 2, SAME, 12), run('QEMU TCG', 3, SAME), run('v86', 4, SAME)];

const report = (runs: readonly Run[], wrong: readonly string[] = []): Report => ({
  circumstances: {
    ...{ date: '2026-01-02', processor: 'a processor', processors: 2, system: 'Linux 6.1', node: '24.0.0', load: 0.5 },
    ...{ versions: { QEMU: '7.2' }, runs: 1, scale: 1, kernel: undefined, initrd: undefined },
  },
  comparison: compare(runs, NAMES),
  targets: targetsOf(compare(runs, NAMES)),
  wrong,
});

describe('options', () => {
  test('all workloads at full length, three times, by default', () => {
    expect(parseOptions([])).toMatchObject({ runs: 3, scale: 1, only: 'all', json: false, write: false });
  });

  test.each([
    [['fib'], /pnpm bench peers/],
    // It becomes a part of the kernel's command line.
    [['--only', 'fib init=/bin/sh'], /--only fib init/],
    [['--only', 'fib', '--write'], /--write is for the whole suite/],
    [['--kernel', '/nowhere/vmlinuz'], /--kernel \/nowhere\/vmlinuz: there is no such file/],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('sums', () => {
  test('medians of runs, ratios to the first hypervisor, and their geometric means', () => {
    const { boot, workloads, means, longestPauseMs } = compare(
      [...THREE, run('Tomei', 4, SAME, 7), run('Tomei', 3, SAME, 1)],
      NAMES,
    );

    expect(boot.ratios).toEqual([1, 4 / 3]);
    expect(workloads.map(({ name, cells }) => [name, cells[0]?.wall])).toEqual([
      ['fib', 3],
      ['x87', 3],
    ]);
    expect(means[1]?.ratio).toBeCloseTo(4 / 3);
    expect(longestPauseMs).toBe(12);
  });

  test('a workload that one did not end has no ratio, counts in no mean, and is named', () => {
    const runs = [run('Tomei', 2, SAME), run('v86', 4, { fib: 'fib 1' })];

    expect(compare(runs, NAMES).workloads[1]?.ratios).toEqual([undefined, undefined]);
    expect(compare(runs, NAMES).means.map(({ count }) => count)).toEqual([0, 1]);
    expect(missing(runs)).toEqual(['x87: not ended in v86']);
  });

  test('a result that differs from the host’s, or from another hypervisor’s, is named', () => {
    const runs = [run('Tomei', 1, { fib: 'fib 2', shell: '1' }), run('v86', 1, { fib: 'fib 1', shell: '9' })];

    expect(disagreements(runs, { fib: 'fib 1' })).toEqual([
      "fib: Tomei gives 'fib 2', not 'fib 1'",
      "shell: v86 gives '9', not '1'",
    ]);
  });
});

describe('targets', () => {
  const verdicts = (runs: readonly Run[]): Record<string, string> =>
    Object.fromEntries(targetsOf(compare(runs, NAMES)).map((target) => [target.what, verdict(target)]));

  test('each is met or missed by so many percent', () => {
    expect(verdicts(THREE)).toMatchObject({
      'v86 / Tomei, geometric mean': 'missed by 20 %',
      'v86 / Tomei, worst workload (fib)': 'met by 67 %',
      'QEMU TCG / Tomei, geometric mean': 'met by 50 %',
      'QEMU TCG / Tomei, kernel to shell': 'met by 50 %',
      'QEMU TCG / Tomei, x87': 'missed by 63 %',
      'QEMU TCG / Tomei, copy': 'not measured',
      'longest pause for translation': 'missed by 20 %',
    });
  });

  test('without a hypervisor, what it is compared in is not measured', () => {
    expect(verdicts([run('Tomei', 1, SAME), run('v86', 3, SAME)])).toMatchObject({
      'v86 / Tomei, geometric mean': 'met by 20 %',
      'QEMU TCG / Tomei, geometric mean': 'not measured',
      'longest pause for translation': 'not measured',
    });
  });
});

describe('reports', () => {
  test('the page has the figures, the means and what was wrong', () => {
    const page = markdownPage(report(THREE, ['fib: v86 gives 2']), { chart: 'c.svg', json: 'j.json' });

    expect(page).toContain('| fib | 2.00 | 3.00 | 4.00 | 1.50 | 2.00 |');
    expect(page).toContain('| geometric mean |  |  |  | 1.50 | 2.00 |');
    expect(page).toContain('Results that differ or are missing: fib: v86 gives 2.');
    expect(page).toContain('2 processors (a processor), Linux 6.1, Node 24.0.0, QEMU 7.2');
  });

  test('the terminal gets the same', () => {
    expect(terminalReport(report(THREE))).toMatch(/fib +2\.00 +3\.00 +4\.00 +1\.50 +2\.00/);
  });

  test('the chart has a bar for each ratio, a line for each target, and leaves out what has no figure', () => {
    const svg = ratioChart(compare([run('Tomei', 2, { ...SAME, gone: '' }), ...THREE.slice(1)], NAMES));

    expect(svg).toContain('target 2.5: v86, geometric mean');
    expect(svg).toContain('target 1.2: v86, every workload');
    expect(svg).toContain('target 4: QEMU TCG, x87, sse, simd, copy');
    expect(svg).not.toContain('gone');
    expect(svg).not.toMatch(/NaN|Infinity/);
    // Two series of legend, and two bars for each of mean, boot and two workloads.
    expect(svg.match(/<rect /g)).toHaveLength(10);
  });
});

describe('a run', () => {
  const boot = { kernel: '', initrd: '', commandLine: '', memoryMiB: 1 };
  const shell = (script: string): { peer: Peer; folder: string } => {
    const folder = mkdtempSync(join(tmpdir(), 'tomei-peer-test-'));
    const cleanUp = (): void => rmSync(folder, { recursive: true });
    const start: Peer['start'] = () => ({ command: 'sh', args: ['-c', script], serial: 'stdout', cleanUp });
    return { peer: { name: 'sh', what: '', start }, folder };
  };
  const options = { until: /@ DONE/, timeoutSeconds: 600 };

  test('is over at its last line, however long the hypervisor would go on, and leaves no files', async () => {
    const { peer, folder } = shell('printf "@ BOOTED\\n@ BEGIN a\\na 1\\n@ END\\n@ DONE\\n"; exec sleep 600');
    const steps: [string, number][] = [];

    const result = await runPeer(peer, boot, { ...options, onStep: (...step) => steps.push(step) });

    expect(result.workloads).toMatchObject([{ name: 'a', result: 'a 1' }]);
    expect(steps.at(-1)).toEqual(['ending', 1]);
    expect(existsSync(folder)).toBe(false);
  });

  test('that ends too early is a failure with its last words', async () => {
    const { peer, folder } = shell('echo no such kernel >&2; exit 3');

    await expect(runPeer(peer, boot, options)).rejects.toThrow(/sh ended \(3\) before .*no such kernel/);
    expect(existsSync(folder)).toBe(false);
  });

  test('that is broken off leaves no files either', async () => {
    const { peer, folder } = shell('echo "@ BOOTED"; exec sleep 600');
    const controller = new AbortController();

    const running = runPeer(peer, boot, { ...options, signal: controller.signal, onStep: () => controller.abort() });

    await expect(running).rejects.toThrow(/sh ended \(killed\)/);
    expect(existsSync(folder)).toBe(false);
  });
});
