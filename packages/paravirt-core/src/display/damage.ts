/**
 * What changed between two pictures, as few dots as can be had cheaply: one vertical scroll, found by the hashes of rows, and
 * rectangles made of tiles. Pure.
 */
import type { Frame } from './frame.ts';

/** Dots from the top left corner. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
/** A part of the picture before that is found elsewhere now. Source and destination may overlap. */
export interface CopiedRectangle extends Rectangle {
  readonly fromX: number;
  readonly fromY: number;
}
export interface Damage {
  /** Carried out first; at most one. */
  readonly copies: readonly CopiedRectangle[];
  /** What is to be taken from the new picture, after the copy. They do not overlap. */
  readonly rectangles: readonly Rectangle[];
}

/** Side of a tile, in dots: the height of a line of text. */
const TILE = 16;
/** With more rectangles than this, each row of tiles becomes one. */
const MAX_RECTANGLES = 256;
/** Fewer changed rows than this are sent as they are. */
const LEAST_SCROLL = 24;
/** A row that occurs more often than this in the old picture has no vote. */
const MOST_PLACES = 4;
/** A copy that saves fewer rows than this is none. */
const LEAST_GAIN = 8;

/** The dots of a frame as words: comparing four bytes at once. */
function dotsOf({ rgba, width, height }: Frame): Uint32Array {
  const aligned = rgba.byteOffset % 4 === 0 ? rgba : rgba.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, width * height);
}

/** What turns `before` into `after`. Pictures of different sizes have nothing in common. */
export function findDamage(before: Frame, after: Frame): Damage {
  const { width, height } = after;
  if (width !== before.width || height !== before.height)
    return { copies: [], rectangles: [{ x: 0, y: 0, width, height }] };
  const old = dotsOf(before),
    now = dotsOf(after);
  const changed = bounds(old, now, width, { x: 0, y: 0, width, height });
  if (changed === undefined) return { copies: [], rectangles: [] };
  const copy = findScroll(old, now, width, changed);
  if (copy === undefined) return { copies: [], rectangles: findRectangles(old, now, width, changed) };
  const scrolled = old.slice();
  copyDots(scrolled, width, copy);
  const left = bounds(scrolled, now, width, changed);
  return { copies: [copy], rectangles: left === undefined ? [] : findRectangles(scrolled, now, width, left) };
}

/** Moves a part of a picture within it. */
export function copyWithin(picture: Frame, copy: CopiedRectangle): void {
  const { width, rgba } = picture;
  const row = (y: number): void => {
    const from = ((copy.fromY + y) * width + copy.fromX) * 4;
    rgba.copyWithin(((copy.y + y) * width + copy.x) * 4, from, from + copy.width * 4);
  };
  // Downwards from the last row, so that no row is overwritten before it is read.
  if (copy.fromY < copy.y) for (let y = copy.height - 1; y >= 0; y--) row(y);
  else for (let y = 0; y < copy.height; y++) row(y);
}
function copyDots(dots: Uint32Array, width: number, copy: CopiedRectangle): void {
  const rgba = new Uint8Array(dots.buffer, dots.byteOffset, dots.byteLength);
  copyWithin({ width, height: dots.length / width, rgba }, copy);
}

/** The dots of a rectangle, row by row, as an array of their own. */
export function cutOut({ width, rgba }: Frame, part: Rectangle): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(part.width * part.height * 4);
  for (let y = 0; y < part.height; y++) {
    const from = ((part.y + y) * width + part.x) * 4;
    out.set(rgba.subarray(from, from + part.width * 4), y * part.width * 4);
  }
  return out;
}

/** Whether `count` dots from `at` on are the same in both. */
function same(a: Uint32Array, b: Uint32Array, at: number, count: number): boolean {
  for (let i = at, end = at + count; i < end; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The smallest rectangle within `part` that holds every dot that differs. */
function bounds(old: Uint32Array, now: Uint32Array, stride: number, part: Rectangle): Rectangle | undefined {
  const rowIsSame = (y: number): boolean => same(old, now, y * stride + part.x, part.width);
  let top = part.y,
    bottom = part.y + part.height;
  while (top < bottom && rowIsSame(top)) top++;
  if (top === bottom) return undefined;
  while (rowIsSame(bottom - 1)) bottom--;
  // Each row narrows what is left to look at on either side.
  let left = part.x + part.width,
    right = part.x;
  for (let y = top; y < bottom; y++) {
    const row = y * stride;
    let x = part.x;
    while (x < left && old[row + x] === now[row + x]) x++;
    left = Math.min(left, x);
    x = part.x + part.width;
    while (x > right && old[row + x - 1] === now[row + x - 1]) x--;
    right = Math.max(right, x);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** One hash a row of `part`. */
function rowHashes(dots: Uint32Array, stride: number, { x, y, width, height }: Rectangle): Int32Array {
  const hashes = new Int32Array(height);
  for (let row = 0; row < height; row++) {
    let hash = 0;
    for (let i = (y + row) * stride + x, end = i + width; i < end; i++) hash = Math.imul(hash ^ dots[i]!, 0x9e37_79b1);
    hashes[row] = hash ^ (hash >>> 15);
  }
  return hashes;
}

/**
 * By how many rows the picture moved up most likely; 0: it did not. Each row votes for the places where it was before, unless it
 * looks like too many others: blank rows know nothing.
 */
function likelyShift(old: Int32Array, now: Int32Array): number {
  const places = new Map<number, number[]>();
  old.forEach((hash, row) => {
    const known = places.get(hash);
    if (known === undefined) places.set(hash, [row]);
    else if (known.length <= MOST_PLACES) known.push(row);
  });
  const votes = new Map<number, number>();
  now.forEach((hash, row) => {
    const from = places.get(hash);
    if (from === undefined || from.length > MOST_PLACES || hash === old[row]) return;
    for (const place of from) votes.set(place - row, (votes.get(place - row) ?? 0) + 1);
  });
  let best = 0,
    most = 0;
  for (const [shift, count] of votes) if (count > most) [best, most] = [shift, count];
  return best;
}

/** The vertical move within `part` that saves most. */
function findScroll(old: Uint32Array, now: Uint32Array, stride: number, part: Rectangle): CopiedRectangle | undefined {
  const { x, y, width, height } = part;
  if (height < LEAST_SCROLL) return undefined;
  const before = rowHashes(old, stride, part),
    after = rowHashes(now, stride, part);
  const shift = likelyShift(before, after);
  if (shift === 0) return undefined;
  // The stretch of rows with the highest sum: a row that the copy makes right counts for it, one that it spoils against it.
  let sum = 0,
    from = 0,
    best = { gain: 0, from: 0, to: 0 };
  for (let row = Math.max(0, -shift); row < Math.min(height, height - shift); row++) {
    if (sum <= 0) [sum, from] = [0, row];
    const moved = after[row] === before[row + shift],
      stood = after[row] === before[row];
    sum += (moved ? 1 : 0) - (stood ? 1 : 0);
    if (sum > best.gain) best = { gain: sum, from, to: row + 1 };
  }
  if (best.gain < LEAST_GAIN) return undefined;
  const top = y + best.from;
  return { x, y: top, width, height: best.to - best.from, fromX: x, fromY: top + shift };
}

/** Rectangles within `part` that hold every dot that differs: runs of tiles, joined downwards, cut down to what changed. */
function findRectangles(old: Uint32Array, now: Uint32Array, stride: number, part: Rectangle): Rectangle[] {
  const rows: Rectangle[][] = [];
  for (let y = part.y; y < part.y + part.height; y += TILE)
    rows.push(runsOfTiles(old, now, stride, { ...part, y, height: Math.min(TILE, part.y + part.height - y) }));
  const count = rows.reduce((sum, runs) => sum + runs.length, 0);
  const joined = joinDown(count > MAX_RECTANGLES ? rows.map(oneRun) : rows);
  return joined.map((run) => bounds(old, now, stride, run)).filter((run) => run !== undefined);
}

/** The changed tiles of one row of tiles, neighbours joined. */
function runsOfTiles(old: Uint32Array, now: Uint32Array, stride: number, row: Rectangle): Rectangle[] {
  const { y, height } = row;
  const end = row.x + row.width;
  const runs: Rectangle[] = [];
  let start = -1;
  for (let x = row.x; x < end; x += TILE) {
    const width = Math.min(TILE, end - x);
    let isSame = true;
    for (let line = y; isSame && line < y + height; line++) isSame = same(old, now, line * stride + x, width);
    if (!isSame && start < 0) start = x;
    if (isSame && start >= 0) {
      runs.push({ x: start, y, width: x - start, height });
      start = -1;
    }
  }
  if (start >= 0) runs.push({ x: start, y, width: end - start, height });
  return runs;
}
function oneRun(runs: readonly Rectangle[]): Rectangle[] {
  const first = runs[0],
    last = runs.at(-1);
  return first === undefined || last === undefined ? [] : [{ ...first, width: last.x + last.width - first.x }];
}

/** Joins runs that stand exactly below each other. */
function joinDown(rows: readonly (readonly Rectangle[])[]): Rectangle[] {
  const done: Rectangle[] = [];
  let open: Rectangle[] = [];
  for (const runs of rows) {
    const next = runs.map((run) => {
      const above = open.find((o) => o.x === run.x && o.width === run.width);
      return above === undefined ? run : { ...above, height: above.height + run.height };
    });
    done.push(...open.filter((o) => !next.some((run) => run.x === o.x && run.width === o.width)));
    open = next;
  }
  return [...done, ...open];
}
