/** Bars of ratios: one group a row, one bar a hypervisor, on a logarithmic scale around the line where both are as fast. */
import { INK, colourOf, rect, text } from '../svg.ts';
import { figure } from '../tables.ts';
import type { Comparison } from './results.ts';
import { GOALS, type Goal } from './targets.ts';

/** In units of the picture; a text is 11 high, and a letter about LETTER wide. */
const WIDTH = 900,
  LABEL = 122,
  PLOT = 660,
  BAR = 10,
  GAP = 8,
  HEAD = 66,
  FOOT = 20,
  /** A line of the names of targets, below the marks. */
  GOAL = 14,
  VALUE = 30,
  LETTER = 6;
/** Where a scale may have its marks, besides powers of ten. */
const STEPS = [1, 2, 5];

interface Group {
  readonly name: string;
  readonly ratios: readonly (number | undefined)[];
  readonly isSum: boolean;
}

/** An SVG picture. Rows without any ratio are left out. */
export function ratioChart({ peers, boot, workloads, means }: Comparison): string {
  const groups: Group[] = [
    { name: 'geometric mean', ratios: means.map(({ ratio }) => ratio), isSum: true },
    { name: boot.name, ratios: boot.ratios, isSum: true },
    ...workloads.map(({ name, ratios }) => ({ name, ratios, isSum: false })),
  ].filter(({ ratios }) => ratios.some((ratio) => ratio !== undefined));
  const others = peers.slice(1),
    first = peers[0] ?? '';
  const values = groups.flatMap(({ ratios }) => ratios.filter((ratio) => ratio !== undefined));
  const goals = linesOf(others);
  const low = Math.min(0.5, ...values),
    high = Math.max(2, ...values, ...goals.map(({ ratio }) => ratio * 1.1));
  const span = Math.log(high / low);
  // Room for a number at either end.
  const x = (ratio: number): number => LABEL + VALUE + (Math.log(ratio / low) / span) * (PLOT - 2 * VALUE);
  const group = others.length * BAR + GAP,
    sums = groups.filter(({ isSum }) => isSum).length,
    topOf = (row: number): number => HEAD + row * group + (row >= sums ? GAP : 0),
    end = topOf(groups.length);
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${end + FOOT + goals.length * GOAL + 6}" role="img" font-family="sans-serif" font-size="11" fill="${INK}">`,
    `<title>How many times longer others take than ${first}</title>`,
    text(LABEL + VALUE, 18, `Time of others, in times of ${first}’s`, 'font-size="15" font-weight="bold"'),
  ];
  others.forEach((peer, i) => {
    out.push(
      rect(LABEL + VALUE + i * 130, 28, 10, 10, i),
      text(LABEL + VALUE + 15 + i * 130, 37, `${peer} / ${first}`),
    );
  });
  out.push(
    text(x(1) - 6, HEAD - 10, `${first} is slower`, 'text-anchor="end"'),
    text(x(1) + 6, HEAD - 10, `${first} is faster`),
  );
  for (const mark of marksBetween(low, high)) {
    out.push(line(x(mark), HEAD - 4, end, 0.3), text(x(mark), end + 14, String(mark), 'text-anchor="middle"'));
  }
  groups.forEach(({ name, ratios, isSum }, row) => {
    const top = topOf(row);
    const weight = isSum ? ' font-weight="bold"' : '';
    out.push(text(LABEL, top + (ratios.length * BAR) / 2 + 4, name, `text-anchor="end"${weight}`));
    ratios.forEach((ratio, i) => {
      if (ratio === undefined) return;
      const from = Math.min(x(1), x(ratio)),
        length = Math.max(1, Math.abs(x(ratio) - x(1)));
      out.push(rect(from, top + i * BAR, length, BAR - 1, i));
      out.push(
        ratio < 1
          ? text(from - 4, top + i * BAR + 8, figure(ratio), `text-anchor="end" font-size="9"${weight}`)
          : text(from + length + 4, top + i * BAR + 8, figure(ratio), `font-size="9"${weight}`),
      );
    });
  });
  // Last, so that they are seen over the bars.
  out.push(line(x(1), HEAD - 22, end + 2, 1));
  goals.forEach(({ ratio, series, name }, i) => {
    const y = end + FOOT + (i + 1) * GOAL,
      // To the right, where no longer line crosses it, if there is room.
      isRight = x(ratio) + name.length * LETTER + 12 < WIDTH;
    out.push(
      `<path d="M${x(ratio).toFixed(1)} ${HEAD - 4}V${y - 8}h${isRight ? 8 : -8}" fill="none" stroke="${colourOf(series)}" stroke-opacity="0.8" stroke-dasharray="4 3"/>`,
      text(x(ratio) + (isRight ? 12 : -12), y - 4, name, isRight ? '' : 'text-anchor="end"'),
    );
  });
  out.push('</svg>', '');
  return out.join('\n');
}

interface GoalLine {
  readonly ratio: number;
  readonly series: number;
  readonly name: string;
}
/** A line for each target that is not the line where both are as fast, the largest first: its name has to stand highest. */
function linesOf(others: readonly string[]): GoalLine[] {
  return GOALS.filter(({ peer, ratio }) => others.includes(peer) && ratio !== 1)
    .map((goal) => ({
      ratio: goal.ratio,
      series: others.indexOf(goal.peer),
      name: `target ${goal.ratio}: ${goal.peer}, ${nameOf(goal)}`,
    }))
    .sort((a, b) => b.ratio - a.ratio);
}
function nameOf({ of }: Goal): string {
  if (of === 'mean') return 'geometric mean';
  if (of === 'each') return 'every workload';
  return of === 'boot' ? 'kernel to shell' : of.join(', ');
}

/** Round numbers from `low` to `high`. */
function marksBetween(low: number, high: number): number[] {
  const marks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const step of STEPS) marks.push(Number((step * 10 ** power).toPrecision(1)));
  return marks.filter((mark) => mark >= low && mark <= high);
}
const line = (x: number, from: number, to: number, opacity: number): string =>
  `<path d="M${x.toFixed(1)} ${from}V${to}" stroke="${INK}" stroke-opacity="${opacity}"/>`;
