/** Sets of dots, as bands of spans (the way X servers keep them): exact, and cheap while they are a few rectangles. */
import { intersection, type Rectangle } from './geometry.ts';

/** Rows `top` to `bottom` (exclusive) with the same spans: `[from, to, from, to, ...]`, sorted, apart from each other. */
interface Band {
  readonly top: number;
  readonly bottom: number;
  readonly spans: readonly number[];
}

/** Which dots stay, by whether they are in either. False where a dot is in none. */
type Keep = (inA: boolean, inB: boolean) => boolean;

/** Tiles that a region is rounded up to, one size after the other, when it has too many rectangles. */
const COARSE_STEPS = [8, 32, 128];

/** Immutable. */
export class Region {
  static readonly empty = new Region([]);
  private readonly bands: readonly Band[];

  private constructor(bands: readonly Band[]) {
    this.bands = bands;
  }

  static of({ x, y, width, height }: Rectangle): Region {
    if (width <= 0 || height <= 0) return Region.empty;
    return new Region([{ top: y, bottom: y + height, spans: [x, x + width] }]);
  }

  get isEmpty(): boolean {
    return this.bands.length === 0;
  }

  /** How many rectangles `rectangles` gives. */
  get count(): number {
    return this.bands.reduce((sum, band) => sum + band.spans.length / 2, 0);
  }

  union(other: Region): Region {
    if (this.isEmpty) return other;
    return other.isEmpty ? this : this.combine(other, (a, b) => a || b);
  }

  intersect(other: Region): Region {
    return this.isEmpty || other.isEmpty ? Region.empty : this.combine(other, (a, b) => a && b);
  }

  subtract(other: Region): Region {
    return this.isEmpty || other.isEmpty ? this : this.combine(other, (a, b) => a && !b);
  }

  translate(dx: number, dy: number): Region {
    const moved = ({ top, bottom, spans }: Band): Band => ({
      top: top + dy,
      bottom: bottom + dy,
      spans: spans.map((x) => x + dx),
    });
    return new Region(this.bands.map(moved));
  }

  contains(rectangle: Rectangle): boolean {
    return Region.of(rectangle).subtract(this).isEmpty;
  }

  /** Apart from each other, from the top, then from the left. */
  rectangles(): Rectangle[] {
    const list: Rectangle[] = [];
    for (const { top, bottom, spans } of this.bands) {
      for (let i = 0; i < spans.length; i += 2) {
        list.push({ x: spans[i]!, y: top, width: spans[i + 1]! - spans[i]!, height: bottom - top });
      }
    }
    return list;
  }

  /** A region of at most `limit` rectangles that has all of this one, and nothing outside `clip` unless this one has. */
  coarsened(limit: number, clip: Rectangle): Region {
    if (this.count <= limit) return this;
    for (const step of COARSE_STEPS) {
      let coarse = Region.empty;
      for (const rectangle of this.rectangles()) {
        const rounded = intersection(roundedUp(rectangle, step), clip) ?? rectangle;
        coarse = coarse.union(Region.of(rounded));
      }
      if (coarse.count <= limit) return coarse;
    }
    return Region.of(this.bounds());
  }

  /** The smallest rectangle with all of it; empty when it is. */
  bounds(): Rectangle {
    const first = this.bands[0];
    if (first === undefined) return { x: 0, y: 0, width: 0, height: 0 };
    const x = Math.min(...this.bands.map((band) => band.spans[0]!));
    const right = Math.max(...this.bands.map((band) => band.spans.at(-1)!));
    return { x, y: first.top, width: right - x, height: this.bands.at(-1)!.bottom - first.top };
  }

  private combine(other: Region, keep: Keep): Region {
    const edges = new Set<number>();
    for (const band of [...this.bands, ...other.bands]) edges.add(band.top).add(band.bottom);
    const rows = [...edges].sort((a, b) => a - b);
    const result: Band[] = [];
    let a = 0;
    let b = 0;
    for (let i = 0; i + 1 < rows.length; i++) {
      const top = rows[i]!;
      const bottom = rows[i + 1]!;
      while (a < this.bands.length && this.bands[a]!.bottom <= top) a++;
      while (b < other.bands.length && other.bands[b]!.bottom <= top) b++;
      const spans = combineSpans(spansAt(this.bands[a], top), spansAt(other.bands[b], top), keep);
      if (spans.length === 0) continue;
      const last = result.at(-1);
      if (last?.bottom === top && isSame(last.spans, spans)) result[result.length - 1] = { ...last, bottom };
      else result.push({ top, bottom, spans });
    }
    return new Region(result);
  }
}

const spansAt = (band: Band | undefined, row: number): readonly number[] =>
  band !== undefined && band.top <= row ? band.spans : [];

function combineSpans(a: readonly number[], b: readonly number[], keep: Keep): number[] {
  const spans: number[] = [];
  let i = 0;
  let j = 0;
  let inside = false;
  while (i < a.length || j < b.length) {
    const x = Math.min(a[i] ?? Infinity, b[j] ?? Infinity);
    if (a[i] === x) i++;
    if (b[j] === x) j++;
    // After an odd number of edges one is inside.
    const now = keep((i & 1) === 1, (j & 1) === 1);
    if (now !== inside) spans.push(x);
    inside = now;
  }
  return spans;
}

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);

function roundedUp({ x, y, width, height }: Rectangle, step: number): Rectangle {
  const left = Math.floor(x / step) * step;
  const top = Math.floor(y / step) * step;
  const right = Math.ceil((x + width) / step) * step;
  const bottom = Math.ceil((y + height) / step) * step;
  return { x: left, y: top, width: right - left, height: bottom - top };
}
