/** From samples to a tree, a table and a picture. */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Profile, Symbols } from '@tomei/guest';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { callTree, hotFunctions, type CallNode } from './call-tree.ts';
import { flameGraph } from './flame-graph.ts';
import { hotTable } from './hot-table.ts';
import { writePerf } from './write-perf.ts';

const symbols: Symbols = {
  addresses: Uint32Array.from([0xc100_0000, 0xc100_0100, 0xc100_0200]),
  names: ['entry', 'walk<T>', 'leaf'],
};
const profile: Profile = {
  samples: 4,
  ms: 1000,
  idleMs: 250,
  stacks: [
    { addresses: [0xc100_0210, 0xc100_0120, 0xc100_0010], ring: 0, space: 0, ms: 500 },
    // A return address behind the last call of a function is the first of the next one.
    { addresses: [0xc100_0150, 0xc100_0200, 0xc100_0010], ring: 0, space: 0, ms: 100 },
    { addresses: [0x804_8123], ring: 3, space: 0x5000, ms: 300 },
    { addresses: [0x804_8456], ring: 3, space: 0x6000, ms: 100 },
  ],
};
const outline = ({ name, ms, children }: CallNode): unknown => [name, ms, ...children.map(outline)];

describe('a profile', () => {
  test('is a tree: ring, process of user code, functions', () => {
    expect(outline(callTree(profile, [symbols]))).toEqual([
      'all',
      1000,
      ['kernel', 600, ['entry', 600, ['walk<T>', 600, ['leaf', 500], ['walk<T>', 100]]]],
      ['user', 400, ['process 00005000', 300, ['08048000..', 300]], ['process 00006000', 100, ['08048000..', 100]]],
    ]);
  });
  test('is a list: the time in a function, and with what it called, once each', () => {
    expect(hotFunctions(profile, [symbols])).toEqual([
      { name: 'leaf', kind: 'kernel', selfMs: 500, totalMs: 500 },
      { name: '08048000..', kind: 'unknown', selfMs: 300, totalMs: 300 },
      { name: 'walk<T>', kind: 'kernel', selfMs: 100, totalMs: 600 },
      { name: '08048000..', kind: 'unknown', selfMs: 100, totalMs: 100 },
      { name: 'entry', kind: 'kernel', selfMs: 0, totalMs: 600 },
    ]);
  });
  test('is a table for a person', () => {
    expect(hotTable(profile, hotFunctions(profile, [symbols]).slice(0, 2)).split('\n')).toEqual([
      '4 samples of 1.00 s; the guest was halted for 0.25 s',
      ' SELF  TOTAL    TIME  CODE     FUNCTION',
      '50.0%  50.0%  0.50 s  kernel   leaf',
      '30.0%  30.0%  0.30 s  no name  08048000..',
    ]);
  });
});

describe('the flame graph', () => {
  const svg = flameGraph(callTree(profile, [symbols]), { title: 'a & b', subtitle: 'c' });
  const boxes = [...svg.matchAll(/<g><title>(.*?)<\/title><rect x="([\d.]+)" y="(\d+)" width="([\d.]+)"/g)].map(
    ([, title, x, y, width]) => ({ title: title!, x: Number(x), y: Number(y), width: Number(width) }),
  );
  const box = (start: string) => boxes.find(({ title }) => title.startsWith(start))!;

  test('has boxes as wide as their time, above who called them', () => {
    expect(boxes).toHaveLength(11);
    expect(box('leaf').title).toBe('leaf (kernel), 500 ms, 50.0%');
    expect(box('leaf').width / box('all').width).toBeCloseTo(0.5, 2);
    expect(box('all').y - box('kernel').y).toBe(18);
    expect(box('kernel').y - box('entry').y).toBe(18);
    expect(box('user').x).toBeCloseTo(box('kernel').x + 0.6 * box('all').width, 0);
  });
  test('says what names are, whatever is in them', () => {
    expect(svg).toContain('a &amp; b');
    expect(svg).toContain('walk&lt;T&gt; (kernel)');
    expect(svg).not.toContain('walk<T>');
  });
  test('of nothing is an empty one', () => {
    const none = { samples: 0, ms: 0, idleMs: 0, stacks: [] };
    expect(flameGraph(callTree(none, []), { title: '', subtitle: '' })).not.toContain('NaN');
    expect(hotTable(none, [])).toMatch(/^0 samples/);
  });
});

describe('--perf', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tomei-perf-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('puts the graph into a file that ends in .svg, and the table on the terminal', async () => {
    const file = join(folder, 'a.SVG');
    const { lines } = await writePerf(profile, { vmx: '/g/tiny.vmx', file, symbols });

    expect(await readdir(folder)).toEqual(['a.SVG']);
    expect(await readFile(file, 'utf8')).toContain('Where tiny.vmx spent its time');
    expect(lines).toContain('50.0%  50.0%  0.50 s  kernel   leaf');
    expect(lines.at(-1)).toBe(`--perf: the flame graph is in ${file}`);
  });
  test('puts the table into any other file, and the graph beside it', async () => {
    const file = join(folder, 'hot.txt');
    await writePerf(profile, { vmx: 'tiny.vmx', file, symbols });

    expect((await readdir(folder)).toSorted()).toEqual(['hot.txt', 'hot.txt.svg']);
    expect(await readFile(file, 'utf8')).toContain('kernel   leaf\n');
  });
  test('takes the kernel’s own names first, and those that are given for the rest', async () => {
    const own: Symbols = { addresses: Uint32Array.from([0xc100_0000]), names: ['own'] },
      given: Symbols = { addresses: Uint32Array.from([0x804_8000, 0xc100_0000]), names: ['main', 'given'] };

    const { functions } = await writePerf(
      { ...profile, symbols: own },
      { vmx: 'a.vmx', file: join(folder, 'a.svg'), symbols: given },
    );

    expect(functions.map(({ name, selfMs }) => [name, selfMs])).toEqual([
      ['own', 600],
      ['main', 400],
    ]);
  });
  test('names a file that cannot be written', async () => {
    const file = join(folder, 'none', 'a.svg');

    await expect(writePerf(profile, { vmx: 'a.vmx', file })).rejects.toMatchObject({
      code: 'perf.unwritable',
      message: expect.stringContaining(file) as string,
    });
  });
});
