/** Bars for the workloads: one group a workload, one bar a hypervisor, on a logarithmic scale. */
import type { Row } from './results.ts';

const LABEL_WIDTH = 90,
  PLOT_WIDTH = 560,
  VALUE_WIDTH = 60,
  BAR = 9,
  GAP = 8,
  HEAD = 34;
/** One colour a hypervisor (or another series), readable on light and dark ground. */
export const COLOURS = ['#3b7dd8', '#d8803b', '#6a9a4c', '#9a5cb4'];

/** As text between or within tags. */
export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** An SVG picture of processor seconds. Rows without any figure are left out. */
export function barChart(rows: readonly Row[], peers: readonly string[]): string {
  const shown = rows.filter(({ cells }) => cells.some((cell) => cell !== undefined && cell.cpu > 0));
  const values = shown.flatMap(({ cells }) =>
    cells.flatMap((cell) => (cell === undefined || cell.cpu <= 0 ? [] : [cell.cpu])),
  );
  const low = 10 ** Math.floor(Math.log10(Math.min(1, ...values))),
    high = 10 ** Math.ceil(Math.log10(Math.max(1, ...values)));
  const span = Math.max(1, Math.log10(high / low));
  const x = (seconds: number): number => LABEL_WIDTH + (Math.log10(seconds / low) / span) * PLOT_WIDTH;
  const group = peers.length * BAR + GAP,
    height = HEAD + shown.length * group + 24,
    width = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="10" fill="#808080">`,
  ];
  peers.forEach((peer, i) => {
    const at = LABEL_WIDTH + i * 120;
    out.push(`<rect x="${at}" y="8" width="10" height="10" fill="${COLOURS[i % COLOURS.length]}"/>`);
    out.push(`<text x="${at + 15}" y="17">${escaped(peer)}</text>`);
  });
  for (let mark = low; mark <= high * 1.0001; mark *= 10) {
    const at = x(mark).toFixed(1);
    out.push(
      `<line x1="${at}" x2="${at}" y1="${HEAD - 6}" y2="${height - 20}" stroke="#808080" stroke-opacity="0.3"/>`,
    );
    out.push(`<text x="${at}" y="${height - 8}" text-anchor="middle">${Number(mark.toPrecision(1))} s</text>`);
  }
  shown.forEach(({ name, cells }, row) => {
    const top = HEAD + row * group;
    out.push(
      `<text x="${LABEL_WIDTH - 6}" y="${top + (peers.length * BAR) / 2 + 3}" text-anchor="end">${escaped(name)}</text>`,
    );
    cells.forEach((cell, i) => {
      if (cell === undefined || cell.cpu <= 0) return;
      const length = Math.max(1, x(cell.cpu) - LABEL_WIDTH).toFixed(1);
      out.push(
        `<rect x="${LABEL_WIDTH}" y="${top + i * BAR}" width="${length}" height="${BAR - 1}" fill="${COLOURS[i % COLOURS.length]}"/>`,
      );
    });
  });
  out.push('</svg>', '');
  return out.join('\n');
}
