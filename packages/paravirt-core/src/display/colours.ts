/** From palette registers to dots: one 32-bit word a dot, red in the lowest byte, as RGBA lies in memory. */
import { PALETTE_COLOURS, type DisplayState } from './display-state.ts';
import { AC_COLOUR_SELECT, AC_MODE, AC_MODE_SELECT_54, AC_PLANE_ENABLE } from './vga-registers.ts';

export const BLACK = 0xff00_0000;

/** As a signed word: typed arrays take it as it is, and no number leaves the range of small integers. */
export const rgb = (red: number, green: number, blue: number): number => BLACK | (blue << 16) | (green << 8) | red;

/** The dot for each of the 256 indexes that reach the DAC, through its mask. */
export function dacColours({ palette, pelMask }: DisplayState): Uint32Array {
  return Uint32Array.from({ length: PALETTE_COLOURS }, (_, index) => {
    const at = (index & pelMask) * 3;
    return rgb(palette[at]!, palette[at + 1]!, palette[at + 2]!);
  });
}

/** The dot for each of the 16 colours that the attribute controller looks up in its internal palette. */
export function attributeColours(display: DisplayState): Uint32Array {
  const { attribute } = display;
  const dac = dacColours(display);
  const select = attribute[AC_COLOUR_SELECT]!;
  return Uint32Array.from({ length: 16 }, (_, colour) => {
    const inner = attribute[colour & attribute[AC_PLANE_ENABLE]!]!;
    const low = attribute[AC_MODE]! & AC_MODE_SELECT_54 ? (inner & 0x0f) | ((select & 3) << 4) : inner;
    return dac[low | ((select & 0x0c) << 4)]!;
  });
}
