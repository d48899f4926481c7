/** Register values of the standard VGA modes (IBM VGA XGA Technical Reference, section 2, "Programming considerations"). */
import { cgaPalette, egaPalette, mode13Palette } from './palette.ts';

/** What a mode loads into each register group, in index order. */
export interface VgaMode {
  readonly miscOutput: number;
  readonly sequencer: readonly number[];
  readonly crtc: readonly number[];
  readonly graphics: readonly number[];
  readonly attribute: readonly number[];
  /** 256 colours of red, green and blue, eight bits each. */
  readonly palette: () => Uint8Array;
}

/** Reads a row of hexadecimal bytes, so that the tables below look like the manual's. */
const hex = (text: string): readonly number[] => text.split(' ').map((byte) => Number.parseInt(byte, 16));

const SIXTEEN_COLOURS = '00 01 02 03 04 05 14 07 38 39 3a 3b 3c 3d 3e 3f';
const CGA_COLOURS = '00 01 02 03 04 05 06 07 10 11 12 13 14 15 16 17';
const IDENTITY = '00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f';

/** 80x25 text in 16 colours, 9x16 cells, 720x400 dots. */
export const MODE_TEXT: VgaMode = {
  miscOutput: 0x67,
  sequencer: hex('03 00 03 00 02'),
  crtc: hex('5f 4f 50 82 55 81 bf 1f 00 4f 0d 0e 00 00 00 00 9c 8e 8f 28 1f 96 b9 a3 ff'),
  graphics: hex('00 00 00 00 00 10 0e 0f ff'),
  attribute: hex(`${SIXTEEN_COLOURS} 0c 00 0f 08 00`),
  palette: egaPalette,
};

/** 320x200 in four colours, rows in two banks as on the CGA (mode 4). */
export const MODE_CGA: VgaMode = {
  miscOutput: 0x63,
  sequencer: hex('03 09 03 00 02'),
  crtc: hex('2d 27 28 90 2b 80 bf 1f 00 c1 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 a2 ff'),
  graphics: hex('00 00 00 00 00 30 0f 0f ff'),
  attribute: hex('00 13 15 17 02 04 06 07 10 11 12 13 14 15 16 17 01 00 03 00 00'),
  palette: cgaPalette,
};

/** 320x200 in 16 colours, planar (mode 0Dh). */
export const MODE_320X200_PLANAR: VgaMode = {
  miscOutput: 0x63,
  sequencer: hex('03 09 0f 00 06'),
  crtc: hex('2d 27 28 90 2b 80 bf 1f 00 c0 00 00 00 00 00 00 9c 8e 8f 14 00 96 b9 e3 ff'),
  graphics: hex('00 00 00 00 00 00 05 0f ff'),
  attribute: hex(`${CGA_COLOURS} 01 00 0f 00 00`),
  palette: cgaPalette,
};

/** 640x480 in 16 colours, planar (mode 12h). */
export const MODE_640X480_PLANAR: VgaMode = {
  miscOutput: 0xe3,
  sequencer: hex('03 01 0f 00 06'),
  crtc: hex('5f 4f 50 82 54 80 0b 3e 00 40 00 00 00 00 00 00 ea 8c df 28 00 e7 04 e3 ff'),
  graphics: hex('00 00 00 00 00 00 05 0f ff'),
  attribute: hex(`${SIXTEEN_COLOURS} 01 00 0f 00 00`),
  palette: egaPalette,
};

/** 320x200 in 256 colours, a byte a dot (mode 13h). */
export const MODE_13H: VgaMode = {
  miscOutput: 0x63,
  sequencer: hex('03 01 0f 00 0e'),
  crtc: hex('5f 4f 50 82 54 80 bf 1f 00 41 00 00 00 00 00 00 9c 8e 8f 28 40 96 b9 a3 ff'),
  graphics: hex('00 00 00 00 00 40 05 0f ff'),
  attribute: hex(`${IDENTITY} 41 00 0f 00 00`),
  palette: mode13Palette,
};
