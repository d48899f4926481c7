/**
 * Debian's SeaBIOS and vgabios on this machine and in QEMU: one program sets all their modes, draws, and waits after each
 * until both screens have been looked at. Debian packages: qemu-system-x86, seabios.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Qemu, qemuMissing } from '@tomei/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QemuScreen, worstDifference } from '../devices/vga-pictures.ts';
import {
  characters,
  fill,
  isMootNinthDot,
  linear,
  mixed,
  out,
  planes,
  register,
  video,
  word,
} from '../devices/vga-programs.ts';
import { MemoryDisk } from '../devices/virtio/memory-disk.ts';
import type { Frame } from '../display/frame.ts';
import { renderFrame } from '../display/render.ts';
import { textOf } from '../display/text-screen.ts';
import { ensureNumerics } from '../numerics/build.ts';
import { InstructionClock } from './clocks.ts';
import { Machine } from './machine.ts';

const SEABIOS = '/usr/share/seabios';
const SECTOR = 512;
/** Where the program lies, and how long it may be. */
const [LOADED, SECTORS] = [0x8000, 40];
/** QEMU widens five and six bits of a colour in another way. */
const ROUNDING = 7;

/** One mode: what sets it and draws. */
interface Case {
  readonly name: string;
  readonly program: readonly number[];
  /** Lines of text that can be read off the screen. */
  readonly lines?: number;
  /** Rows of dots of a character, where QEMU's ninth dots are moot. */
  readonly cell?: number;
  readonly forty?: boolean;
  /** QEMU shows whole lines of text only. */
  readonly height?: number;
  /** QEMU shows nothing: it lets no plane be written in planar modes of the display interface. */
  readonly alone?: boolean;
}

/** A word of character and attribute each, with no attribute that underlines. */
const greys = (): number[] => [...characters(0x08), 0x80, 0xcc, 0x07];
/** mov cx, n; again: mov al, cl; add al, 20h; mov ah, 0eh; mov bx, colour; push cx; int 10h; pop cx; loop again. */
const teletype = (count: number, colour: number): number[] => [
  0xb9, ...word(count), 0x88, 0xc8, 0x04, 0x20, 0x24, 0x7f, 0xb4, 0x0e, 0xbb, ...word(colour), 0x51, 0xcd, 0x10, 0x59, 0xe2, 0xef,
]; // prettier-ignore
/** A slanted line of dots: mov cx, n; again: mov dx, cx; shr dx, 1; mov ax, 0c00h + colour; xor bx, bx; int 10h; loop again. */
const dots = (count: number, colour: number): number[] => [
  0xb9, ...word(count), 0x89, 0xca, 0xd1, 0xea, 0xb8, colour, 0x0c, 0x31, 0xdb, 0xcd, 0x10, 0xe2, 0xf3,
]; // prettier-ignore
/** mov dx, 3c8h; xor al, al; out dx, al; inc dx; mov cx, 768; again: mov al, cl; rol al, 3; out dx, al; loop again. */
const brightPalette = [
  0xba, ...word(0x3c8), 0x30, 0xc0, 0xee, 0x42, 0xb9, ...word(768), 0x88, 0xc8, 0xc0, 0xc0, 3, 0xee, 0xe2, 0xf8,
]; // prettier-ignore
/** Boot sector addresses of the descriptor table's address and of the table: a null descriptor, then 4 GiB of data. */
const [TABLE_REGISTER, TABLE] = [0x7d40, 0x7d48];
/**
 * The linear framebuffer, by FS with a limit of 4 GiB. Mode information to 0:6000h; cli; lgdt; mov eax, cr0; or al, 1;
 * mov cr0, eax; mov bx, 8; mov fs, bx; and al, 0feh; mov cr0, eax; mov edi, [6028h]; mov ecx, dots;
 * again: mov fs:[edi], ecx; add edi, 4; loop again; sti.
 */
const framebuffer = (mode: number, dots: number): number[] => [
  ...video(0x4f02, 0x4000 | mode),
  0x31, 0xc0, 0x8e, 0xc0, 0xbf, ...word(0x6000), ...video(0x4f01, 0, mode),
  0xfa, 0x0f, 0x01, 0x16, ...word(TABLE_REGISTER), 0x0f, 0x20, 0xc0, 0x0c, 1, 0x0f, 0x22, 0xc0, 0xbb, 8, 0, 0x8e, 0xe3,
  0x24, 0xfe, 0x0f, 0x22, 0xc0, 0x66, 0x8b, 0x3e, ...word(0x6028), 0x66, 0xb9, ...word(dots & 0xffff), ...word(dots >> 16),
  0x64, 0x67, 0x66, 0x89, 0x0f, 0x66, 0x83, 0xc7, 4, 0x67, 0xe2, 0xf4, 0xfb,
]; // prettier-ignore
const hideCursor = video(0x0100, 0, 0x2000);
const colourText = (mode: number): number[] => [...video(mode), ...hideCursor, ...fill(0xb800, 2000, characters(0x7f))];
/** Mode X: 13h without chain 4, with 240 lines. */
const modeX = [
  ...video(0x13),
  ...register(0x3c4, 4, 6),
  ...register(0x3d4, 0x11, 0x2c),
  ...([[0x14, 0], [0x17, 0xe3], [6, 0x0d], [7, 0x3e], [0x10, 0xea], [0x11, 0xac], [0x12, 0xdf], [0x15, 0xe7], [0x16, 6]] as const)
    .flatMap(([index, value]) => register(0x3d4, index, value)),
  ...out(0x3c2, 0xe3),
  ...planes(9600),
]; // prettier-ignore

const CASES: readonly Case[] = [
  ...[0, 1].map((mode): Case => ({ name: `mode ${mode}h: 40 columns`, program: colourText(mode), lines: 25, forty: true })),
  ...[2, 3].map((mode): Case => ({ name: `mode ${mode}h: 80 columns`, program: colourText(mode), lines: 25, cell: 16 })),
  { name: 'text with sixteen backgrounds', program: [...video(3), ...hideCursor, ...video(0x1003), ...fill(0xb800, 2000, characters(0xff))], lines: 25, cell: 16 },
  { name: 'text of 50 lines', program: [...video(3), ...video(0x1112), ...hideCursor, ...fill(0xb800, 4000, characters(0x7f))], lines: 50, cell: 8 },
  { name: 'text of 28 lines', program: [...video(3), ...video(0x1111), ...hideCursor, ...fill(0xb800, 4000, characters(0x7f))], lines: 29, height: 392, cell: 14 },
  { name: 'text of 200 scan lines', program: [...video(0x1200, 0x30), ...colourText(3), ...video(0x1202, 0x30)], lines: 25, cell: 16 },
  { name: 'mode 7h: monochrome', program: [...video(7), ...hideCursor, ...fill(0xb000, 2000, greys())], lines: 25, cell: 16 },
  { name: 'the second page, and what the BIOS writes to it', program: [...video(3), ...hideCursor, ...video(0x0501), ...video(0x0200, 0x100, 0, 0x0205), ...teletype(300, 0x107), ...video(0x0601, 0x1700, 0, 0x104f)], lines: 25 },
  ...[4, 5, 6].map((mode): Case => ({ name: `mode ${mode}h: CGA`, program: [...video(mode), ...fill(0xb800, 0x2000, mixed(1))] })),
  { name: 'mode 4h in its other colours, with dots and text by the BIOS', program: [...video(4), ...video(0x0b00, 0x0100), ...video(0x0b00, 0x0011), ...teletype(200, 2), ...dots(300, 3)] },
  ...[0x0d, 0x0e].map((mode): Case => ({ name: `mode ${mode.toString(16)}h: EGA`, program: [...video(mode), ...planes(0x1000)] })),
  ...[0x0f, 0x10].map((mode): Case => ({ name: `mode ${mode.toString(16)}h: EGA, 350 lines`, program: [...video(mode), ...planes(8000)] })),
  ...[0x11, 0x12].map((mode): Case => ({ name: `mode ${mode}h: 480 lines`, program: [...video(mode), ...planes(10_000)] })),
  { name: 'mode 12h with dots and text by the BIOS', program: [...video(0x12), ...teletype(400, 0x0e), ...dots(600, 5), ...dots(400, 0x8c)] },
  { name: 'mode 13h', program: [...video(0x13), ...fill(0xa000, 32_000, mixed(4))] },
  { name: 'mode 13h with dots and text by the BIOS', program: [...video(0x13), ...teletype(300, 0x2a), ...dots(319, 0x47)] },
  { name: 'mode X', program: modeX },
  { name: '800x600 in planes', program: [...video(0x4f02, 0x102), ...planes(10_000)], alone: true },
  ...[0x100, 0x101, 0x103, 0x105].map((mode): Case => ({ name: `VBE ${mode.toString(16)}h: 8 bits`, program: linear(mode, 3, 4, 0x1000) })),
  ...[0x10d, 0x110, 0x113].map((mode): Case => ({ name: `VBE ${mode.toString(16)}h: 15 bits`, program: linear(mode, 2, 2, 0x1000) })),
  ...[0x10e, 0x111, 0x114].map((mode): Case => ({ name: `VBE ${mode.toString(16)}h: 16 bits`, program: linear(mode, 2, 2, 0x1000) })),
  ...[0x10f, 0x112].map((mode): Case => ({ name: `VBE ${mode.toString(16)}h: 24 bits`, program: linear(mode, 5, 3, 0x1000) })),
  ...[0x140, 0x142, 0x144].map((mode): Case => ({ name: `VBE ${mode.toString(16)}h: 32 bits`, program: linear(mode, 5, 5, 0x1000) })),
  { name: 'VBE 142h: the linear framebuffer', program: framebuffer(0x142, 800 * 300) },
  { name: 'a longer line and another start', program: [...linear(0x101, 3, 6, 0x1000), ...video(0x4f06, 0, 800), ...video(0x4f07, 0, 64, 32)] },
  { name: 'a DAC of eight bits', program: [...linear(0x101, 3, 2, 0x1000), ...video(0x4f08, 0x0800), ...brightPalette] },
  { name: 'back to text', program: [...colourText(3), ...video(0x0200, 0, 0, 0), ...teletype(400, 7)], lines: 25, cell: 16 },
]; // prettier-ignore

/** mov dx, 3f8h; mov al, '!'; out dx, al; then wait for a byte: mov dx, 3fdh; again: in al, dx; test al, 1; jz again; and take it. */
const PAUSE = [
  ...out(0x3f8, 0x21), 0xba, ...word(0x3fd), 0xec, 0xa8, 1, 0x74, 0xfb, 0xba, ...word(0x3f8), 0xec,
]; // prettier-ignore
/** Boot sector: xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 7c00h; mov si, packet; mov ah, 42h; int 13h; jmp 0:8000h. */
const PACKET = 0x7d00;
const BOOT = [
  0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, ...word(0x7c00), 0xbe, ...word(PACKET), 0xb4, 0x42, 0xcd, 0x13,
  0xea, ...word(LOADED), ...word(0),
]; // prettier-ignore

function diskImage(): Uint8Array {
  const image = new Uint8Array(1 << 20);
  image.set(BOOT);
  image.set([16, 0, SECTORS, 0, ...word(LOADED), ...word(0), 1], PACKET - 0x7c00);
  image.set([15, 0, ...word(TABLE), 0, 0], TABLE_REGISTER - 0x7c00);
  image.set([0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0], TABLE + 8 - 0x7c00);
  image.set([0x55, 0xaa], SECTOR - 2);
  const program = [...CASES.flatMap((one) => [...one.program, ...PAUSE]), 0xf4, 0xeb, 0xfd];
  expect(program.length).toBeLessThanOrEqual(SECTORS * SECTOR);
  image.set(program, SECTOR);
  return image;
}

/** Our machine, run until the program has drawn the next mode. */
class Ours {
  readonly machine: Machine;
  private serial = '';
  constructor(image: Uint8Array) {
    const memory = { view: (address: number, length: number) => this.machine.board.ioView(address, length) };
    const disk = new MemoryDisk({ memory, sectors: image.length / SECTOR, immediate: true, data: image });
    const read = (name: string): Uint8Array => readFileSync(join(SEABIOS, name));
    this.machine = new Machine(
      {
        ramBytes: 16 << 20,
        videoMemoryBytes: 16 << 20,
        epoch: 0,
        commandLine: '',
        firmware: { bios: read('bios-256k.bin'), videoBios: read('vgabios-stdvga.bin') },
      },
      { serial: [{ write: (byte) => void (this.serial += String.fromCharCode(byte)) }], disks: [disk] },
      new InstructionClock(),
    );
    this.machine.powerOn();
  }
  untilPause(): void {
    const had = this.serial.length;
    for (let n = 0; this.serial.length === had; n++) {
      if (n > 40_000) throw new Error(`no pause; ${this.machine.describe()}\n${this.text().join('\n')}`);
      this.machine.runSlice();
    }
  }
  goOn(): void {
    this.machine.serial[0]!.parts.input!(Uint8Array.of(1));
  }
  picture(): Frame {
    return renderFrame(this.machine.view());
  }
  text(): string[] {
    return textOf(this.machine.view());
  }
}

/** QEMU draws 16 dots for a character of 40 columns where there are 18, two of them the ninth. */
function withoutNinthDots({ width, height, rgba }: Frame): Frame {
  const narrow = { width: (width / 18) * 16, height, rgba: new Uint8Array((width / 18) * 16 * height * 4) };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < narrow.width; x++) {
      const from = (y * width + (x >> 4) * 18 + (x & 15)) * 4;
      narrow.rgba.set(rgba.subarray(from, from + 4), (y * narrow.width + x) * 4);
    }
  }
  return narrow;
}

const missing =
  qemuMissing() ?? (existsSync(SEABIOS) ? undefined : 'SeaBIOS is not installed (Debian package seabios)');
describe.skipIf(missing !== undefined)(
  `vgabios here and in QEMU${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'tomei-vgabios-'));
    const screen = new QemuScreen();
    let qemu: Qemu, ours: Ours;
    beforeAll(async () => {
      await ensureNumerics();
      const image = diskImage();
      const path = join(directory, 'disk');
      writeFileSync(path, image);
      qemu = new Qemu({
        memoryMiB: 16,
        disk: { path, format: 'raw' },
        arguments: ['-vga', 'std', ...screen.arguments],
      });
      ours = new Ours(image);
    });
    afterAll(async () => {
      await qemu.stop();
      screen.stop();
      rmSync(directory, { recursive: true, force: true });
    });

    // One after the other: each goes on where the one before stopped.
    it.each(CASES)(
      'shows the same: $name',
      async ({ cell, forty, lines, height, alone }) => {
        ours.untilPause();
        await qemu.expect(/!/, 60_000);
        const whole = forty === true ? withoutNinthDots(ours.picture()) : ours.picture();
        const a =
          height === undefined ? whole : { ...whole, height, rgba: whole.rgba.slice(0, whole.width * height * 4) };
        const b = await screen.picture();
        const text = ours.text();
        const { memory } = ours.machine.view();
        ours.goOn();
        qemu.send('.');

        expect([a.width, a.height]).toEqual([b.width, b.height]);
        const moot = (x: number, y: number): boolean => cell !== undefined && isMootNinthDot(memory, x, y, cell);
        if (alone !== true) expect(worstDifference(a, b, moot)).toBeLessThanOrEqual(ROUNDING);
        expect(new Set(new Uint32Array(a.rgba.buffer)).size).toBeGreaterThan(1);
        expect(text).toHaveLength(lines ?? 0);
      },
      60_000,
    );
  },
);
