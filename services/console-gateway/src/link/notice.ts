/** The picture of a guest that has none: its name and what became of it, on a quiet ground. */
import { FONT_8X16, FONT_HEIGHT } from '@tomei/paravirt-core';
import type { Frame } from '@tomei/rfb';

const FONT_WIDTH = 8;
/** Red, green, blue and 255 as a little-endian word. */
const GROUND = 0xff1b1613;
const HEADLINE = 0xffd8ccc4;
const TEXT = 0xff96887c;
const LINE_HEIGHT = FONT_HEIGHT + 8;
/** Code page 437 and ASCII agree from here to here; anything else is shown as a question mark. */
const FIRST = 0x20;
const LAST = 0x7e;

/** Lines in the middle of a picture, the first one brighter; what does not fit is cut off. */
export function noticeFrame(width: number, height: number, lines: readonly string[]): Frame {
  const dots = new Uint32Array(width * height).fill(GROUND);
  const columns = Math.floor(width / FONT_WIDTH);
  const top = Math.max(0, (height - lines.length * LINE_HEIGHT) >> 1);
  lines.forEach((line, i) => {
    const text = line.length > columns ? `${line.slice(0, Math.max(0, columns - 3))}...` : line;
    const left = (width - text.length * FONT_WIDTH) >> 1;
    const y = top + i * LINE_HEIGHT;
    if (left >= 0 && y + FONT_HEIGHT <= height)
      [...text].forEach((character, n) =>
        drawGlyph(dots, width, left + n * FONT_WIDTH, y, character, i === 0 ? HEADLINE : TEXT),
      );
  });
  return { width, height, copies: [], rectangles: [{ x: 0, y: 0, width, height, rgba: new Uint8Array(dots.buffer) }] };
}

function drawGlyph(dots: Uint32Array, stride: number, x: number, y: number, character: string, colour: number): void {
  const code = character.codePointAt(0)!;
  const glyph = (code >= FIRST && code <= LAST ? code : 0x3f) * FONT_HEIGHT;
  for (let row = 0; row < FONT_HEIGHT; row++) {
    const bits = FONT_8X16[glyph + row]!;
    for (let column = 0; column < FONT_WIDTH; column++)
      if ((bits & (0x80 >> column)) !== 0) dots[(y + row) * stride + x + column] = colour;
  }
}
