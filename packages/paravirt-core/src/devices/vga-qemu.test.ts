/**
 * The same screens from QEMU's VGA and ours. SeaBIOS sets a mode and a boot sector draws; every register access that QEMU
 * traces is done again on our device, video memory is copied, and both pictures are compared. Debian packages:
 * qemu-system-x86, seabios.
 */
import { connect } from 'node:net';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '@tomei/kit';
import { Qemu, qemuMissing } from '@tomei/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { renderFrame } from '../display/render.ts';
import type { DisplayState } from '../display/display-state.ts';
import type { Frame } from '../display/frame.ts';
import {
  MODE_13H,
  MODE_320X200_PLANAR,
  MODE_640X480_PLANAR,
  MODE_CGA,
  MODE_TEXT,
  type VgaMode,
} from '../display/vga-modes.ts';
import { backend, Board } from '../machine/board.ts';
import { characters, fill, isMootNinthDot, linear, mixed, planes, video, word } from './vga-programs.ts';
import { readPpm, worstDifference } from './vga-pictures.ts';
import { vga, videoMemoryBackend } from './vga.ts';

const VIDEO_BYTES = 1 << 24;
const BOOT_SECTOR = 512;
const FLOPPY_BYTES = 1_474_560;
const INPUT_STATUS_1 = [0x3ba, 0x3da];

/** The registers that set a mode, for comparing, without those that drawing changes: map mask and cursor. */
function groupsOf(
  from: Record<Exclude<Group, 'miscOutput'>, Iterable<number>> & { readonly miscOutput: number } & {
    readonly palette: Uint8Array;
  },
): object {
  const hex = (values: Iterable<number>): string => [...values].map((n) => n.toString(16).padStart(2, '0')).join(' ');
  return {
    miscOutput: from.miscOutput,
    sequencer: hex([...from.sequencer].map((value, i) => (i === 2 ? 0 : value))),
    crtc: hex([...from.crtc].map((value, i) => (i >= 0x0a && i <= 0x0f ? 0 : value))),
    graphics: hex(from.graphics),
    attribute: hex(from.attribute),
    palette: hex(from.palette),
  };
}
type Group = 'miscOutput' | 'sequencer' | 'crtc' | 'graphics' | 'attribute';

/** QEMU reports the largest mode it can show; ours is smaller. */
const VGA = /^vga_vbe_read 0x1: /;
/** QEMU also moves the VGA's own overflow and graphics mode registers along when a linear mode comes on. */
const LINEAR = /^(vga_vbe_read 0x1|vga_std_read_io 0x3d5: 31, not 29|vga_std_read_io 0x3cf: 16, not 80)/;
/** QEMU widens five and six bits of a colour in another way. */
const ROUNDING = 7;

interface Result {
  /** Reads that gave something else than in QEMU. */
  readonly differentReads: string[];
  readonly accesses: number;
  readonly ours: Frame;
  readonly theirs: Frame;
  readonly memory: Uint8Array;
  /** Our registers at the end. */
  readonly display: DisplayState;
}

/** Sends commands to QEMU's machine protocol and returns the answers. */
async function command(socket: string, ...commands: object[]): Promise<unknown[]> {
  const stream = connect(socket);
  const answers: unknown[] = [];
  stream.write(['{"execute":"qmp_capabilities"}', ...commands.map((c) => JSON.stringify(c))].join('\n'));
  let text = '';
  for await (const part of stream.setEncoding('utf8')) {
    text += part as string;
    const lines = text.split('\n');
    text = lines.pop()!;
    answers.push(
      ...lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((a) => 'return' in a || 'error' in a),
    );
    if (answers.length > commands.length) stream.end();
  }
  return answers.slice(1).map((answer) => (answer as { return?: unknown }).return);
}

interface Replay {
  readonly memory: Uint8Array;
  readonly display: () => DisplayState;
  readonly reads: string[];
  readonly count: number;
}

/** Repeats the traced register accesses on our device. */
function repeat(trace: string): Replay {
  const memory = new Uint8Array(VIDEO_BYTES);
  const board = new Board({ ram: new Uint8Array(16), clock: new ManualClock() });
  const device = board.add(
    vga,
    {},
    { backends: [backend(videoMemoryBackend, { bytes: memory, size: memory.length })] },
  );
  board.reset();
  const reads: string[] = [];
  let count = 0;
  for (const [, kind, first, second] of trace.matchAll(/(vga_\w+) \w+ (0x[0-9a-f]+), val (0x[0-9a-f]+)/g)) {
    const [at, value] = [Number(first), Number(second)];
    count++;
    if (kind === 'vga_std_write_io') board.portWrite(at, 1, value);
    if (kind === 'vga_vbe_write' || kind === 'vga_vbe_read') board.portWrite(0x1ce, 2, at);
    if (kind === 'vga_vbe_write') board.portWrite(0x1cf, 2, value);
    if (kind === 'vga_vbe_read' || kind === 'vga_std_read_io') {
      const mine = kind === 'vga_vbe_read' ? board.portRead(0x1cf, 2) : board.portRead(at, 1);
      if (mine !== value && !INPUT_STATUS_1.includes(at)) reads.push(`${kind} ${first}: ${mine}, not ${value}`);
    }
  }
  return { memory, display: () => device.parts.display(), reads, count };
}

describe('the VGA beside the one of QEMU', () => {
  let directory: string;
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'tomei-vga-'))));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function screenOf(program: number[]): Promise<Result> {
    const path = (name: string): string => join(directory, name);
    // mov dx, 3f8h; mov al, '!'; out dx, al; halt: hlt; jmp halt
    const code = [...program, 0xba, ...word(0x3f8), 0xb0, 0x21, 0xee, 0xf4, 0xeb, 0xfd];
    const floppy = new Uint8Array(FLOPPY_BYTES);
    floppy.set(code);
    floppy.set([0x55, 0xaa], BOOT_SECTOR - 2);
    writeFileSync(path('floppy'), floppy);
    rmSync(path('trace'), { force: true });
    await using qemu = new Qemu({
      memoryMiB: 32,
      arguments: [
        ...['-drive', `file=${path('floppy')},format=raw,if=floppy`, '-vga', 'std', '-boot', 'a'],
        ...['-qmp', `unix:${path('qmp')},server=on,wait=off`, '-D', path('trace')],
        ...['vga_std_write_io', 'vga_std_read_io', 'vga_vbe_write', 'vga_vbe_read'].flatMap((event) => [
          '-trace',
          event,
        ]),
      ],
    });
    await qemu.expect(/!/, 60_000);
    const [map] = await command(path('qmp'), { execute: 'query-pci' });
    const base = Number(/"size":16777216,"address":(\d+)/.exec(JSON.stringify(map))![1]);
    await command(
      path('qmp'),
      { execute: 'screendump', arguments: { filename: path('screen') } },
      { execute: 'pmemsave', arguments: { val: base, size: VIDEO_BYTES, filename: path('memory') } },
    );
    await qemu.stop();
    const replay = repeat(readFileSync(path('trace'), 'latin1'));
    replay.memory.set(readFileSync(path('memory')));
    return {
      differentReads: replay.reads,
      accesses: replay.count,
      ours: renderFrame({ display: replay.display(), memory: replay.memory }),
      theirs: readPpm(readFileSync(path('screen'))),
      memory: replay.memory,
      display: replay.display(),
    };
  }

  beforeEach((context) => {
    const missing = qemuMissing();
    context.skip(missing !== undefined, missing);
  });

  interface Case {
    readonly name: string;
    readonly program: number[];
    /** Reads that may differ. */
    readonly reads: RegExp;
    /** Our own table of the mode. */
    readonly mode?: VgaMode;
  }
  const cases: readonly Case[] = [
    {
      name: 'text',
      reads: VGA,
      mode: MODE_TEXT,
      program: [...video(3), ...video(0x0100, 0, 0x2000), ...fill(0xb800, 2000, characters(0x7f))],
    },
    { name: 'CGA graphics', reads: VGA, mode: MODE_CGA, program: [...video(4), ...fill(0xb800, 0x2000, mixed(1))] },
    { name: 'CGA in two colours', reads: VGA, program: [...video(6), ...fill(0xb800, 0x2000, mixed(1))] },
    { name: '320x200 in planes', reads: VGA, mode: MODE_320X200_PLANAR, program: [...video(0xd), ...planes(4000)] },
    { name: '640x480 in planes', reads: VGA, mode: MODE_640X480_PLANAR, program: [...video(0x12), ...planes(19_200)] },
    { name: 'mode 13h', reads: VGA, mode: MODE_13H, program: [...video(0x13), ...fill(0xa000, 32_000, mixed(4))] },
    { name: '640x480 in 8 bits', reads: LINEAR, program: linear(0x101, 3) },
    { name: '320x200 in 15 bits', reads: LINEAR, program: linear(0x10d, 3) },
    { name: '320x200 in 16 bits', reads: LINEAR, program: linear(0x10e, 3) },
    { name: '320x200 in 24 bits', reads: LINEAR, program: linear(0x10f, 5) },
    { name: '320x200 in 32 bits', reads: LINEAR, program: linear(0x140, 5) },
  ];
  it.each(cases)(
    'reads the same registers and shows the same picture: $name',
    async ({ name, reads, program, mode }) => {
      const { ours, theirs, memory, display, accesses, differentReads } = await screenOf(program);

      expect(accesses).toBeGreaterThan(1000);
      expect(differentReads.filter((read) => !reads.test(read))).toEqual([]);
      expect([ours.width, ours.height]).toEqual([theirs.width, theirs.height]);
      const skipped = name === 'text' ? (x: number, y: number) => isMootNinthDot(memory, x, y) : () => false;
      expect(worstDifference(ours, theirs, skipped)).toBeLessThanOrEqual(ROUNDING);
      expect(new Set(new Uint32Array(ours.rgba.buffer)).size).toBeGreaterThan(1);
      if (mode !== undefined) expect(groupsOf(display)).toEqual(groupsOf({ ...mode, palette: mode.palette() }));
    },
  );
});
