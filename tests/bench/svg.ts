/** What the charts share: colours, text and boxes of SVG. */

/** One colour a series, readable on light and dark ground. */
const COLOURS = ['#3b7dd8', '#d8803b', '#6a9a4c', '#9a5cb4'];
/** Contrast above 4 on white and on black alike. */
export const INK = '#7a7a7a';

/** As text between or within tags. */
export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** A text at a point; `attributes` as in the tag. */
export const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y}"${attributes === '' ? '' : ` ${attributes}`}>${escaped(content)}</text>`;
export const colourOf = (series: number): string => COLOURS[series % COLOURS.length]!;
/** A box in the colour of a series. */
export const rect = (x: number, y: number, width: number, height: number, series: number): string =>
  `<rect x="${Number(x.toFixed(1))}" y="${y}" width="${width.toFixed(1)}" height="${height}" fill="${colourOf(series)}"/>`;
