/**
 * Pictures of every kind of mode, compared with golden/*.png. To accept new pictures after looking at them:
 * TOMEI_UPDATE_GOLDEN=1 pnpm exec vitest run packages/paravirt-core/src/display
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ms } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { CODE_PAGE_437 } from './code-page-437.ts';
import {
  blankDisplayState,
  MAX_FRAME_DOTS,
  strideOf,
  type BitsPerPixel,
  type DisplayState,
  type DisplayView,
  type LinearMode,
} from './display-state.ts';
import { FONT_8X16 } from './font-8x16.ts';
import type { BlinkPhase, Frame } from './frame.ts';
import { mode13Palette } from './palette.ts';
import { decodePng, encodePng } from './png.ts';
import { blinkAt, renderFrame } from './render.ts';
import { textOf } from './text-screen.ts';
import { MODE_13H, MODE_320X200_PLANAR, MODE_640X480_PLANAR, MODE_CGA, MODE_TEXT, type VgaMode } from './vga-modes.ts';

const GOLDEN = fileURLToPath(new URL('golden/', import.meta.url));

const hashOf = ({ width, height, rgba }: Frame): string =>
  `${width}x${height} ${createHash('sha256').update(rgba).digest('hex')}`;

function expectGolden(name: string, frame: Frame): void {
  const path = join(GOLDEN, `${name}.png`);
  if (process.env['TOMEI_UPDATE_GOLDEN'] === '1') writeFileSync(path, encodePng(frame));
  const actual = join(tmpdir(), `${name}.actual.png`);
  const same = existsSync(path) && hashOf(decodePng(readFileSync(path))) === hashOf(frame);
  if (!same) writeFileSync(actual, encodePng(frame));
  expect(same, `the picture differs from ${path}; what was drawn is in ${actual}`).toBe(true);
}

type Changes = Partial<Record<'sequencer' | 'crtc' | 'graphics' | 'attribute', Readonly<Record<number, number>>>>;

/** The state after a mode was set and some registers were changed: group, index, value. */
function displayOf(mode: VgaMode, changes: Changes = {}): DisplayState {
  const state: DisplayState = {
    miscOutput: mode.miscOutput,
    sequencer: Uint8Array.from(mode.sequencer),
    crtc: Uint8Array.from(mode.crtc),
    graphics: Uint8Array.from(mode.graphics),
    attribute: Uint8Array.from(mode.attribute),
    paletteEnabled: true,
    pelMask: 0xff,
    palette: mode.palette(),
    linear: null,
  };
  for (const [group, values] of Object.entries(changes)) {
    for (const [index, value] of Object.entries(values)) state[group as keyof Changes][Number(index)] = value;
  }
  return state;
}

/** Video memory with the font in plane 2, from cell `font` on. */
function textMemory(font = 0, glyphs: Uint8Array = FONT_8X16): Uint8Array {
  const memory = new Uint8Array(1 << 18);
  for (let i = 0; i < glyphs.length; i++) memory[(font + (i >> 4) * 32 + (i & 15)) * 4 + 2] = glyphs[i]!;
  return memory;
}

function put(memory: Uint8Array, cell: number, text: string, attribute = 0x07): void {
  [...text].forEach((character, i) => {
    memory[(cell + i) * 4] = Math.max(0, CODE_PAGE_437.indexOf(character));
    memory[(cell + i) * 4 + 1] = attribute;
  });
}

/** A screen with all characters, all colours, a frame of lines and blinking text. */
function showcase(): Uint8Array {
  const memory = textMemory();
  put(memory, 0, ' '.repeat(80 * 25), 0x07);
  put(memory, 0, `╔${'═'.repeat(78)}╗`, 0x1b);
  for (let row = 1; row < 24; row++) {
    put(memory, row * 80, '║', 0x1b);
    put(memory, row * 80 + 79, '║', 0x1b);
  }
  put(memory, 24 * 80, `╚${'═'.repeat(78)}╝`, 0x1b);
  put(memory, 1 * 80 + 4, 'Tomei: text mode in sixteen colours', 0x0f);
  for (let code = 0; code < 256; code++)
    put(memory, (3 + (code >> 5)) * 80 + 4 + (code & 31), CODE_PAGE_437[code]!, 0x0e);
  for (let attribute = 0; attribute < 256; attribute++) {
    put(memory, (3 + (attribute >> 4)) * 80 + 42 + (attribute & 15) * 2, 'Aa', attribute);
  }
  const table = ['┌──────┬──────┐', '│ IRQ  │ line │', '├──────┼──────┤', '│ UART │    4 │', '└──────┴──────┘'];
  table.forEach((line, i) => put(memory, (13 + i) * 80 + 4, line, 0x0a));
  ['╒═══╤═══╕', '╞═══╪═══╡', '╘═══╧═══╛'].forEach((line, i) => put(memory, (13 + i) * 80 + 22, line, 0x0d));
  ['╓───╥───╖', '╟───╫───╢', '╙───╨───╜'].forEach((line, i) => put(memory, (16 + i) * 80 + 22, line, 0x0c));
  put(memory, 20 * 80 + 4, 'The quick brown fox jumps over the lazy dog. 0123456789', 0x07);
  put(memory, 21 * 80 + 4, '░░▒▒▓▓██ ▀▄▌▐ ■ This blinks: ', 0x03);
  put(memory, 21 * 80 + 33, 'BLINK', 0x8c);
  put(memory, 22 * 80 + 4, 'root@tomei:~# ', 0x0f);
  return memory;
}

const LIT: BlinkPhase = { cursor: true, text: true };
const DARK: BlinkPhase = { cursor: false, text: false };
const cursorAt = (cell: number, first: number, last: number): Record<number, number> => ({
  0x0a: first,
  0x0b: last,
  0x0e: cell >> 8,
  0x0f: cell & 0xff,
});

describe('text mode', () => {
  const crtc = cursorAt(22 * 80 + 18, 13, 14);

  it('draws characters, colours, lines and the cursor', () => {
    expectGolden('text', renderFrame({ display: displayOf(MODE_TEXT, { crtc }), memory: showcase() }, LIT));
  });

  it('leaves out what blinks in the dark phase', () => {
    expectGolden('text-dark', renderFrame({ display: displayOf(MODE_TEXT, { crtc }), memory: showcase() }, DARK));
  });

  it('shows sixteen backgrounds instead of blinking, and eight dots a character', () => {
    const display = displayOf(MODE_TEXT, { crtc, sequencer: { 1: 0x01 }, attribute: { 0x10: 0x04, 0x13: 0 } });

    const lit = renderFrame({ display, memory: showcase() }, LIT);

    expectGolden('text-eight-dots', lit);
    const dark = renderFrame({ display, memory: showcase() }, { cursor: true, text: false });
    expect(hashOf(dark)).toBe(hashOf(lit));
  });

  it('doubles the dots of 40 columns', () => {
    const display = displayOf(MODE_TEXT, { sequencer: { 1: 0x08 }, crtc: { 0x01: 39, 0x13: 20, 0x0a: 0x20 } });
    const memory = textMemory();
    put(memory, 0, '┌'.padEnd(39, '─') + '┐', 0x0b);
    put(memory, 42, 'Forty columns', 0x0e);

    expectGolden('text-forty', renderFrame({ display, memory }));
  });

  it('takes characters with attribute bit 3 from font A and the others from font B', () => {
    const upsideDown = FONT_8X16.map((_, i) => FONT_8X16[(i & ~15) + (15 - (i & 15))]!);
    const memory = textMemory(0, FONT_8X16);
    // Font 5 (A) lies at 24 KiB of plane 2: number 1 counts 16 KiB, bit 2 adds 8 KiB.
    const other = textMemory(0x6000, upsideDown);
    for (let at = 2; at < memory.length; at += 4) memory[at] = memory[at]! | other[at]!;
    put(memory, 0, 'Font B', 0x07);
    put(memory, 10, 'Font A', 0x0f);
    const display = displayOf(MODE_TEXT, {
      sequencer: { 3: 0b10_0100 },
      crtc: { 0x12: 31, 0x07: 0x1d, 0x01: 19, 0x0a: 0x20 },
    });

    expectGolden('text-two-fonts', renderFrame({ display, memory }));
  });

  it('scrolls smoothly and keeps the part below the line compare still', () => {
    // Starts at row 2, four scan lines down and three dots right; from line 320 on, row 0 of memory is shown.
    const scrolled = { 0x0c: 0, 0x0d: 160, 0x08: 4, 0x07: 0x1f, 0x09: 0x0f, 0x18: 319 - 256, 0x0a: 0x20 };
    const display = displayOf(MODE_TEXT, { crtc: scrolled, attribute: { 0x10: 0x2c, 0x13: 2 } });

    expectGolden('text-split', renderFrame({ display, memory: showcase() }));
  });

  it.each([
    ['a block', 0, 15, 16 * 9],
    ['two lines', 13, 14, 2 * 9],
    ['nothing when it ends before it starts', 14, 13, 0],
    ['nothing when it is off', 0x20, 15, 0],
  ])('draws the cursor as %s', (_what, first, last, dots) => {
    const display = displayOf(MODE_TEXT, { crtc: cursorAt(100, first, last) });
    const memory = textMemory();
    put(memory, 100, ' ');

    const { rgba } = renderFrame({ display, memory });

    expect(rgba.filter((value, i) => i % 4 === 0 && value !== 0).length).toBe(dots);
  });

  it('underlines colour 1 where the underline row lies in the cell', () => {
    const memory = textMemory();
    put(memory, 0, '   ', 0x01);
    const display = displayOf(MODE_TEXT, { crtc: { 0x14: 12, 0x0a: 0x20 } });

    const { rgba } = renderFrame({ display, memory });

    expect(rgba.filter((value, i) => i % 4 === 2 && value !== 0).length).toBe(27);
  });

  it('blinks the cursor 4.4 times a second and text half as often', () => {
    const changes = (of: (phase: BlinkPhase) => boolean): number => {
      let count = 0;
      for (let t = 1; t < 1000; t++) if (of(blinkAt(ms(t))) !== of(blinkAt(ms(t - 1)))) count++;
      return count;
    };

    expect([changes((p) => p.cursor), changes((p) => p.text)]).toEqual([8, 4]);
  });
});

describe('textOf', () => {
  it('gives the lines of the screen', () => {
    const lines = textOf({ display: displayOf(MODE_TEXT), memory: showcase() });

    expect(lines).toHaveLength(25);
    expect(lines[0]).toBe(`╔${'═'.repeat(78)}╗`);
    expect(lines[1]!.slice(0, 40)).toBe('║   Tomei: text mode in sixteen colours ');
    expect(lines[15]!.slice(4, 31)).toBe('├──────┼──────┤   ╘═══╧═══╛');
  });

  it('follows the start address and the split', () => {
    const display = displayOf(MODE_TEXT, { crtc: { 0x0d: 80, 0x09: 0x0f, 0x18: 319 - 256 } });

    const lines = textOf({ display, memory: showcase() });

    expect(lines[0]!.slice(4, 9)).toBe('Tomei');
    expect(lines).toHaveLength(25);
    expect(lines[20]).toMatch(/^╔═/);
  });

  it.each([
    ['40 columns', { crtc: { 0x01: 39, 0x13: 20 } }, 25, 40],
    ['50 lines', { crtc: { 0x09: 0x47 } }, 50, 80],
    ['28 lines and a part of one', { crtc: { 0x09: 0x4d } }, 29, 80],
    ['132 columns of 60 lines', { crtc: { 0x01: 131, 0x13: 66, 0x09: 0x47, 0x12: 0xdf, 0x07: 0x1f } }, 60, 132],
    ['lines of a screen that is wider than what is shown', { crtc: { 0x13: 64 } }, 25, 80],
    ['doubled scan lines', { crtc: { 0x09: 0xc7 } }, 25, 80],
  ] as const)('reads %s', (_what, changes, lines, columns) => {
    const display = displayOf(MODE_TEXT, changes);
    const memory = textMemory();
    const pitch = display.crtc[0x13]! * 2;
    for (let line = 0; line < lines; line++) put(memory, line * pitch, `${line}:`.padEnd(columns, '.'));

    const text = textOf({ display, memory });

    expect(text).toEqual(Array.from({ length: lines }, (_, line) => `${line}:`.padEnd(columns, '.')));
  });

  it('gives no lines in graphics modes', () => {
    expect(textOf({ display: displayOf(MODE_13H), memory: new Uint8Array(1 << 18) })).toEqual([]);
  });
});

describe('VGA graphics modes', () => {
  it('draws mode 13h: the palette as squares over a gradient', () => {
    const memory = new Uint8Array(1 << 18);
    for (let y = 0; y < 200; y++) {
      for (let x = 0; x < 320; x++) {
        const inPalette = x < 192 && y < 192;
        memory[y * 320 + x] = inPalette ? Math.floor(y / 12) * 16 + Math.floor(x / 12) : 16 + (((x + y) >> 2) % 16);
      }
    }

    expectGolden('mode-13h', renderFrame({ display: displayOf(MODE_13H), memory }));
  });

  /** Sixteen bars with a circle in inverse colours. */
  function bars(width: number, height: number): Uint8Array {
    const memory = new Uint8Array(1 << 19);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const inCircle = Math.hypot(x - width / 2, y - height / 2) < height / 3;
        const colour = Math.floor((x * 16) / width) ^ (inCircle ? 0xf : 0);
        const at = (y * (width / 8) + (x >> 3)) * 4;
        for (let plane = 0; plane < 4; plane++) {
          memory[at + plane] = memory[at + plane]! | (((colour >> plane) & 1) << (7 - (x & 7)));
        }
      }
    }
    return memory;
  }

  it.each([
    ['planar-320x200', MODE_320X200_PLANAR, 320, 200],
    ['planar-640x480', MODE_640X480_PLANAR, 640, 480],
  ])('draws %s', (name, mode, width, height) => {
    expectGolden(name, renderFrame({ display: displayOf(mode), memory: bars(width, height) }));
  });

  it('draws the same planes when the display interface sets the size', () => {
    const [width, height] = [640, 480];
    const linear: LinearMode = { width, height, bitsPerPixel: 4, virtualWidth: width, xOffset: 0, yOffset: 0 };

    const frame = renderFrame({ display: { ...displayOf(MODE_TEXT), linear }, memory: bars(width, height) });

    expectGolden('planar-640x480', frame);
  });

  it('draws CGA graphics from two banks', () => {
    const memory = new Uint8Array(1 << 18);
    for (let y = 0; y < 200; y++) {
      for (let x = 0; x < 320; x++) {
        const colour = (Math.floor(x / 20) + Math.floor(y / 20)) & 3;
        // Byte y / 2 * 80 + x / 4 of the bank of even or odd lines; pairs of bytes share a cell.
        const byte = (y & 1) * 0x2000 + (y >> 1) * 80 + (x >> 2);
        const at = (byte >> 1) * 4 + (byte & 1);
        memory[at] = memory[at]! | (colour << (6 - 2 * (x & 3)));
      }
    }

    expectGolden('cga', renderFrame({ display: displayOf(MODE_CGA), memory }));
  });

  it('draws CGA graphics in two colours, twice as many dots', () => {
    const memory = new Uint8Array(1 << 18);
    for (let y = 0; y < 200; y++) {
      for (let x = 0; x < 640; x++) {
        const lit = Math.hypot(x / 2 - 160, y - 100) % 20 < 8 ? 1 : 0;
        // A plane of its own: byte y / 2 * 80 + x / 8 of the bank of even or odd lines.
        const at = ((y & 1) * 0x2000 + (y >> 1) * 80 + (x >> 3)) * 4;
        memory[at] = memory[at]! | (lit << (7 - (x & 7)));
      }
    }
    const display = displayOf(MODE_CGA, {
      sequencer: { 1: 0x01 },
      crtc: { 0x01: 0x4f, 0x13: 0x28, 0x17: 0xc2 },
      graphics: { 5: 0, 6: 0x0d },
      attribute: { 1: 0x17, 0x12: 0x01 },
    });

    expectGolden('cga-two-colours', renderFrame({ display, memory }));
  });

  it('draws 256 colours in planes, in 240 lines', () => {
    const memory = new Uint8Array(1 << 19);
    // Dot x lies in plane x & 3 of cell x / 4: four dots are one cell, as with chain 4.
    for (let y = 0; y < 240; y++)
      for (let x = 0; x < 320; x++) memory[y * 320 + x] = 32 + Math.floor(x / 13.4) + 24 * Math.floor(y / 27);
    const display = displayOf(MODE_13H, {
      sequencer: { 4: 0x06 },
      crtc: { 0x06: 0x0d, 0x07: 0x3e, 0x10: 0xea, 0x12: 0xdf, 0x14: 0, 0x15: 0xe7, 0x16: 0x06, 0x17: 0xe3 },
    });

    expectGolden('mode-x', renderFrame({ display, memory }));
  });

  it('scrolls, pans and splits planes, and shows some of them only', () => {
    // From line 300 on, the screen shows what lies at 0; above it, what lies 50 lines and 13 dots on, in three planes.
    const display = displayOf(MODE_640X480_PLANAR, {
      crtc: { 0x0c: (50 * 80 + 1) >> 8, 0x0d: (50 * 80 + 1) & 0xff, 0x18: 299 & 0xff, 0x07: 0x3e, 0x09: 0x00 },
      attribute: { 0x10: 0x21, 0x12: 0x0b, 0x13: 5 },
    });

    expectGolden('planar-split', renderFrame({ display, memory: bars(640, 480) }));
  });

  it('doubles each line again in modes of 200 lines, and masks what goes to the DAC', () => {
    const memory = new Uint8Array(1 << 18).map((_, i) => (i >> 3) + Math.floor(i / 320 / 8) * 16);
    const display = { ...displayOf(MODE_13H, { crtc: { 0x09: 0xc1 } }), pelMask: 0x0f };

    const { width, height, rgba } = renderFrame({ display, memory });

    expect([width, height]).toEqual([640, 400]);
    const row = (y: number): string => Buffer.from(rgba.subarray(y * width * 4, (y + 1) * width * 4)).toString('hex');
    expect([row(1), row(2), row(3)]).toEqual([row(0), row(0), row(0)]);
    expect(new Set(new Uint32Array(rgba.buffer)).size).toBe(16);
  });

  it('pans by single dots', () => {
    const memory = new Uint8Array(1 << 18);
    memory[0] = 0b0001_0000;
    const lit = (panning: number): number => {
      const { rgba } = renderFrame({
        display: displayOf(MODE_640X480_PLANAR, { attribute: { 0x13: panning } }),
        memory,
      });
      return rgba.findIndex((value, i) => i % 4 === 2 && value !== 0) >> 2;
    };

    expect([lit(0), lit(1), lit(3)]).toEqual([3, 2, 0]);
  });
});

describe('linear modes', () => {
  const [width, height] = [96, 64];

  /** A colour circle with a grey border, as red, green and blue of 0..255. */
  function dot(x: number, y: number): [number, number, number] {
    if (x < 4 || y < 4 || x >= width - 4 || y >= height - 4) return [x * 2, x * 2, x * 2];
    return [Math.floor((x * 255) / width), Math.floor((y * 255) / height), 255 - Math.floor((x * 255) / width)];
  }
  const encode: Record<Exclude<BitsPerPixel, 4>, (x: number, y: number) => number> = {
    8: (x, y) => (32 + (x >> 2) + (y >> 3) * 24) & 0xff,
    15: (x, y) => pack(dot(x, y), 5, 5, 5),
    16: (x, y) => pack(dot(x, y), 5, 6, 5),
    24: (x, y) => pack(dot(x, y), 8, 8, 8),
    32: (x, y) => pack(dot(x, y), 8, 8, 8),
  };
  const pack = ([r, g, b]: [number, number, number], rs: number, gs: number, bs: number): number =>
    ((r >> (8 - rs)) << (gs + bs)) | ((g >> (8 - gs)) << bs) | (b >> (8 - bs));

  function view(bitsPerPixel: Exclude<BitsPerPixel, 4>, changes: Partial<LinearMode> = {}): DisplayView {
    const linear: LinearMode = { width, height, bitsPerPixel, virtualWidth: width, xOffset: 0, yOffset: 0, ...changes };
    const memory = new Uint8Array(1 << 18);
    const stride = strideOf(bitsPerPixel, linear.virtualWidth);
    const bytes = Math.ceil(bitsPerPixel / 8);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = (y + linear.yOffset) * stride + (x + linear.xOffset) * bytes;
        const value = encode[bitsPerPixel](x, y);
        for (let i = 0; i < bytes; i++) memory[at + i] = value >> (8 * i);
      }
    }
    return { display: { ...blankDisplayState(), paletteEnabled: true, palette: mode13Palette(), linear }, memory };
  }

  it.each([8, 15, 16, 24, 32] as const)('draws %i bits', (bits) => {
    expectGolden(`linear-${bits}`, renderFrame(view(bits)));
  });

  it.each([8, 15, 16, 24, 32] as const)('draws the same %i bits out of a larger virtual screen', (bits) => {
    expectGolden(`linear-${bits}`, renderFrame(view(bits, { virtualWidth: 131, xOffset: 7, yOffset: 9 })));
  });

  it('is black where video memory ends', () => {
    const { display } = view(32);

    const { rgba } = renderFrame({ display, memory: new Uint8Array(1000).fill(0x55) });

    expect([...rgba.subarray(996, 1004)]).toEqual([0x55, 0x55, 0x55, 255, 0, 0, 0, 255]);
  });
});

describe('the screen', () => {
  it('is black while it is off', () => {
    const memory = showcase();
    const off = [
      displayOf(MODE_TEXT, { sequencer: { 1: 0x20 } }),
      { ...displayOf(MODE_TEXT), paletteEnabled: false },
      blankDisplayState(),
    ];

    for (const display of off) {
      const { width, height, rgba } = renderFrame({ display, memory });
      expect([width, height]).toEqual([720, 400]);
      expect(rgba.every((value, i) => value === (i % 4 === 3 ? 255 : 0))).toBe(true);
    }
  });

  it.each([7, 77, 777])('never throws, whatever registers and memory hold (seed %i)', (start) => {
    let seed = start;
    const random = (limit: number): number => (seed = (Math.imul(seed, 48_271) >>> 0) % 0x7fff_ffff) % limit;
    const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => random(256));
    const pick = (...limits: readonly number[]): number => limits[random(limits.length)]!;
    for (let round = 0; round < 30; round++) {
      const display: DisplayState = {
        miscOutput: random(256),
        sequencer: bytes(5).map((value, i) => (i === 1 ? value & ~0x20 : value)),
        crtc: bytes(25),
        graphics: bytes(9),
        attribute: bytes(21),
        paletteEnabled: true,
        pelMask: random(256),
        palette: bytes(768),
        linear:
          round % 3 === 0
            ? {
                width: random(pick(64, 2000, 65_536)),
                height: random(pick(64, 2000, 65_536)),
                bitsPerPixel: ([4, 8, 15, 16, 24, 32] as const)[random(6)]!,
                virtualWidth: random(65_536),
                xOffset: random(65_536),
                yOffset: random(65_536),
              }
            : null,
      };
      const memory = bytes([0, 1000, 1 << 16][random(3)]!);

      const { width, height, rgba } = renderFrame({ display, memory });
      expect(rgba.length).toBe(width * height * 4);
      expect(rgba.length).toBeLessThanOrEqual(MAX_FRAME_DOTS * 4);
      textOf({ display, memory });
    }
  });
});
