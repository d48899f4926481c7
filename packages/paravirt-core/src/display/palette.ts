/** The colours that a PC's firmware loads, made by rule (IBM VGA XGA Technical Reference, section 2, "Video DAC"). */
import { PALETTE_BYTES } from './display-state.ts';

type Colour = readonly [red: number, green: number, blue: number];

/** Six bits of a DAC register as eight, so that 0 stays 0 and 63 becomes 255. */
export const sixToEight = (value: number): number => ((value & 0x3f) << 2) | ((value & 0x3f) >> 4);
/** Eight bits as six, the inverse of `sixToEight`. */
export const eightToSix = (value: number): number => value >> 2;

/** The share of a primary (0x2a) and a secondary (0x15) intensity bit. */
const PRIMARY = 0x2a;
const SECONDARY = 0x15;
const bit = (value: number, n: number): number => (value >> n) & 1;

/** The 64 colours of the EGA: bits 0..2 are blue, green and red, bits 3..5 the same at half weight. */
function egaColour(index: number): Colour {
  const part = (n: number): number => bit(index, n) * PRIMARY + bit(index, n + 3) * SECONDARY;
  return [part(2), part(1), part(0)];
}

/** The 16 colours of the CGA, with dark yellow made brown. */
function cgaColour(index: number): Colour {
  const light = bit(index, 3) * SECONDARY;
  const part = (n: number): number => bit(index, n) * PRIMARY + light;
  return index === 6 ? [PRIMARY, SECONDARY, 0] : [part(2), part(1), part(0)];
}

/** The 16 greys of mode 13h. */
const GREYS = [0x00, 0x05, 0x08, 0x0b, 0x0e, 0x11, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2d, 0x32, 0x38, 0x3f];
/** Five levels from least to most for each of three intensities with three saturations each. */
const HUE_LEVELS: readonly (readonly number[])[] = [
  [0x00, 0x10, 0x1f, 0x2f, 0x3f],
  [0x1f, 0x27, 0x2f, 0x37, 0x3f],
  [0x2d, 0x31, 0x36, 0x3a, 0x3f],
  [0x00, 0x07, 0x0e, 0x15, 0x1c],
  [0x0e, 0x11, 0x15, 0x18, 0x1c],
  [0x14, 0x16, 0x18, 0x1a, 0x1c],
  [0x00, 0x04, 0x08, 0x0c, 0x10],
  [0x08, 0x0a, 0x0c, 0x0e, 0x10],
  [0x0b, 0x0c, 0x0d, 0x0f, 0x10],
];
const HUES = 24;

/** A colour on the circle blue, magenta, red, yellow, green, cyan in 24 steps. */
function hue(step: number, levels: readonly number[]): Colour {
  // Each part rises over four steps, stays for eight, falls over four and rests for eight.
  const part = (start: number): number => {
    const at = (step - start + HUES) % HUES;
    return levels[at <= 4 ? at : at < 12 ? 4 : at <= 16 ? 16 - at : 0]!;
  };
  return [part(0), part(8), part(16)];
}

function palette(colours: readonly Colour[]): Uint8Array {
  const out = new Uint8Array(PALETTE_BYTES);
  colours.forEach((colour, i) => out.set(colour.map(sixToEight), i * 3));
  return out;
}

/** For modes of 200 lines: the CGA colours, with intensity in bit 4, four times over. Eight bits a part. */
export const cgaPalette = (): Uint8Array =>
  palette(Array.from({ length: 64 }, (_, i) => cgaColour((i & 7) | (bit(i, 4) << 3))));

/** For text and 16-colour modes: 64 EGA colours, the rest black. Eight bits a part. */
export const egaPalette = (): Uint8Array => palette(Array.from({ length: 64 }, (_, i) => egaColour(i)));

/** For mode 13h: 16 CGA colours, 16 greys, 9 circles of 24 hues, the rest black. Eight bits a part. */
export const mode13Palette = (): Uint8Array =>
  palette([
    ...Array.from({ length: 16 }, (_, i) => cgaColour(i)),
    ...GREYS.map((grey): Colour => [grey, grey, grey]),
    ...HUE_LEVELS.flatMap((levels) => Array.from({ length: HUES }, (_, step) => hue(step, levels))),
  ]);
