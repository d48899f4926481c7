/**
 * QEMU's VGA and ours, driven alike by QEMU's qtest protocol, so that no firmware chooses what is tried: random walks through
 * the graphics controller's writes and reads, and pictures of registers set in ways that no BIOS mode has.
 * Debian package: qemu-system-x86.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ManualClock } from '@tomei/kit';
import { qemuMissing } from '@tomei/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frame } from '../display/frame.ts';
import { renderFrame } from '../display/render.ts';
import {
  MODE_13H,
  MODE_320X200_PLANAR,
  MODE_640X480_PLANAR,
  MODE_CGA,
  MODE_TEXT,
  type VgaMode,
} from '../display/vga-modes.ts';
import { seededRandom } from '../machine/battery.ts';
import { backend, Board } from '../machine/board.ts';
import type { Width } from '../machine/device.ts';
import { QemuScreen, worstDifference } from './vga-pictures.ts';
import { vga, videoMemoryBackend } from './vga.ts';

const VIDEO_BYTES = 1 << 24;
const [ATTRIBUTE, MISC, SEQUENCER, DAC_WRITE, DAC, GRAPHICS, CRTC, STATUS] = [
  0x3c0, 0x3c2, 0x3c4, 0x3c8, 0x3c9, 0x3ce, 0x3d4, 0x3da,
];
const WINDOW = 0xa_0000;
/** Where the first PCI slot for cards has its BAR 0, on our board without firmware. */
const FRAMEBUFFER = 0xe000_0000;
/** QEMU widens five and six bits of a colour in another way. */
const ROUNDING = 7;

/** One access. */
type Step =
  | { readonly kind: 'out'; readonly port: number; readonly width: Width; readonly value: number }
  | { readonly kind: 'in'; readonly port: number; readonly width: Width }
  | { readonly kind: 'write'; readonly address: number; readonly width: Width; readonly value: number }
  | { readonly kind: 'read'; readonly address: number; readonly width: Width }
  | { readonly kind: 'block'; readonly address: number; readonly bytes: Uint8Array };

const out = (port: number, value: number, width: Width = 1): Step => ({ kind: 'out', port, width, value });
const input = (port: number, width: Width = 1): Step => ({ kind: 'in', port, width });
const write = (address: number, value: number, width: Width = 1): Step => ({ kind: 'write', address, width, value });
const read = (address: number, width: Width = 1): Step => ({ kind: 'read', address, width });
/** An indexed register. */
const set = (port: number, index: number, value: number): Step => out(port, index | (value << 8), 2);
const attribute = (index: number, value: number): Step[] => [
  input(STATUS),
  out(ATTRIBUTE, index),
  out(ATTRIBUTE, value),
  input(STATUS),
  out(ATTRIBUTE, 0x20),
];
const dispi = (index: number, value: number): Step[] => [out(0x1ce, index, 2), out(0x1cf, value, 2)];

function modeSteps(mode: VgaMode): Step[] {
  return [
    out(MISC, mode.miscOutput),
    ...mode.sequencer.map((value, i) => set(SEQUENCER, i, value)),
    set(CRTC, 0x11, 0),
    ...mode.crtc.map((value, i) => set(CRTC, i, value)),
    ...mode.graphics.map((value, i) => set(GRAPHICS, i, value)),
    ...mode.attribute.flatMap((value, i) => attribute(i, value)),
    out(0x3c6, 0xff),
    out(DAC_WRITE, 0),
    ...[...mode.palette()].map((part) => out(DAC, part >> 2)),
  ];
}

interface Side {
  /** Answers of the `in` and `read` steps, in order. */
  run(steps: readonly Step[]): Promise<number[]>;
  picture(): Promise<Frame>;
}

const LETTER = { 1: 'b', 2: 'w', 4: 'l' } as const;
const hex = (n: number): string => `0x${n.toString(16)}`;
function line(step: Step): string {
  if (step.kind === 'block')
    return `write ${hex(step.address)} ${hex(step.bytes.length)} 0x${Buffer.from(step.bytes).toString('hex')}`;
  const letter = LETTER[step.width];
  switch (step.kind) {
    case 'out':
      return `out${letter} ${hex(step.port)} ${hex(step.value)}`;
    case 'in':
      return `in${letter} ${hex(step.port)}`;
    case 'write':
      return `write${letter} ${hex(step.address)} ${hex(step.value)}`;
    case 'read':
      return `read${letter} ${hex(step.address)}`;
  }
}

/** QEMU without a running processor. */
class Theirs implements Side {
  private readonly screen = new QemuScreen();
  private readonly qemu: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;

  constructor() {
    this.qemu = spawn(
      'qemu-system-i386',
      [
        ...['-machine', 'pc', '-S', '-nodefaults', '-display', 'none', '-m', '16', '-vga', 'std'],
        ...this.screen.arguments,
        ...['-qtest', 'stdio', '-qtest-log', 'none'],
      ],
      { stdio: 'pipe' },
    );
    this.answers = createInterface({ input: this.qemu.stdout })[Symbol.asyncIterator]();
  }

  async run(steps: readonly Step[]): Promise<number[]> {
    this.qemu.stdin.write(steps.map((step) => line(step) + '\n').join(''));
    const results: number[] = [];
    for (const step of steps) {
      let answer: string;
      do answer = (await this.answers.next()).value as string;
      while (!answer.startsWith('OK'));
      if (step.kind === 'in' || step.kind === 'read') results.push(Number(answer.split(' ')[1]));
    }
    return results;
  }

  picture(): Promise<Frame> {
    return this.screen.picture();
  }
  stop(): void {
    this.screen.stop();
    this.qemu.kill('SIGKILL');
  }
}

/** Our board with nothing but a VGA. */
class Ours implements Side {
  readonly memory = new Uint8Array(VIDEO_BYTES);
  private readonly board = new Board({ ram: new Uint8Array(16), clock: new ManualClock() });
  private readonly device = this.board.add(
    vga,
    {},
    { backends: [backend(videoMemoryBackend, { bytes: this.memory, size: VIDEO_BYTES })] },
  );
  constructor() {
    this.board.reset();
  }
  run(steps: readonly Step[]): Promise<number[]> {
    const { board } = this;
    const answers = steps.flatMap((step) => {
      switch (step.kind) {
        case 'out':
          board.portWrite(step.port, step.width, step.value);
          return [];
        case 'in':
          return [board.portRead(step.port, step.width)];
        case 'write':
          board.memoryWrite(step.address, step.width, step.value);
          return [];
        case 'block':
          // The board leaves mapped memory to the machine.
          if (step.address >= FRAMEBUFFER) this.memory.set(step.bytes, step.address - FRAMEBUFFER);
          else step.bytes.forEach((byte, i) => board.memoryWrite(step.address + i, 1, byte));
          return [];
        case 'read':
          return [board.memoryRead(step.address, step.width)];
      }
    });
    return Promise.resolve(answers);
  }
  picture(): Promise<Frame> {
    return Promise.resolve(renderFrame({ display: this.device.parts.display(), memory: this.memory }));
  }
}

const SEED = 20_26;
const random = seededRandom(SEED);
const pick = <T>(...items: readonly T[]): T => items[random.next(items.length)]!;
const WIDTHS = [1, 2, 4] as const;

/** Reads and writes within a few cells, so that latches and masks meet what was written before. */
const touch = (base: number, bytes: number): Step[] => {
  const width = pick(...WIDTHS);
  const address = base + random.next(bytes / width) * width;
  return pick([write(address, random.next(2 ** (8 * width)), width)], [read(address, width)], [read(address)]);
};
const walk = (count: number, ...kinds: readonly (() => Step[])[]): Step[] =>
  Array.from({ length: count }, () => pick(...kinds)()).flat();
/** All planes of the first cells, one by one. */
const planesOf = (bytes: number): Step[] => [
  set(GRAPHICS, 5, 0),
  ...[0, 1, 2, 3].flatMap((plane) => [
    set(GRAPHICS, 4, plane),
    ...Array.from({ length: bytes / 4 }, (_, i) => read(WINDOW + i * 4, 4)),
  ]),
];

const unchained: Step[] = [
  ...modeSteps(MODE_13H),
  set(SEQUENCER, 4, 0x06),
  set(CRTC, 0x14, 0x00),
  set(CRTC, 0x17, 0xe3),
];
const touches = (base: number, bytes: number) => (): Step[] => touch(base, bytes);

const block = (address: number, bytes: Uint8Array): Step => ({ kind: 'block', address, bytes });
/** Bytes that show where they are. */
const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => pick(0, 0xff, random.next(256)));
/** Fills each plane with something else. */
const fillPlanes: Step[] = [
  set(GRAPHICS, 1, 0),
  set(GRAPHICS, 3, 0),
  set(GRAPHICS, 5, 0),
  set(GRAPHICS, 8, 0xff),
  set(SEQUENCER, 4, 6),
  ...[0, 1, 2, 3].flatMap((plane) => [set(SEQUENCER, 2, 1 << plane), block(WINDOW, noise(0x1_0000))]),
  set(SEQUENCER, 2, 15),
];
const colours = (): Step[] => [out(DAC_WRITE, 0), ...Array.from({ length: 768 }, () => out(DAC, random.next(64)))];
/** Ten bits of line compare: 8 lies in the overflow register, 9 in the maximum scan line register. */
function lineCompare(mode: VgaMode, at: number): Step[] {
  const maximum = (mode.crtc[9]! & ~0x40) | ((at & 0x200) >> 3);
  return [
    set(CRTC, 0x18, at & 0xff),
    set(CRTC, 7, (mode.crtc[7]! & ~0x10) | ((at & 0x100) >> 4)),
    set(CRTC, 9, maximum),
  ];
}
const startAt = (cell: number): Step[] => [set(CRTC, 0x0c, cell >> 8), set(CRTC, 0x0d, cell & 0xff)];
/** QEMU applies the plane enable register only where one dot takes one bit of each plane. */
const attributes = (enable = 15): Step[] => [
  ...attribute(0x12, enable),
  ...attribute(0x14, random.next(16)),
  ...Array.from({ length: 4 }, () => attribute(random.next(16), random.next(64))).flat(),
];
const someMode = (mode: VgaMode, height: number): Step[] => [
  ...fillPlanes,
  ...modeSteps(mode),
  ...colours(),
  // QEMU goes on into the memory behind the planes where a VGA starts over.
  ...startAt(random.next(0x4000)),
  set(CRTC, 0x13, mode.crtc[0x13]! + pick(0, 0, random.next(40))),
  // QEMU does not start the row of dots anew at the split, so it comes between rows.
  ...lineCompare(mode, pick(0x3ff, random.next(height / 4) * 4 + 3)),
];

/** 80 or 40 columns of random characters in colours without blinking, two fonts, rows of 2 to 32 scan lines. */
function text(): Step[] {
  const cells = Uint8Array.from({ length: 0x8000 }, (_, i) => {
    const byte = random.next(256);
    // QEMU repeats the eighth dot of B0..BF, too.
    return i & 1 || byte >> 4 !== 0xb ? byte : byte ^ 0x20;
  });
  // 32 rows would underline colour 1, which QEMU does not know.
  const height = pick(16, 8, 14, 2 + random.next(29));
  const rows = Math.floor(400 / height);
  const first = random.next(height);
  return [
    ...fillPlanes,
    ...modeSteps(MODE_TEXT),
    ...colours(),
    ...attributes(),
    ...attribute(0x10, pick(0x00, 0x04)),
    ...attribute(0x13, 8),
    set(SEQUENCER, 3, random.next(64)),
    set(CRTC, 9, 0x40 | (height - 1)),
    set(CRTC, 0x12, (rows * height - 1) & 0xff),
    set(CRTC, 0x13, pick(40, 40, 60)),
    ...startAt(random.next(200)),
    set(CRTC, 0x0a, first),
    set(CRTC, 0x0b, pick(first + random.next(height - first), random.next(32))),
    set(CRTC, 0x0e, 0),
    set(CRTC, 0x0f, 200 + random.next(56)),
    block(0xb_8000, cells),
  ];
}

/** A mode of the display interface with noise in memory, seen through an offset. */
function linear(): Step[] {
  const depth = pick(4, 8, 8, 15, 16, 24, 32);
  const [width, height] = [8 * (1 + random.next(100)), 1 + random.next(600)];
  const virtual = width + 8 * random.next(20);
  const bytes = Math.ceil(depth / 8);
  return [
    ...modeSteps(MODE_640X480_PLANAR),
    ...dispi(4, 0),
    ...dispi(1, width),
    ...dispi(2, height),
    ...dispi(3, depth),
    ...dispi(4, pick(0x41, 0x01, 0x61)),
    ...dispi(6, virtual),
    // QEMU starts at multiples of four bytes.
    ...dispi(8, 8 * random.next((virtual - width) / 8 + 1)),
    ...dispi(9, random.next(100)),
    // The DAC takes eight bits in one of the ways to turn the mode on.
    ...colours(),
    ...(depth === 4 ? [...attribute(0x10, 0x01), ...attributes()] : attribute(0x10, 0x41)),
    ...[1, 5, 6, 8, 9].flatMap((register) => [out(0x1ce, register, 2), input(0x1cf, 2)]),
    block(FRAMEBUFFER, noise(Math.min(VIDEO_BYTES, virtual * (height + 100) * bytes))),
  ];
}

/** Programs that end with something on the screen, made anew in each round. */
const PICTURES: Readonly<Record<string, () => Step[]>> = {
  '320x200 and 640x480 in planes, scrolled, split, recoloured': () => {
    const mode = pick(MODE_320X200_PLANAR, MODE_640X480_PLANAR);
    return [
      ...someMode(mode, mode === MODE_640X480_PLANAR ? 480 : 400),
      ...attribute(0x10, pick(0x01, 0x81)),
      ...attributes(pick(15, random.next(16))),
    ];
  },
  '256 colours in chain 4, scrolled and split': () => someMode(MODE_13H, 400),
  '256 colours in planes, 320x240 and others': () => {
    const mode: VgaMode = {
      ...MODE_13H,
      miscOutput: 0xe3,
      sequencer: [3, 1, 15, 0, 6],
      crtc: MODE_13H.crtc.map(
        (value, i) =>
          ({
            6: 0x0d,
            7: 0x3e,
            9: pick(0x41, 0x40),
            0x10: 0xea,
            0x11: 0,
            0x12: 0xdf,
            0x14: 0,
            0x15: 0xe7,
            0x16: 6,
            0x17: 0xe3,
          })[i] ?? value,
      ),
    };
    return someMode({ ...mode, crtc: mode.crtc.map((value, i) => (i === 1 ? pick(0x4f, 0x59, 0x3f) : value)) }, 480);
  },
  'CGA graphics in four and two colours': () => [
    ...fillPlanes,
    ...modeSteps(MODE_CGA),
    ...pick(
      [],
      [
        set(CRTC, 0x17, 0xc2),
        set(SEQUENCER, 1, 1),
        set(CRTC, 1, 0x4f),
        set(CRTC, 0x13, 0x28),
        set(GRAPHICS, 5, 0),
        set(GRAPHICS, 6, 0x0d),
        set(SEQUENCER, 4, 6),
      ],
    ),
    ...colours(),
    ...attributes(),
    // Neither bank runs into the other.
    ...startAt(random.next(24) * 2),
  ],
  'text with all kinds of cells, fonts and cursors': text,
  'the display interface in all depths': linear,
};

const missing = qemuMissing();
describe.skipIf(missing !== undefined)(
  `QEMU's VGA and ours, seed ${SEED}${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let theirs: Theirs, ours: Ours;
    beforeAll(() => {
      ours = new Ours();
      theirs = new Theirs();
      return theirs.run([
        ...[out(0xcf8, 0x8000_1010, 4), out(0xcfc, FRAMEBUFFER, 4), out(0xcf8, 0x8000_1004, 4), out(0xcfc, 3, 2)],
      ]);
    });
    afterAll(() => theirs.stop());

    it.each<[string, Step[]]>([
      [
        'planes: every write and read mode, rotation, function, masks and set/reset',
        [
          ...modeSteps(MODE_640X480_PLANAR),
          ...walk(
            3000,
            touches(WINDOW, 64),
            touches(WINDOW, 64),
            () => [set(GRAPHICS, pick(0, 1, 2, 4, 7), random.next(16))],
            () => [set(GRAPHICS, 3, random.next(32))],
            () => [set(GRAPHICS, 5, pick(0, 1, 2, 3, 8, 9, 10, 11))],
            () => [set(GRAPHICS, 8, pick(0, 0xff, random.next(256)))],
            () => [set(SEQUENCER, 2, random.next(16))],
          ),
          ...planesOf(64),
        ],
      ],
      [
        'chain 4 with its map mask',
        [
          ...modeSteps(MODE_13H),
          ...walk(500, touches(WINDOW + 0xff80, 128), () => [set(SEQUENCER, 2, pick(15, random.next(16)))]),
        ],
      ],
      [
        'planes without chain 4',
        [
          ...unchained,
          ...walk(
            500,
            touches(WINDOW, 64),
            () => [set(SEQUENCER, 2, random.next(16))],
            () => [set(GRAPHICS, 4, random.next(4))],
          ),
        ],
      ],
      [
        'odd and even in text modes',
        [...modeSteps(MODE_TEXT), ...walk(500, touches(0xb_8000, 64), touches(0xb_0000, 64), touches(WINDOW, 64))],
      ],
      [
        'registers in and out',
        [
          ...modeSteps(MODE_TEXT),
          ...walk(
            1500,
            () => {
              const port = pick(SEQUENCER, GRAPHICS, CRTC);
              const index = random.next(port === CRTC ? 25 : port === SEQUENCER ? 5 : 9);
              return [set(port, index, random.next(256)), input(port + 1)];
            },
            () => {
              const index = random.next(21);
              return [
                input(STATUS),
                out(ATTRIBUTE, index),
                out(ATTRIBUTE, random.next(256)),
                input(ATTRIBUTE + 1),
                input(ATTRIBUTE),
              ];
            },
            () => [out(pick(0x3c7, 0x3c8), random.next(256)), input(0x3c7), input(0x3c8)],
            () => [out(DAC, random.next(64))],
            () => [input(DAC)],
          ),
        ],
      ],
    ])('answer alike: %s', async (_name, steps) => {
      const compared = steps.filter((step) => step.kind === 'in' || step.kind === 'read');
      const [a, b] = await Promise.all([ours.run(steps), theirs.run(steps)]);

      const differences = a.flatMap((value, i) =>
        (compared[i]!.kind === 'in' && (compared[i] as { port: number }).port === STATUS) || value === b[i]
          ? []
          : [`${i} ${line(compared[i]!)}: ${hex(value)}, not ${hex(b[i]!)}`],
      );
      expect(differences).toEqual([]);
      // A window that floats, or a QEMU that says nothing, would agree as well.
      expect(new Set(b).size).toBeGreaterThan(30);
    });

    it.each(Object.entries(PICTURES))('show the same picture: %s', async (_name, make) => {
      for (let round = 0; round < 12; round++) {
        const steps = make();
        await Promise.all([ours.run(steps), theirs.run(steps)]);
        const [a, b] = await Promise.all([ours.picture(), theirs.picture()]);
        const what = `round ${round}, after ${steps
          .filter((s) => s.kind !== 'block' && !(s.kind === 'out' && s.port === DAC))
          .slice(-60)
          .map(line)
          .join('; ')}`;
        expect([a.width, a.height], what).toEqual([b.width, b.height]);
        const worst = worstDifference(a, b);
        expect(worst, what).toBeLessThanOrEqual(ROUNDING);
        expect(new Set(new Uint32Array(a.rgba.buffer)).size, what).toBeGreaterThan(1);
      }
    });
  },
);
