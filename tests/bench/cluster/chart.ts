/** Bars for the cluster: disks on the left, on logarithmic scales; viewers on the right. */
import { INK, rect, text } from '../svg.ts';
import { figure } from '../tables.ts';
import { DISK_MEASURES, viewersName, type DiskMeasure } from './report.ts';
import type { ClusterResults } from './results.ts';

/** In units of the picture; a text is 11 high. */
const WIDTH = 920,
  COLUMN = 460,
  LABEL = 152,
  PLOT = 240,
  BAR = 11,
  GAP = 7,
  HEAD = 46,
  PANEL_HEAD = 22,
  PANEL_FOOT = 34;
const LINEAR_MARKS = 5;

interface Panel {
  readonly title: string;
  readonly scale: Scale;
  /** The colour of the first bar of a row. */
  readonly colour: number;
  readonly rows: readonly { readonly name: string; readonly values: readonly number[] }[];
}
interface Scale {
  readonly marks: readonly number[];
  /** 0 at the left end, 1 at the right one. */
  readonly place: (value: number) => number;
}

/** An SVG picture. A part that was not measured has no column. */
export function clusterChart(results: ClusterResults): string {
  const { disk } = results;
  const columns = [
    {
      title: 'Disk',
      series: ['local', 'through gRPC'],
      panels: disk === undefined ? [] : diskPanels(disk),
    },
    { title: 'Viewers', series: [], panels: viewersPanels(results.viewers) },
  ].filter(({ panels }) => panels.length > 0);
  const height = HEAD + Math.max(0, ...columns.map(({ panels }) => panels.reduce((sum, p) => sum + heightOf(p), 0)));
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="sans-serif" font-size="11" fill="${INK}">`,
    '<title>Disks and viewers of a cluster</title>',
  ];
  columns.forEach(({ title, series, panels }, i) => {
    out.push(`<g transform="translate(${i * COLUMN} 0)">`, text(10, 20, title, 'font-size="15" font-weight="bold"'));
    series.forEach((name, n) => {
      out.push(rect(LABEL + n * 80, 10, 10, 10, n), text(LABEL + 15 + n * 80, 19, name));
    });
    if (series.length > 0) out.push(text(COLUMN - 10, 19, 'logarithmic scales', 'text-anchor="end"'));
    let top = HEAD;
    for (const panel of panels) {
      out.push(...panelAt(panel, top));
      top += heightOf(panel);
    }
    out.push('</g>');
  });
  out.push('</svg>', '');
  return out.join('\n');
}

function diskPanels({ local, remote }: NonNullable<ClusterResults['disk']>): Panel[] {
  const titles: Readonly<Record<DiskMeasure['unit'], string>> = {
    'MiB/s': 'MiB a second, 128 KiB requests (more is better)',
    'reads/s': 'reads a second, 4 KiB (more is better)',
    µs: 'microseconds for a random read of 4 KiB (less is better)',
  };
  return (['MiB/s', 'reads/s', 'µs'] as const).map((unit) => {
    const rows = DISK_MEASURES.filter((measure) => measure.unit === unit).map(({ name, of }) => ({
      name,
      values: [of(local), of(remote)],
    }));
    return { title: titles[unit], scale: logarithmic(rows.flatMap(({ values }) => values)), colour: 0, rows };
  });
}

function viewersPanels(viewers: ClusterResults['viewers']): Panel[] {
  if (viewers.length === 0) return [];
  const panel = (title: string, of: (result: (typeof viewers)[number]) => number): Panel => ({
    title,
    scale: linear(viewers.map(of)),
    colour: 2,
    rows: viewers.map((result) => ({
      name: viewersName(result),
      values: [of(result)],
    })),
  });
  return [
    panel('frames a second, of 30 (more is better)', (result) => result.framesPerSecond.median),
    panel('milliseconds from key to pixel, median (less is better)', (result) => result.keyToPixelMs.median),
    panel('CPU of the gateway for each viewer, % (less is better)', (result) => result.gatewayCpuPerViewer * 100),
  ];
}

/** Powers of ten around the values; what is not above zero lies at the left end. */
function logarithmic(values: readonly number[]): Scale {
  const above = values.filter((value) => value > 0);
  // A power below the smallest: its bar is to be seen.
  const low = Math.ceil(Math.log10(Math.min(...above, 1e9))) - 1,
    high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...above, 1e-9))));
  return {
    marks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
    place: (value) => (value <= 0 ? 0 : (Math.log10(value) - low) / (high - low)),
  };
}
/** From zero, in steps of 1, 2 or 5 of some power of ten. */
function linear(values: readonly number[]): Scale {
  const most = Math.max(...values) > 0 ? Math.max(...values) : 1;
  const power = 10 ** Math.floor(Math.log10(most / LINEAR_MARKS));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s * LINEAR_MARKS >= most) ?? 10 * power;
  const steps = Math.ceil(most / step);
  return { marks: Array.from({ length: steps + 1 }, (_, i) => i * step), place: (value) => value / (steps * step) };
}

const groupOf = ({ rows }: Panel): number => (rows[0]?.values.length ?? 1) * BAR + GAP;
const heightOf = (panel: Panel): number => PANEL_HEAD + panel.rows.length * groupOf(panel) + PANEL_FOOT;

function panelAt(panel: Panel, top: number): string[] {
  const { title, scale, colour, rows } = panel,
    first = top + PANEL_HEAD,
    end = first + rows.length * groupOf(panel);
  const out = [text(10, top + 10, title, 'font-weight="bold"')];
  for (const mark of scale.marks) {
    const x = LABEL + scale.place(mark) * PLOT;
    out.push(
      `<path d="M${x.toFixed(1)} ${first - 4}V${end}" stroke="${INK}" stroke-opacity="0.35"/>`,
      text(x, end + 13, grouped(Number(mark.toPrecision(3))), 'text-anchor="middle"'),
    );
  }
  rows.forEach(({ name, values }, row) => {
    const y = first + row * groupOf(panel);
    out.push(text(LABEL - 6, y + (values.length * BAR) / 2 + 4, name, 'text-anchor="end"'));
    values.forEach((value, i) => {
      const length = Math.max(1, scale.place(value) * PLOT);
      out.push(
        rect(LABEL, y + i * BAR, length, BAR - 1, colour + i),
        text(LABEL + length + 4, y + i * BAR + 9, value < 1000 ? figure(value) : grouped(Math.round(value))),
      );
    });
  });
  return out;
}

const grouped = (value: number): string => value.toLocaleString('en');
