/**
 * What the monitor on the VGA's cable says of itself: an EDID base block (VESA E-EDID 1.4, section 3). Linux's bochs-drm takes
 * its preferred mode from here.
 */

const EDID_BYTES = 128;
/** Three letters of five bits, A = 1 (3.4.1). */
const MANUFACTURER = 'TMI';
const YEAR_FROM = 1990;
/** Digital, eight bits a colour, no particular interface (3.6.1). */
const VIDEO_INPUT = 0xa0;
/** 2.2, in hundredths above 1 (3.6.3). */
const GAMMA = 120;
/** sRGB is the default colour space; the first timing is the native one (3.6.4). */
const FEATURES = 0x06;
/** x and y of red, green, blue and white of sRGB (3.7). */
const CHROMATICITY = [0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329] as const;
/** 720x400 at 70 Hz, 640x480 and 800x600 at 60; 1024x768 at 60 (3.8). */
const ESTABLISHED = [0xa1, 0x08, 0x00] as const;
/** Width, and aspect ratio: 0 is 16:10, 1 is 4:3, 2 is 5:4, 3 is 16:9; all at 60 Hz (3.9). */
const STANDARD = [
  [1280, 2],
  [1600, 1],
  [1280, 3],
  [1920, 3],
  [1440, 0],
  [1680, 0],
  [1920, 0],
] as const;
const UNUSED_TIMING = [0x01, 0x01] as const;
const ASPECT_SHIFT = 6;

interface Extent {
  readonly shown: number;
  readonly blank: number;
  readonly front: number;
  readonly pulse: number;
  readonly size: number;
}
interface Timing {
  readonly clock: number;
  readonly across: Extent;
  readonly down: Extent;
}

/** 1024x768 at 60 Hz (VESA DMT, 10h): clock in 10 kHz; dots and lines shown, blank, before the pulse, and in it; millimetres. */
const PREFERRED: Timing = {
  clock: 6500,
  across: { shown: 1024, blank: 320, front: 24, pulse: 136, size: 260 },
  down: { shown: 768, blank: 38, front: 3, pulse: 6, size: 195 },
};
/** Separate digital pulses, both negative (3.10.2). */
const NEGATIVE_PULSES = 0x18;

/** Display descriptors (3.10.3). */
const RANGE_LIMITS = 0xfd;
const NAME = 0xfc;
const DUMMY = 0x10;
/** Vertical 50..125 Hz, horizontal 30..160 kHz, 2550 MHz at most, no formula (3.10.3.3). */
const LIMITS = [50, 125, 30, 160, 255, 0x01, 0x0a] as const;

const centimetres = (millimetres: number): number => Math.round(millimetres / 10);

/** The low bytes of two lengths, and their bits 8..11 in one byte, the first higher. */
const pair = (a: number, b: number): number[] => [a & 0xff, b & 0xff, ((a >> 8) << 4) | (b >> 8)];

const MILLIMETRES_PER_INCH = 25.4;
/** A monitor of another size, at 60 Hz and 96 dots an inch, with blanks as VESA CVT's reduced ones (CVT 1.2, 3.4). */
function timingOf(width: number, height: number): Timing {
  const extent = (shown: number, blank: number, front: number, pulse: number): Extent => ({
    ...{ shown, blank, front, pulse },
    size: Math.round((shown / 96) * MILLIMETRES_PER_INCH),
  });
  const [across, down] = [extent(width, 160, 48, 32), extent(height, 30, 3, 6)];
  const clock = Math.round(((across.shown + across.blank) * (down.shown + down.blank) * 60) / 10_000);
  return { clock, across, down };
}

function preferredTiming({ clock, across, down }: Timing): number[] {
  return [
    clock & 0xff,
    clock >> 8,
    ...pair(across.shown, across.blank),
    ...pair(down.shown, down.blank),
    across.front & 0xff,
    across.pulse & 0xff,
    ((down.front & 0xf) << 4) | (down.pulse & 0xf),
    ((across.front >> 8) << 6) | ((across.pulse >> 8) << 4) | ((down.front >> 4) << 2) | (down.pulse >> 4),
    ...pair(across.size, down.size),
    0,
    0,
    NEGATIVE_PULSES,
  ];
}

function chromaticity(): number[] {
  const bits = CHROMATICITY.map((value) => Math.round(value * 1024));
  const low = (from: number): number =>
    bits.slice(from, from + 4).reduce((byte, value) => (byte << 2) | (value & 3), 0);
  return [low(0), low(4), ...bits.map((value) => value >> 2)];
}

/** A descriptor of eighteen bytes: its kind, and up to thirteen bytes padded with blanks. */
const descriptor = (kind: number, data: readonly number[], pad = 0x20): number[] => [
  ...[0, 0, 0, kind, 0],
  ...Array.from({ length: 13 }, (_, i) => data[i] ?? pad),
];

const ascii = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));

/** The block, with its checksum, of a monitor that prefers this size, in dots: at most 4095 each. */
export function edid(width = PREFERRED.across.shown, height = PREFERRED.down.shown): Uint8Array {
  const isUsual = width === PREFERRED.across.shown && height === PREFERRED.down.shown;
  const preferred = isUsual ? PREFERRED : timingOf(width, height);
  const letters = ascii(MANUFACTURER).reduce((word, letter) => (word << 5) | (letter - 0x40), 0);
  const block = Uint8Array.from([
    ...[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
    letters >> 8,
    letters & 0xff,
    // Product and serial number; the model year in place of a week.
    ...[1, 0, 0, 0, 0, 0, 0xff, 2025 - YEAR_FROM],
    ...[1, 4],
    VIDEO_INPUT,
    centimetres(preferred.across.size),
    centimetres(preferred.down.size),
    GAMMA,
    FEATURES,
    ...chromaticity(),
    ...ESTABLISHED,
    ...STANDARD.flatMap(([width, aspect]) => [width / 8 - 31, aspect << ASPECT_SHIFT]),
    ...UNUSED_TIMING,
    ...preferredTiming(preferred),
    ...descriptor(NAME, ascii('Tomei\n')),
    ...descriptor(RANGE_LIMITS, LIMITS),
    ...descriptor(DUMMY, [], 0),
    0,
    0,
  ]);
  block[EDID_BYTES - 1] = -block.reduce((sum, byte) => sum + byte, 0);
  return block;
}
