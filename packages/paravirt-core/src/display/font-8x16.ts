/**
 * An 8x16 bitmap font for code page 437, drawn for this project. Letters and symbols are pictures in font-ascii.ts and
 * font-symbols.ts, lines and blocks follow rules (font-lines.ts), accented letters are put together here.
 */
import { ASCII_GLYPHS } from './font-ascii.ts';
import { lineGlyph } from './font-lines.ts';
import { SYMBOL_GLYPHS } from './font-symbols.ts';

/** Rows of a glyph; each row is one byte, most significant bit left. */
export const FONT_HEIGHT = 16;
export const FONT_GLYPHS = 256;

type Glyph = Uint8Array;

/** Reads bands of pictures: a line of character codes, then rows of dots that end in their row number. */
function readPictures(text: string, into: Map<number, Glyph>): void {
  let codes: number[] = [];
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    if (/^[0-9A-F]{2}$/.test(words[0]!)) {
      codes = words.map((word) => Number.parseInt(word, 16));
      for (const code of codes) into.set(code, new Uint8Array(FONT_HEIGHT));
    } else if (words.length > 1) {
      const row = Number(words.at(-1));
      codes.forEach((code, i) => {
        into.get(code)![row] = Number.parseInt(words[i]!.replaceAll('.', '0').replaceAll('#', '1'), 2);
      });
    }
  }
}

const map = (glyph: Glyph, row: (bits: number, y: number) => number): Glyph =>
  Uint8Array.from(glyph, (bits, y) => row(bits, y));
const mirrorBits = (bits: number): number => {
  let out = 0;
  for (let x = 0; x < 8; x++) if (bits & (1 << x)) out |= 0x80 >> x;
  return out;
};
const mirrored = (glyph: Glyph): Glyph => map(glyph, mirrorBits);
const inverted = (glyph: Glyph): Glyph => map(glyph, (bits) => bits ^ 0xff);
/** Turned by half a turn, the baseline kept two rows from the bottom: `?` becomes its Spanish opening form. */
const turned = (glyph: Glyph): Glyph => map(glyph, (_, y) => mirrorBits(glyph[FONT_HEIGHT - y] ?? 0));

/** Accents as rows from the top down. Above a small letter they end two rows over it, above a capital at the top. */
const ACCENTS = {
  acute: [0x0c, 0x18],
  grave: [0x30, 0x18],
  circumflex: [0x18, 0x3c, 0x66],
  diaeresis: [0x66, 0x66],
  tilde: [0x76, 0xdc],
  ring: [0x18, 0x24, 0x18],
} as const;
type Accent = keyof typeof ACCENTS | 'cedilla';

/** Small letters start here, capitals two rows below the top of the cell. */
const SMALL_TOP = 5;
const CAPITAL_TOP = 2;
/** The row of a capital that can be left out to make room for an accent: every capital repeats itself there. */
const CAPITAL_SPARE_ROW = 4;
const CEDILLA: readonly (readonly [row: number, bits: number])[] = [
  [12, 0x18],
  [13, 0x0c],
  [14, 0x38],
];

/** Code, base letter, accent. */
const COMPOSED: readonly (readonly [code: number, base: string, accent: Accent])[] = [
  [0x80, 'C', 'cedilla'],
  [0x81, 'u', 'diaeresis'],
  [0x82, 'e', 'acute'],
  [0x83, 'a', 'circumflex'],
  [0x84, 'a', 'diaeresis'],
  [0x85, 'a', 'grave'],
  [0x86, 'a', 'ring'],
  [0x87, 'c', 'cedilla'],
  [0x88, 'e', 'circumflex'],
  [0x89, 'e', 'diaeresis'],
  [0x8a, 'e', 'grave'],
  [0x8b, 'i', 'diaeresis'],
  [0x8c, 'i', 'circumflex'],
  [0x8d, 'i', 'grave'],
  [0x8e, 'A', 'diaeresis'],
  [0x8f, 'A', 'ring'],
  [0x90, 'E', 'acute'],
  [0x93, 'o', 'circumflex'],
  [0x94, 'o', 'diaeresis'],
  [0x95, 'o', 'grave'],
  [0x96, 'u', 'circumflex'],
  [0x97, 'u', 'grave'],
  [0x98, 'y', 'diaeresis'],
  [0x99, 'O', 'diaeresis'],
  [0x9a, 'U', 'diaeresis'],
  [0xa0, 'a', 'acute'],
  [0xa1, 'i', 'acute'],
  [0xa2, 'o', 'acute'],
  [0xa3, 'u', 'acute'],
  [0xa4, 'n', 'tilde'],
  [0xa5, 'N', 'tilde'],
];

function compose(base: Glyph, letter: string, accent: Accent): Glyph {
  const out = base.slice();
  if (accent === 'cedilla') {
    for (const [row, bits] of CEDILLA) out[row] = bits;
    return out;
  }
  const rows = ACCENTS[accent];
  if (letter === letter.toUpperCase()) {
    out.copyWithin(CAPITAL_TOP + 1, CAPITAL_TOP, CAPITAL_SPARE_ROW);
    out.fill(0, 0, CAPITAL_TOP + 1);
    // A ring sits on the letter's point; the others leave a row free.
    const top = Math.max(0, CAPITAL_TOP - rows.length);
    rows.forEach((bits, i) => (out[top + i] = bits));
    return out;
  }
  out.fill(0, 0, SMALL_TOP); // takes the dot off an i
  rows.forEach((bits, i) => (out[SMALL_TOP - 1 - rows.length + i] = bits));
  return out;
}

/** Characters that are another one seen differently. */
const DERIVED: readonly (readonly [code: number, from: number, how: (glyph: Glyph) => Glyph])[] = [
  [0x08, 0x07, inverted],
  [0x0a, 0x09, inverted],
  [0x11, 0x10, mirrored],
  [0x1b, 0x1a, mirrored],
  [0xa8, 0x3f, turned],
  [0xaa, 0xa9, mirrored],
  [0xad, 0x21, turned],
  [0xaf, 0xae, mirrored],
  [0xf3, 0xf2, mirrored],
];
const BLANK_CODES: readonly number[] = [0x00, 0x20, 0xff];

function buildFont(): Uint8Array {
  const glyphs = new Map<number, Glyph>(BLANK_CODES.map((code) => [code, new Uint8Array(FONT_HEIGHT)]));
  readPictures(ASCII_GLYPHS, glyphs);
  readPictures(SYMBOL_GLYPHS, glyphs);
  for (let code = 0xb0; code <= 0xdf; code++) glyphs.set(code, lineGlyph(code));
  for (const [code, from, how] of DERIVED) glyphs.set(code, how(glyphs.get(from)!));
  for (const [code, base, accent] of COMPOSED) {
    glyphs.set(code, compose(glyphs.get(base.charCodeAt(0))!, base, accent));
  }
  const font = new Uint8Array(FONT_GLYPHS * FONT_HEIGHT);
  for (const [code, glyph] of glyphs) font.set(glyph, code * FONT_HEIGHT);
  return font;
}

/** The glyphs of character codes 0..255, 16 bytes each. Do not write to it. */
export const FONT_8X16: Uint8Array = buildFont();
