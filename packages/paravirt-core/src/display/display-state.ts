/** What the renderer needs of the display adapter besides video memory: plain data that can be sent to another thread. */
import type { Scanout } from './scanout.ts';
import { AC_COUNT, CRTC_COUNT, GC_COUNT, SEQ_COUNT } from './vga-registers.ts';

/** Entries of the palette, and bytes of each: red, green, blue. */
export const PALETTE_COLOURS = 256;
export const PALETTE_BYTES = PALETTE_COLOURS * 3;
/** The largest frame in either direction, in dots. What the registers say beyond it is cut off. */
export const MAX_FRAME_SIDE = 4096;
/** The most dots of a frame, whatever its sides: a little more than 3840x2160. Guests choose, and each dot costs the host four bytes. */
export const MAX_FRAME_DOTS = 1 << 23;

export type BitsPerPixel = 4 | 8 | 15 | 16 | 24 | 32;
export const BITS_PER_PIXEL: readonly BitsPerPixel[] = [4, 8, 15, 16, 24, 32];

/** A mode set by the Bochs display interface, which overrides the CRTC. Lengths in dots and rows. */
export interface LinearMode {
  readonly width: number;
  readonly height: number;
  /** 4 is planar, 8 goes through the palette, 15 and 16 are 5:5:5 and 5:6:5, 24 and 32 have blue in the lowest byte. */
  readonly bitsPerPixel: BitsPerPixel;
  /** Dots from one row to the next. */
  readonly virtualWidth: number;
  readonly xOffset: number;
  readonly yOffset: number;
}

/** Bytes from one row to the next. Planar rows count all four planes. */
export function strideOf(bitsPerPixel: BitsPerPixel, virtualWidth: number): number {
  return bitsPerPixel === 4 ? Math.ceil(virtualWidth / 8) * 4 : virtualWidth * Math.ceil(bitsPerPixel / 8);
}

/** A snapshot of the registers that shape the picture; indexes are named in vga-registers.ts. */
export interface DisplayState {
  readonly miscOutput: number;
  readonly sequencer: Uint8Array;
  readonly crtc: Uint8Array;
  readonly graphics: Uint8Array;
  readonly attribute: Uint8Array;
  /** The attribute controller's palette address source; false blanks the screen. */
  readonly paletteEnabled: boolean;
  readonly pelMask: number;
  /** 256 colours of red, green and blue, eight bits each. */
  readonly palette: Uint8Array;
  /** Null: the VGA's own registers say what is shown. */
  readonly linear: LinearMode | null;
  /** Present: another adapter has the screen, and `DisplayView.memory` is that one's. */
  readonly scanout?: Scanout;
}

/** A frame's sources. Video memory holds the four planes interleaved: plane p of address a is byte 4a + p. */
export interface DisplayView {
  readonly display: DisplayState;
  readonly memory: Uint8Array;
}

/** The state of an adapter after power-on: everything off. */
export function blankDisplayState(): DisplayState {
  return {
    miscOutput: 0,
    sequencer: new Uint8Array(SEQ_COUNT),
    crtc: new Uint8Array(CRTC_COUNT),
    graphics: new Uint8Array(GC_COUNT),
    attribute: new Uint8Array(AC_COUNT),
    paletteEnabled: false,
    pelMask: 0xff,
    palette: new Uint8Array(PALETTE_BYTES),
    linear: null,
  };
}
