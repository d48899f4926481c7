import { describe, expect, it } from 'vitest';
import { IrqLines } from './irq-lines.ts';

describe('IrqLines', () => {
  it('ORs its sources and tells of changes only', () => {
    const lines = new IrqLines();
    const seen: string[] = [];
    lines.listen((line, level) => seen.push(`${line} ${level}`));
    const [a, b] = [lines.source(), lines.source()];

    a.set(10, true);
    a.set(10, true);
    b.set(10, true);
    a.set(10, false);
    b.set(10, false);
    expect(seen).toEqual(['10 true', '10 false']);
  });

  it('leaves unwired lines alone', () => {
    const lines = new IrqLines();
    const source = lines.source();

    for (const line of [-1, 24, 32, 33, Number.NaN]) source.set(line, true);
    expect(Array.from({ length: 24 }, (_, line) => lines.level(line))).not.toContain(true);
  });

  it('hears one source alone while that has taken a line over', () => {
    const lines = new IrqLines();
    const seen: string[] = [];
    const [a, b] = [lines.source(), lines.source()];
    a.set(0, true);
    lines.listen((line, level) => seen.push(`${line} ${level}`));

    b.replace(0, true);
    b.replace(0, true);
    a.set(0, false);
    a.set(0, true);
    b.set(0, true);
    expect(seen).toEqual(['0 false', '0 true']);
    a.set(0, false);
    b.set(0, false);
    a.set(0, true);
    // Whoever has not taken it cannot give it back.
    a.replace(0, false);
    expect(lines.level(0)).toBe(false);
    b.replace(0, false);
    expect(seen).toEqual(['0 false', '0 true', '0 false', '0 true']);
  });

  it('shows the outcome, not the steps, of quiet work', () => {
    const lines = new IrqLines();
    const source = lines.source();
    source.set(3, true);
    const seen: string[] = [];
    lines.listen((line, level) => seen.push(`${line} ${level}`));

    lines.quietly(() => {
      source.set(3, false);
      source.set(3, true);
      source.set(4, true);
    });
    expect(seen.filter((text) => text.endsWith('true'))).toEqual(['3 true', '4 true']);
    expect(seen).toHaveLength(24);
  });
});
