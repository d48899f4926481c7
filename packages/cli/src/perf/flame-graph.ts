/** A flame graph: calls as boxes, callers below, widths by time; one SVG file that needs nothing else. */
import type { CallNode, PlaceKind } from './call-tree.ts';

const WIDTH = 1200,
  MARGIN = 12,
  ROW = 18,
  HEAD = 64,
  FOOT = 34;
/** Narrower boxes are left out. */
const LEAST_WIDTH = 0.8;
/** Of a character, in the font of labels: 11 px, monospaced. */
const CHARACTER = 6.65;
/** Characters below which a label says nothing. */
const FEWEST_CHARACTERS = 4;

/** Hue, saturation and lightness; hues of one kind differ by function. */
const COLOUR: Readonly<Record<PlaceKind, { hue: number; spread: number; saturation: number; lightness: number }>> = {
  root: { hue: 220, spread: 0, saturation: 8, lightness: 78 },
  kernel: { hue: 18, spread: 30, saturation: 82, lightness: 67 },
  user: { hue: 190, spread: 34, saturation: 52, lightness: 64 },
  unknown: { hue: 265, spread: 26, saturation: 26, lightness: 76 },
};
const KEY: readonly (readonly [PlaceKind, string])[] = [
  ['kernel', 'kernel'],
  ['user', 'user'],
  ['unknown', 'no name: a page of code'],
];

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
/** The same name has the same colour in every graph (FNV-1a). */
function colourOf({ name, kind }: Pick<CallNode, 'name' | 'kind'>): string {
  let hash = 0x811c_9dc5;
  for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x0100_0193) >>> 0;
  const { hue, spread, saturation, lightness } = COLOUR[kind];
  const turned = hue + (spread * (hash % 101)) / 100,
    lit = lightness + ((hash >>> 8) % 9) - 4;
  return `hsl(${turned.toFixed(0)} ${saturation}% ${lit}%)`;
}

interface Box {
  readonly node: CallNode;
  readonly depth: number;
  readonly x: number;
  readonly width: number;
}
function layOut(node: CallNode, depth: number, x: number, scale: number, boxes: Box[]): void {
  const width = node.ms * scale;
  if (width < LEAST_WIDTH) return;
  boxes.push({ node, depth, x, width });
  let at = x;
  for (const child of node.children) {
    layOut(child, depth + 1, at, scale, boxes);
    at += child.ms * scale;
  }
}

export interface GraphTitle {
  readonly title: string;
  readonly subtitle: string;
}
/** The file's text. Boxes have the name, time and share as what a browser shows when it is pointed at. */
export function flameGraph(root: CallNode, { title, subtitle }: GraphTitle): string {
  const boxes: Box[] = [];
  layOut(root, 0, MARGIN, root.ms > 0 ? (WIDTH - 2 * MARGIN) / root.ms : 0, boxes);
  const deepest = boxes.reduce((most, { depth }) => Math.max(most, depth), 0),
    bottom = HEAD + (deepest + 1) * ROW,
    height = bottom + FOOT;
  const drawn = boxes.map(({ node, depth, x, width }) => {
    const y = bottom - (depth + 1) * ROW,
      room = Math.floor((width - 6) / CHARACTER),
      share = ((node.ms / root.ms) * 100).toFixed(1);
    const label =
      room < FEWEST_CHARACTERS
        ? ''
        : `<text x="${(x + 3).toFixed(1)}" y="${y + 12.5}">${escaped(node.name.length <= room ? node.name : `${node.name.slice(0, room - 1)}…`)}</text>`;
    return `<g><title>${escaped(node.name)} (${node.kind === 'root' ? 'everything' : node.kind}), ${node.ms.toFixed(0)} ms, ${share}%</title><rect x="${x.toFixed(1)}" y="${y}" width="${Math.max(width - 0.5, LEAST_WIDTH).toFixed(1)}" height="${ROW - 1}" rx="2" fill="${colourOf(node)}"/>${label}</g>`;
  });
  let keyAt = MARGIN;
  const key = KEY.map(([kind, name]) => {
    const at = keyAt;
    keyAt += 26 + name.length * 7;
    return `<rect x="${at}" y="${bottom + 12}" width="12" height="12" rx="2" fill="${colourOf({ name: '', kind })}"/><text class="note" x="${at + 17}" y="${bottom + 22}">${name}</text>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">
<style>
svg { background: #fff; --ink: #1d2430; --quiet: #5b6472 }
text { font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1b1b1b; pointer-events: none }
.title { font: 600 17px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink) }
.note { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--quiet) }
g:hover rect { stroke: var(--ink); stroke-width: 1.2 }
@media (prefers-color-scheme: dark) { svg { background: #14181f; --ink: #e8ecf2; --quiet: #9aa5b4 } }
</style>
<text class="title" x="${MARGIN}" y="27">${escaped(title)}</text>
<text class="note" x="${MARGIN}" y="47">${escaped(subtitle)}</text>
${drawn.join('\n')}
${key.join('\n')}
<text class="note" x="${WIDTH - MARGIN}" y="${bottom + 22}" text-anchor="end">width: time, with what is called from there; callers are below</text>
</svg>
`;
}
