/**
 * The same accesses to QEMU's disk, CD-ROM and floppy controllers and to ours, by QEMU's qtest protocol, with the same images: what
 * registers answer, what is moved, and what the bus master and the DMA controller leave. Debian package: qemu-system-x86.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ManualClock } from '@tomei/kit';
import { qemuMissing } from '@tomei/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Board, backend } from '../machine/board.ts';
import type { Width } from '../machine/device.ts';
import { dma8237 } from './dma8237.ts';
import { fdc82077, floppyDrives } from './floppy/index.ts';
import { i440fxHost, piix3 } from './i440fx.ts';
import { ideDrives, piixIde } from './ide/index.ts';
import { MemoryDisk } from './virtio/memory-disk.ts';

const image = (sectors: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: sectors * 512 }, (_, i) => (i * 13 + (i >> 9) * seed) & 0xff);
const DISK = image(40_320, 3),
  DISC = image(4096, 5),
  FLOPPY = image(2880, 7);
const RAM = 1 << 20;
const BUS_MASTER = 0xc000;

/** A machine that is driven from outside. */
interface Target {
  in(port: number, width?: Width): Promise<number>;
  out(port: number, value: number, width?: Width): Promise<void>;
  /** Bytes of RAM, as hexadecimal digits. */
  read(address: number, length: number): Promise<string>;
  write(address: number, value: number): Promise<void>;
}

class Qemu implements Target {
  private readonly process;
  private readonly lines: AsyncIterator<string>;

  constructor(folder: string) {
    this.process = spawn(
      'qemu-system-i386',
      [
        ...['-machine', 'pc', '-S', '-nodefaults', '-display', 'none', '-serial', 'null', '-m', '16'],
        ...['-drive', `file=${folder}/disk,format=raw,if=ide,index=0`],
        ...['-drive', `file=${folder}/disc,format=raw,if=ide,index=2,media=cdrom,readonly=on`],
        ...['-drive', `file=${folder}/floppy,format=raw,if=floppy,index=0`],
        ...['-qtest', 'stdio', '-qtest-log', 'none'],
      ],
      { stdio: ['pipe', 'pipe', 'ignore'] },
    );
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }
  private async ask(command: string): Promise<string> {
    this.process.stdin.write(`${command}\n`);
    for (;;) {
      const { value, done } = await this.lines.next();
      if (done === true) throw new Error('QEMU went away');
      if (value.startsWith('OK')) return value.slice(3);
    }
  }
  async in(port: number, width: Width = 1): Promise<number> {
    return Number(await this.ask(`in${'bwxl'[width - 1]!} 0x${port.toString(16)}`));
  }
  async out(port: number, value: number, width: Width = 1): Promise<void> {
    await this.ask(`out${'bwxl'[width - 1]!} 0x${port.toString(16)} 0x${value.toString(16)}`);
  }
  async read(address: number, length: number): Promise<string> {
    return (await this.ask(`read 0x${address.toString(16)} 0x${length.toString(16)}`)).slice(2);
  }
  async write(address: number, value: number): Promise<void> {
    await this.ask(`writel 0x${address.toString(16)} 0x${value.toString(16)}`);
  }
  end(): void {
    this.process.kill('SIGKILL');
  }
}

class Ours implements Target {
  private readonly board: Board;

  constructor() {
    const clock = new ManualClock();
    this.board = new Board({ ram: new Uint8Array(RAM), clock, alarms: clock.alarms, firmware: true });
    const memory = { view: (address: number, length: number) => this.board.ioView(address, length) };
    const disk = (data: Uint8Array, readOnly = false): MemoryDisk =>
      new MemoryDisk({ memory, sectors: data.length / 512, data: data.slice(), readOnly, immediate: true });
    this.board.add(i440fxHost, {}, { slot: 0 });
    this.board.add(piix3, {}, { slot: 1 });
    this.board.add(dma8237, {});
    const drives = [{ kind: 'disk', disk: disk(DISK) }, undefined, { kind: 'cdrom', disc: disk(DISC, true) }] as const;
    this.board.add(piixIde, {}, { slot: 1, function: 1, backends: [backend(ideDrives, { drives })] });
    this.board.add(fdc82077, {}, { backends: [backend(floppyDrives, { drives: [disk(FLOPPY)] })] });
    this.board.reset();
  }
  in(port: number, width: Width = 1): Promise<number> {
    return Promise.resolve(this.board.portRead(port, width));
  }
  out(port: number, value: number, width: Width = 1): Promise<void> {
    this.board.portWrite(port, width, value);
    return Promise.resolve();
  }
  read(address: number, length: number): Promise<string> {
    return Promise.resolve(Buffer.from(this.board.ram.view(address, length)).toString('hex'));
  }
  write(address: number, value: number): Promise<void> {
    this.board.ram.write32(address, value >>> 0);
    return Promise.resolve();
  }
}

const folder = mkdtempSync(join(tmpdir(), 'storage-'));
const missing = qemuMissing();
let theirs: Qemu;
let ours: Ours;
beforeAll(async () => {
  if (missing !== undefined) return;
  for (const [name, bytes] of [
    ['disk', DISK],
    ['disc', DISC],
    ['floppy', FLOPPY],
  ] as const)
    writeFileSync(join(folder, name), bytes);
  theirs = new Qemu(folder);
  ours = new Ours();
  for (const t of [theirs, ours]) await firmware(t);
});
afterAll(() => {
  if (missing === undefined) theirs.end();
  rmSync(folder, { recursive: true });
});
/** What SeaBIOS does to the IDE function: decoding on, bus master registers placed. */
async function firmware(t: Target): Promise<void> {
  const configure = async (offset: number, value: number): Promise<void> => {
    await t.out(0xcf8, 0x8000_0900 + offset, 4);
    await t.out(0xcfc, value, 4);
  };
  await configure(0x40, 0x8000_8000);
  await configure(0x20, BUS_MASTER);
  await configure(0x04, 5);
}
const both = async (what: (t: Target) => Promise<unknown>): Promise<void> =>
  expect(await what(ours)).toEqual(await what(theirs));

/** The status when the drive is not busy any more. */
async function ready(t: Target, base = 0x1f0): Promise<number> {
  for (let i = 0; ; i++) {
    const status = await t.in(base + 0x206);
    if ((status & 0x80) === 0) return status;
    if (i > 5000) throw new Error(`the drive at ${base} stays busy`);
  }
}
const registers = async (t: Target, base = 0x1f0): Promise<number[]> => {
  const values: number[] = [];
  for (let i = 1; i < 8; i++) values.push(await t.in(base + i));
  return values;
};
async function command(t: Target, code: number, lba = 0, count = 1, device = 0xe0): Promise<number> {
  const values = [0, count, lba & 0xff, (lba >> 8) & 0xff, (lba >> 16) & 0xff];
  await t.out(0x1f6, device);
  for (const [i, value] of values.entries()) await t.out(0x1f1 + i, value);
  await t.out(0x1f7, code);
  return ready(t);
}
/** Takes DRQ blocks while there are any: what the registers said, and the words. */
async function take(t: Target, block: number, base = 0x1f0): Promise<unknown[]> {
  const seen: unknown[] = [];
  while (((await ready(t, base)) & 8) !== 0) {
    const words: number[] = [];
    const size = base === 0x1f0 ? block : (await t.in(base + 4)) | ((await t.in(base + 5)) << 8);
    if (base !== 0x1f0) seen.push(size, await t.in(base + 2));
    seen.push(await t.in(base + 7));
    for (let i = 0; i < size; i += 2) words.push(await t.in(base, 2));
    seen.push(words);
  }
  seen.push(await t.in(base + 7));
  return seen;
}
/** The control bits of the lead-out: QEMU sets "copying allowed" beside ours. */
const likeQemu = (answer: unknown): unknown => JSON.parse(JSON.stringify(answer).replace('5632,170', '5120,170'));
async function packet(t: Target, bytes: readonly number[], limit = 0xfffe): Promise<unknown[]> {
  await t.out(0x176, 0xa0);
  await t.out(0x171, 0);
  await t.out(0x174, limit & 0xff);
  await t.out(0x175, limit >> 8);
  await t.out(0x177, 0xa0);
  const before = [await ready(t, 0x170), await t.in(0x172)];
  for (let i = 0; i < 12; i += 2) await t.out(0x170, (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8), 2);
  const data = await take(t, 0, 0x170);
  return [before, data, await t.in(0x172), await t.in(0x171)];
}
/** Key, code and qualifier that a packet leaves. */
async function sense(t: Target, bytes: readonly number[]): Promise<number[]> {
  await packet(t, bytes);
  const [, data] = await packet(t, [3, 0, 0, 0, 18]);
  const words = (data as unknown[])[3] as number[];
  return [words[1]! & 0xf, words[6]! & 0xff, words[6]! >> 8];
}

describe.skipIf(missing !== undefined)('a disk answers as QEMU s does', () => {
  it('after a reset', () =>
    both(async (t) => {
      await t.out(0x3f6, 4);
      await t.out(0x3f6, 0);
      await ready(t);
      return registers(t);
    }));
  it('where no drive is', () =>
    both(async (t) => {
      await t.out(0x1f6, 0xb0);
      const absent = [await t.in(0x1f6), await t.in(0x1f7), await t.in(0x3f6)];
      await t.out(0x1f6, 0xa0);
      return absent;
    }));
  it.each([
    ['one sector', 0x20, 5, 1],
    ['three', 0x21, 100, 3],
    ['across tracks', 0x20, 16 * 63 - 1, 2],
  ])('reading %s', (_, code, lba, count) =>
    both(async (t) => [await command(t, code, lba, count), await take(t, 512)]),
  );
  it('reading by cylinder, head and sector', () =>
    both(async (t) => {
      const values = [0, 1, 5, 1, 0];
      await t.out(0x1f6, 0xa3);
      for (const [i, value] of values.entries()) await t.out(0x1f1 + i, value);
      await t.out(0x1f7, 0x20);
      return take(t, 512);
    }));
  it('reading in blocks of four sectors', () =>
    both(async (t) => {
      const set = await command(t, 0xc6, 0, 4);
      await command(t, 0xc4, 8, 4);
      return [set, await take(t, 2048)];
    }));
  it('identifying itself, in the words that drivers go by', () =>
    both(async (t) => {
      await command(t, 0xec);
      const words = (await take(t, 512))[1] as number[];
      const told = [0, 1, 3, 6, 47, 49 + 0, 53, 54, 55, 56, 57, 58, 60, 61, 63, 100, 101];
      return told.map((i) => words[i]);
    }));
  it('writing and reading back', () =>
    both(async (t) => {
      const before = await command(t, 0x30, 300, 2);
      const seen: number[] = [];
      for (let n = 0; n < 2; n++) {
        for (let i = 0; i < 256; i++) await t.out(0x1f0, i * 0x101 + n, 2);
        seen.push(await ready(t), await t.in(0x1f7));
      }
      await command(t, 0x20, 300, 2);
      return [before, seen, await take(t, 512)];
    }));
  it.each([0x10, 0x40, 0x70, 0x91, 0xe0, 0xe1, 0xe3, 0xe5, 0xe7, 0xea, 0xf8, 0x08, 0xa0, 0xa1, 0x01, 0xff])(
    'to command %i',
    (code) =>
      both(async (t) => {
        const status = await command(t, code, 1, 63, code === 0x91 ? 0xef : 0xe0);
        const error = await t.in(0x1f1);
        await t.in(0x1f7);
        // QEMU leaves "seek complete" out now and then; the error register means something after an error only.
        return [status & ~0x10, (status & 1) !== 0 ? error : 0];
      }),
  );
});

describe.skipIf(missing !== undefined)('the bus master answers as QEMU s does', () => {
  const transfer = async (
    t: Target,
    code: number,
    regions: readonly (readonly [number, number])[],
    lba = 40,
    count = 4,
  ): Promise<unknown[]> => {
    for (const [i, [address, length]] of regions.entries()) {
      await t.write(0x1_0000 + 8 * i, address);
      await t.write(0x1_0000 + 8 * i + 4, i === regions.length - 1 ? 0x8000_0000 + length : length);
    }
    await t.out(BUS_MASTER, 0);
    await t.out(BUS_MASTER + 2, 6);
    await t.out(BUS_MASTER + 4, 0x1_0000, 4);
    await command(t, code, lba, count);
    await t.out(BUS_MASTER, code === 0xc8 ? 9 : 1);
    // QEMU's drive works on another thread, which a busy host may keep waiting.
    for (let i = 0; i < 5000 && ((await t.in(BUS_MASTER + 2)) & 5) === 1; i++) await t.in(0x3f6);
    const status = await t.in(BUS_MASTER + 2);
    await t.out(BUS_MASTER, 0);
    return [status, await t.in(0x3f6), await t.in(BUS_MASTER + 2), await t.in(BUS_MASTER)];
  };
  it('reading into pieces', () =>
    both(async (t) => [
      await transfer(t, 0xc8, [
        [0x2_0000, 1000],
        [0x3_0002, 1048],
      ]),
      await t.in(0x1f7),
      await t.read(0x2_0000, 1002),
      await t.read(0x3_0000, 1060),
    ]));
  it('with a table that is too long', () => both((t) => transfer(t, 0xc8, [[0x2_0000, 4096]])));
  it('writing', () =>
    both(async (t) => {
      const end = await transfer(t, 0xca, [[0x2_0000, 2048]], 500);
      await t.in(0x1f7);
      await command(t, 0x20, 500, 4);
      return [end, await take(t, 512)];
    }));
});

describe.skipIf(missing !== undefined)('a CD-ROM drive answers as QEMU s does', () => {
  it('to IDENTIFY DEVICE with its signature', () =>
    both(async (t) => {
      await t.out(0x176, 0xa0);
      await t.out(0x177, 0xec);
      await ready(t, 0x170);
      return (await registers(t, 0x170)).slice(0, 5);
    }));
  it.each([
    ['READ CAPACITY', [0x25]],
    ['READ TOC', [0x43, 0, 0, 0, 0, 0, 0, 0, 20]],
    ['READ TOC in minutes', [0x43, 2, 0, 0, 0, 0, 0, 0, 20]],
    ['READ TOC of the lead-out', [0x43, 0, 0, 0, 0, 0, 0xaa, 0, 20]],
    ['READ (10)', [0x28, 0, 0, 0, 0, 17, 0, 0, 2]],
    ['READ (12)', [0xa8, 0, 0, 0, 0, 17, 0, 0, 0, 1]],
    ['READ CD', [0xbe, 0, 0, 0, 0, 17, 0, 0, 1, 0x10]],
    ['TEST UNIT READY', [0]],
    ['SEEK (10)', [0x2b, 0, 0, 0, 0, 5]],
    ['PREVENT ALLOW MEDIUM REMOVAL', [0x1e, 0, 0, 0, 0]],
    ['MECHANISM STATUS', [0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8]],
    // Not compared: lengths of sessions and events, where QEMU's are not MMC's, and the medium type of mode pages, where it has none.
  ])('to %s', (_, bytes) => both(async (t) => likeQemu(await packet(t, bytes, 2048))));
  it.each([
    ['a command that there is not', [0xff]],
    ['a block behind the end', [0x28, 0, 0, 0, 0x40, 0, 0, 0, 1]],
    ['READ CD of what there is not', [0xbe, 0, 0, 0, 0, 1, 0, 0, 1, 0x44]],
    ['saved mode pages', [0x5a, 0, 0xc1, 0, 0, 0, 0, 0, 16]],
    ['events that are not polled for', [0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8]],
  ])('to %s', (_, bytes) => both((t) => sense(t, bytes)));
});

describe.skipIf(missing !== undefined)('the floppy controller answers as QEMU s does', () => {
  const fifo = async (t: Target, ...bytes: number[]): Promise<number[]> => {
    for (const byte of bytes) await t.out(0x3f5, byte);
    for (let i = 0; i < 2000 && ((await t.in(0x3f4)) & 0x90) === 0x10; i++);
    const result: number[] = [];
    while (((await t.in(0x3f4)) & 0xf0) === 0xd0) result.push(await t.in(0x3f5));
    return result;
  };
  const start = async (t: Target): Promise<number[][]> => {
    await t.out(0x3f2, 0);
    await t.out(0x3f2, 0x1c);
    const told: number[][] = [];
    for (let i = 0; i < 4; i++) told.push(await fifo(t, 8));
    await t.out(0x3f7, 0);
    await fifo(t, 3, 0xaf, 2);
    await fifo(t, 7, 0);
    told.push(await fifo(t, 8));
    return told;
  };
  const dma = async (t: Target, mode: number, bytes: number): Promise<void> => {
    const writes = [
      [0x0a, 6],
      [0x0c, 0],
      [0x0b, mode],
      [4, 0],
      [4, 0x40],
      [0x81, 2],
      [5, (bytes - 1) & 0xff],
      [5, (bytes - 1) >> 8],
      [0x0a, 2],
    ];
    for (const [port, value] of writes) await t.out(port!, value!);
  };
  it('to a reset and a recalibration', () => both(start));
  it('to VERSION, seeks and SENSE DRIVE STATUS', () =>
    both(async (t) => {
      await start(t);
      const version = await fifo(t, 0x10);
      await fifo(t, 0x0f, 4, 9);
      return [version, await fifo(t, 8), (await fifo(t, 4, 0)).map((v) => v & 0x5f)];
    }));
  it('reading and writing by DMA', () =>
    both(async (t) => {
      await start(t);
      await dma(t, 0x46, 1536);
      const read = await fifo(t, 0xe6, 0, 0, 0, 3, 2, 18, 0x1b, 0xff);
      const bytes = await t.read(0x2_4000, 1540);
      await dma(t, 0x4a, 1024);
      const written = await fifo(t, 0xc5, 4, 0, 1, 7, 2, 18, 0x1b, 0xff);
      await dma(t, 0x46, 1024);
      await fifo(t, 0xe6, 4, 0, 1, 7, 2, 18, 0x1b, 0xff);
      return [read, bytes, written, await t.read(0x2_4000, 1024), (await t.in(8)) & 4];
    }));
});
