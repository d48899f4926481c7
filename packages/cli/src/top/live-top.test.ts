/** The live table over streams that stand for a terminal: what it shows, and what keys do. */
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { TomeiError } from '@tomei/kit';
import { describe, expect, test } from 'vitest';
import type { StatsView } from '../cluster/views.ts';
import { liveTop, type TopInput, type TopOutput } from './live-top.ts';

const stats = (name: string, instructions: number): StatsView => ({
  ...{ id: name, name, phase: 'running', run: 1, runner: 'lab', instructions, cpuMs: 1000, regions: 3 },
  time: { interpreted: 100, compiled: 800, translating: 0, devices: 40, system: 60, idle: 1000 },
  exits: { port: 10 },
  overhead: 0.11,
  translations: { flushesWhole: 8 },
  compiledBytes: 2048,
});

function terminal({ rows = 24 } = {}) {
  const keys = new PassThrough();
  const modes: boolean[] = [];
  const input = Object.assign(keys, { setRawMode: (raw: boolean) => (modes.push(raw), keys) }) as unknown as TopInput;
  let text = '';
  const output = Object.assign(new PassThrough(), { columns: 120, rows });
  output.on('data', (data: Buffer) => (text += data.toString()));
  return {
    streams: { input, output: output as unknown as TopOutput },
    press: (key: string) => keys.write(key),
    modes,
    /** The screens that were drawn, each as its lines without attributes. */
    screens: () =>
      text
        .split('\u001b[0J')
        .slice(1)
        .map((screen) => stripVTControlCharacters(screen).split('\r\n')),
    text: () => text,
  };
}
const namesOf = (screen: readonly string[]): string[] => screen.slice(4).map((line) => line.split(' ')[0]!);

describe('the live table', () => {
  const guests = [stats('a', 2e8), stats('b', 6e8)];
  const source = { server: 'http://lab', stats: () => Promise.resolve(guests) };
  const options = { intervalMs: 60_000, key: 'name' } as const;

  test('shows guests in the order of the key that was pressed, and the other way round by the same key', async () => {
    const t = terminal();
    const over = liveTop(source, options, t.streams);
    for (const key of ['m', 'm', 'z', 'q']) t.press(key);
    await over;

    const screens = t.screens();
    expect(screens.map(namesOf)).toEqual([
      ['a', 'b'],
      ['b', 'a'],
      ['a', 'b'],
    ]);
    expect(screens[0]![0]).toMatch(/^tomei top {2}http:\/\/lab {2}[\d:]+ {2}2 guests run, 1\.0 processors busy$/);
    expect(screens[2]![1]).toContain('sorted by mips, reversed');
    expect(screens[0]![5]).toMatch(
      /^b +running +50% +600 +5\.0% +40% +0% +2\.0% +3\.0% +11% +0 +4 +5 +3 +2\.0kB {2}lab$/,
    );
  });
  test('leaves the terminal as it was', async () => {
    const t = terminal();
    const over = liveTop(source, options, t.streams);
    t.press('\u0003');
    await over;

    expect(t.modes).toEqual([true, false]);
    expect(t.text().startsWith('\u001b[?1049h')).toBe(true);
    expect(t.text().endsWith('\u001b[?1049l')).toBe(true);
  });
  test('shows no more lines than there are', async () => {
    const t = terminal({ rows: 5 });
    const over = liveTop(source, options, t.streams);
    t.press('q');
    await over;

    expect(t.screens()[0]).toHaveLength(5);
  });
  test('says what is wrong while the server is away, and ends by an error that does not pass', async () => {
    const answers = [
      () => Promise.resolve(guests),
      () => Promise.reject(new TomeiError('server.unreachable', 'no Tomei answers', { retryable: true })),
      () => Promise.reject(new TomeiError('server.bad-answer', 'no Tomei')),
    ];
    const t = terminal();
    const failing = { server: 'http://lab', stats: () => answers.shift()!() };

    await expect(liveTop(failing, { ...options, intervalMs: 1 }, t.streams)).rejects.toThrow('no Tomei');

    expect(t.screens()[1]![1]).toBe('no Tomei answers');
    expect(namesOf(t.screens()[1]!)).toEqual(['a', 'b']);
    expect(t.modes.at(-1)).toBe(false);
  });
});
