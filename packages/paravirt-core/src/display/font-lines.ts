/**
 * Box-drawing characters, blocks and shades of code page 437 (0xB0..0xDF), drawn by rule so that they join without gaps.
 * A line is single (one band) or double (two bands). Horizontal bands are one dot high, vertical ones two dots wide.
 */

const CELL_WIDTH = 8;
const CELL_HEIGHT = 16;
/** First code of the box-drawing characters, U+2502. */
const FIRST_BOX = 0xb3;

/** Arms of 0xB3..0xDA in code order, one digit each for left, right, up, down: 0 none, 1 single, 2 double. */
const ARMS =
  '0011 1011 2011 1022 1002 2001 2022 0022 2002 2020 1020 2010 1001 0110 1110 1101 0111 1100 1111 0211 ' +
  '0122 0220 0202 2220 2202 0222 2200 2222 2210 1120 2201 1102 0120 0210 0201 0102 1122 2211 1010 0101';

type Style = 0 | 1 | 2;
/** A band: first and last dot across the direction of the line. */
type Band = readonly [number, number];

/** Bands from the low side (top, left) to the high side (bottom, right). */
const ROWS: Readonly<Record<1 | 2, readonly Band[]>> = { 1: [[7, 7]], 2: [[6, 6], [8, 8]] }; // prettier-ignore
const COLUMNS: Readonly<Record<1 | 2, readonly Band[]>> = { 1: [[3, 4]], 2: [[1, 2], [5, 6]] }; // prettier-ignore

/**
 * How far one band of a line reaches from the low end (`from`) and to the high end (`to`).
 * `low` and `high` say whether the line itself goes on to either end; `crossing` are the bands of the other direction on
 * the side of this band (where it must stop), `opposite` those on its other side (which it must go round).
 */
function extent(
  low: boolean,
  high: boolean,
  crossing: readonly Band[] | undefined,
  opposite: readonly Band[] | undefined,
  last: number,
  middle: Band,
): Band {
  const around = opposite ?? crossing ?? [middle];
  const outerFrom = around[0]![0];
  const outerTo = around.at(-1)![1];
  const stop = crossing;
  if (low && high) return [0, last];
  if (high) return [stop === undefined ? outerFrom : stop.at(-1)![0], last];
  return [0, stop === undefined ? outerTo : stop[0]![1]];
}

/** Paints the lines of one direction. `ends`: styles of the low and high arm; `sides`: of the crossing arms. */
function paintLines(
  ends: readonly [Style, Style],
  sides: readonly [Style, Style],
  bands: typeof ROWS,
  crossings: typeof ROWS,
  last: number,
  paint: (across: Band, along: Band) => void,
): void {
  const style = (ends[0] || ends[1]) as Style;
  if (style === 0) return;
  const crossing = sides.map((s) => (s === 0 ? undefined : crossings[s]));
  const middle: Band = crossings[1][0]!;
  const [low, high] = [ends[0] !== 0, ends[1] !== 0];
  if (style === 1) {
    const both = crossing[0] !== undefined && crossing[1] !== undefined;
    const any = crossing[0] ?? crossing[1];
    paint(bands[1][0]!, extent(low, high, both ? any : undefined, both ? undefined : any, last, middle));
    return;
  }
  bands[2].forEach((band, side) => {
    const near = crossing[side];
    const far = crossing[1 - side];
    if (low && high && near !== undefined) {
      // Two pieces with the crossing arm's inside kept open; a single crossing arm has none.
      paint(band, extent(true, false, near, far, last, middle));
      paint(band, extent(false, true, near, far, last, middle));
    } else {
      paint(band, extent(low, high, near, far, last, middle));
    }
  });
}

function box(code: number): Uint8Array {
  const [left, right, up, down] = [...ARMS.split(' ')[code - FIRST_BOX]!].map(Number) as [Style, Style, Style, Style];
  const glyph = new Uint8Array(CELL_HEIGHT);
  const fill = (rows: Band, columns: Band): void => {
    for (let y = rows[0]; y <= rows[1]; y++) {
      for (let x = columns[0]; x <= columns[1]; x++) glyph[y] = glyph[y]! | (0x80 >> x);
    }
  };
  paintLines([left, right], [up, down], ROWS, COLUMNS, CELL_WIDTH - 1, (rows, columns) => fill(rows, columns));
  paintLines([up, down], [left, right], COLUMNS, ROWS, CELL_HEIGHT - 1, (columns, rows) => fill(rows, columns));
  return glyph;
}

const rows = (row: (y: number) => number): Uint8Array => Uint8Array.from({ length: CELL_HEIGHT }, (_, y) => row(y));
const HALF = CELL_HEIGHT / 2;

/** Shades with a quarter, half and three quarters of the dots set. */
const quarter = (y: number): number => (y % 2 === 0 ? 0x88 : 0x22);
const BLOCKS: Readonly<Record<number, (y: number) => number>> = {
  0xb0: quarter,
  0xb1: (y) => (y % 2 === 0 ? 0xaa : 0x55),
  0xb2: (y) => quarter(y) ^ 0xff,
  0xdb: () => 0xff,
  0xdc: (y) => (y < HALF ? 0x00 : 0xff),
  0xdd: () => 0xf0,
  0xde: () => 0x0f,
  0xdf: (y) => (y < HALF ? 0xff : 0x00),
};

/** The 16 rows of a line, block or shade character (codes 0xB0..0xDF), most significant bit left. */
export function lineGlyph(code: number): Uint8Array {
  const block = BLOCKS[code];
  return block === undefined ? box(code) : rows(block);
}
