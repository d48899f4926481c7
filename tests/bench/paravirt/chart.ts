/** Two columns of bars: overhead in both modes, and how much longer full virtualization takes. */
import { INK, rect, text } from '../svg.ts';
import { figure } from '../tables.ts';
import type { PairRow } from './results.ts';

/** In units of the picture; a text is 11 high. */
const WIDTH = 920,
  LABEL = 86,
  LEFT = 470,
  RIGHT = 230,
  BETWEEN = 60,
  BAR = 10,
  GAP = 8,
  HEAD = 64;
const TARGET_PERCENT = 10;
/** At most so many marks, at round numbers. */
const MARKS = 6;

/** An SVG picture. */
export function pairChart(rows: readonly PairRow[]): string {
  const group = 2 * BAR + GAP,
    end = HEAD + rows.length * group;
  const overheads = rows.flatMap(({ full, paravirt }) =>
    [full, paravirt].flatMap((f) => (f === undefined ? [] : [f.overhead * 100])),
  );
  const left = { from: LABEL, ...scaleOf([TARGET_PERCENT * 1.2, ...overheads], LEFT - 40) },
    right = {
      from: LABEL + LEFT + BETWEEN,
      ...scaleOf([1.2, ...rows.flatMap(({ ratio }) => ratio ?? [])], RIGHT - 40),
    };
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${end + 24}" role="img" font-family="sans-serif" font-size="11" fill="${INK}">`,
    '<title>Overhead of full virtualization and paravirtualization, and the ratio of their times</title>',
    text(LABEL, 18, 'Overhead: virtualization work by guest code, %', 'font-size="15" font-weight="bold"'),
    text(right.from, 18, 'Time, full / paravirt', 'font-size="15" font-weight="bold"'),
    ...['full', 'paravirt'].flatMap((name, i) => [
      rect(LABEL + i * 80, 30, 10, 10, 1 - i),
      text(LABEL + 15 + i * 80, 39, name),
    ]),
  ];
  for (const { from, marks, at } of [left, right])
    for (const mark of marks)
      out.push(
        line(from + at(mark), HEAD - 4, end, 0.3),
        text(from + at(mark), end + 14, String(mark), 'text-anchor="middle"'),
      );
  rows.forEach(({ name, full, paravirt, ratio }, row) => {
    const top = HEAD + row * group,
      weight = name === 'mixed' ? ' font-weight="bold"' : '';
    out.push(text(LABEL - 6, top + BAR + 4, name, `text-anchor="end"${weight}`));
    [full, paravirt].forEach((figures, i) => {
      if (figures !== undefined) out.push(...bar(left, top + i * BAR, figures.overhead * 100, 1 - i));
    });
    if (ratio !== undefined) out.push(...bar(right, top + BAR / 2, ratio, 2));
  });
  // Last, so that they are seen over the bars.
  out.push(
    dashed(left.from + left.at(TARGET_PERCENT), HEAD - 12, end),
    text(left.from + left.at(TARGET_PERCENT) + 4, HEAD - 8, `target ${TARGET_PERCENT} %`),
    line(right.from + right.at(1), HEAD - 12, end, 1),
    text(right.from + right.at(1) + 4, HEAD - 8, 'paravirt is faster'),
    '</svg>',
    '',
  );
  return out.join('\n');
}

interface Scale {
  readonly marks: readonly number[];
  /** How far from its left end, in units of the picture. */
  readonly at: (value: number) => number;
}
function scaleOf(values: readonly number[], width: number): Scale {
  const most = Math.max(...values),
    power = 10 ** Math.floor(Math.log10(most / MARKS)),
    step = [1, 2, 5, 10].map((n) => n * power).find((s) => most / s <= MARKS) ?? 10 * power;
  const marks = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => Number((i * step).toPrecision(3)));
  return { marks, at: (value) => (value / most) * width };
}
const bar = ({ from, at }: Scale & { readonly from: number }, y: number, value: number, series: number): string[] => {
  const length = Math.max(1, at(value));
  return [rect(from, y, length, BAR - 1, series), text(from + length + 4, y + 8, figure(value), 'font-size="9"')];
};
const line = (x: number, from: number, to: number, opacity: number): string =>
  `<path d="M${x.toFixed(1)} ${from}V${to}" stroke="${INK}" stroke-opacity="${opacity}"/>`;
const dashed = (x: number, from: number, to: number): string =>
  `<path d="M${x.toFixed(1)} ${from}V${to}" stroke="${INK}" stroke-dasharray="4 3"/>`;
