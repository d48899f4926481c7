/** Tomei as a PC with a screen and a keyboard, in this process and on virtual time: the same inputs give the same run. */
import { readFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import {
  InstructionClock,
  Machine,
  SECTOR_BYTES,
  renderFrame,
  textOf,
  type BlockBackend,
  type BlockRequest,
  type IdeDrive,
  type SliceEnd,
} from '@tomei/paravirt-core';
import { openVmdk } from '@tomei/vmdk';
import { KEY_DOWN_MS, scanCodes, type Pc, type PcOptions, type Picture } from './pc.ts';

const FIRMWARE = '/usr/share/seabios';
const EPOCH = 1_750_000_000;
const SLICE = 50_000;
/** Slices between two looks at the screen: a few milliseconds. */
const LOOK_EVERY = 40;
const EXTENDED = 0xe000;
/** Boot loaders poll the keyboard while they wait: a processor of 50 MIPS does that less often. */
const PER_INSTRUCTION = 20;
/** No wait is longer than this many instructions. */
const MOST_INSTRUCTIONS = 60e9;

/** Reads whole sectors of an image. */
interface ImageFile extends AsyncDisposable {
  readonly sizeBytes: number;
  read(at: number, into: Uint8Array): Promise<void>;
}

/** A disk image that is never written to: what the guest writes stays in memory. */
class OverlaidDisk implements BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly id: string;
  machine: Machine | undefined;
  private readonly image: ImageFile;
  private readonly written = new Map<number, Uint8Array>();
  private readonly waiting: BlockRequest[] = [];
  private handler: (id: number, ok: boolean) => void = () => undefined;

  constructor(image: ImageFile, id: string, readOnly: boolean) {
    [this.image, this.id, this.readOnly] = [image, id, readOnly];
    this.sectors = Math.ceil(image.sizeBytes / SECTOR_BYTES);
  }
  onComplete(handler: (id: number, ok: boolean) => void): void {
    this.handler = handler;
  }
  submit(request: BlockRequest): void {
    this.waiting.push(request);
  }
  /** Between slices: does what was asked for. Says whether there was anything. */
  async work(): Promise<boolean> {
    if (this.waiting.length === 0) return false;
    for (const request of this.waiting.splice(0)) {
      const bytes = await this.contents(request);
      let at = 0;
      for (const { address, length } of request.segments) {
        const window = this.machine!.board.ioView(address, length);
        if (request.kind === 'read') window.set(bytes.subarray(at, at + length));
        if (request.kind === 'write') bytes.set(window, at);
        at += length;
      }
      if (request.kind !== 'read') {
        for (let i = 0; i < request.count; i++) {
          this.written.set(request.sector + i, bytes.slice(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES));
        }
      }
      this.machine!.lookAtClock();
      this.handler(request.id, true);
    }
    return true;
  }
  private async contents({ kind, sector, count }: BlockRequest): Promise<Uint8Array> {
    const bytes = new Uint8Array(count * SECTOR_BYTES);
    if (kind !== 'read') return bytes;
    await this.image.read(sector * SECTOR_BYTES, bytes);
    for (let i = 0; i < count; i++) {
      const newer = this.written.get(sector + i);
      if (newer !== undefined) bytes.set(newer, i * SECTOR_BYTES);
    }
    return bytes;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.image[Symbol.asyncDispose]();
  }
}

async function rawImage(path: string): Promise<ImageFile> {
  const file: FileHandle = await open(path);
  const { size } = await file.stat();
  return {
    sizeBytes: size,
    // Behind the end of the file a last sector is zeros.
    read: async (at, into) => void (await file.read(into, 0, into.length, at)),
    [Symbol.asyncDispose]: () => file.close(),
  };
}
async function vmdkImage(path: string): Promise<ImageFile> {
  const disk = await openVmdk(path, { readOnly: true });
  return {
    sizeBytes: disk.sizeBytes,
    read: (at, into) => disk.read(at, into),
    [Symbol.asyncDispose]: () => disk.close(),
  };
}

export interface TomeiPcOptions extends PcOptions {
  /** Nanoseconds an instruction takes: default 20. The more, the fewer instructions does a guest spend on waiting. */
  readonly perInstruction?: number;
}

export class TomeiPc implements Pc {
  readonly machine: Machine;
  serial = '';
  /** How it ended, once it has. */
  end: Extract<SliceEnd, { kind: 'stopped' }> | undefined;
  private readonly clock: InstructionClock;
  private readonly disks: readonly OverlaidDisk[];

  private constructor(options: TomeiPcOptions, drives: Record<'disk' | 'cd' | 'floppy', OverlaidDisk | undefined>) {
    const { disk, cd, floppy } = drives;
    this.clock = new InstructionClock(options.perInstruction ?? PER_INSTRUCTION);
    const ide: IdeDrive[] = [{ kind: 'cdrom', disc: cd }];
    this.machine = new Machine(
      {
        ramBytes: (options.memoryMiB ?? 64) * 2 ** 20,
        videoMemoryBytes: 16 * 2 ** 20,
        epoch: EPOCH,
        commandLine: '',
        firmware: {
          bios: readFileSync(`${FIRMWARE}/bios-256k.bin`),
          videoBios: readFileSync(`${FIRMWARE}/vgabios-stdvga.bin`),
        },
      },
      {
        serial: [{ write: (byte) => void (this.serial += String.fromCharCode(byte)) }],
        disks: [],
        ide: [disk === undefined ? undefined : { kind: 'disk', disk }, undefined, ...ide],
        // As QEMU's PC: the drive is there, with or without a disk in it.
        floppies: [floppy ?? null],
      },
      this.clock,
    );
    this.disks = [disk, cd, floppy].filter((one) => one !== undefined);
    for (const one of this.disks) one.machine = this.machine;
    this.machine.powerOn();
  }
  static async start(options: TomeiPcOptions): Promise<TomeiPc> {
    const { disk, cd, floppy } = options;
    const open = async (path: string, id: string, vmdk: boolean, readOnly: boolean): Promise<OverlaidDisk> =>
      new OverlaidDisk(await (vmdk ? vmdkImage(path) : rawImage(path)), id, readOnly);
    return new TomeiPc(options, {
      disk: disk === undefined ? undefined : await open(disk.path, 'disk', disk.format === 'vmdk', false),
      cd: cd === undefined ? undefined : await open(cd, 'cd', false, true),
      floppy: floppy === undefined ? undefined : await open(floppy, 'floppy', false, false),
    });
  }

  screen(): Promise<string[]> {
    return Promise.resolve(textOf(this.machine.view()));
  }
  picture(): Promise<Picture> {
    const { width, height, rgba } = renderFrame(this.machine.view());
    const rgb = new Uint8Array(width * height * 3);
    for (let i = 0; i < width * height; i++) rgb.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
    return Promise.resolve({ width, height, rgb });
  }
  async until(pattern: RegExp, limit = 60): Promise<string> {
    let text = '';
    const found = await this.run(limit, () => pattern.test((text = textOf(this.machine.view()).join('\n'))));
    if (found) return text;
    throw new Error(`Tomei: no ${String(pattern)} on the screen, ${this.describe()}:\n${text}\n${this.serial.slice(-500)}`);
  }
  async wait(seconds: number): Promise<void> {
    await this.run(seconds, () => false);
  }
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      const codes = scanCodes(key);
      for (const code of codes) this.key(code, true);
      await this.wait(KEY_DOWN_MS / 1000);
      for (const code of codes.reverse()) this.key(code, false);
      await this.wait((2 * KEY_DOWN_MS) / 1000);
    }
  }
  private key(code: number, down: boolean): void {
    this.machine.lookAtClock();
    this.machine.keyboard.parts.key(code >= EXTENDED ? code : code & 0x7f, down);
  }
  powerButton(): Promise<void> {
    this.machine.powerButton();
    return Promise.resolve();
  }
  async ended(limit = 60): Promise<string> {
    await this.run(limit, () => false);
    if (this.end === undefined) throw new Error(`Tomei: the guest goes on, ${this.describe()}`);
    return this.end.why;
  }
  /** Where the guest is, for a message. */
  describe(): string {
    const { machine, clock } = this;
    const when = `after ${(machine.instructions / 1e6).toFixed(0)} million instructions, ${clock.now() / 1e9} s`;
    return `${this.end?.why ?? 'running'} ${when}, ${machine.describe()}`;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    for (const disk of this.disks) await disk[Symbol.asyncDispose]();
  }

  /** Runs until the guest ends, `seconds` have gone by, or `enough`. Says whether it was that. */
  private async run(seconds: number, enough: () => boolean): Promise<boolean> {
    const { machine, clock } = this,
      late = clock.now() + seconds * 1e9,
      most = machine.instructions + MOST_INSTRUCTIONS;
    for (let n = 1; this.end === undefined && clock.now() < late && machine.instructions < most; n++) {
      const end = machine.runSlice(SLICE);
      if (end.kind === 'stopped') this.end = end;
      let worked = false;
      for (const disk of this.disks) worked = (await disk.work()) || worked;
      if (end.kind === 'halted' && end.until === null && !worked) break;
      if (n % LOOK_EVERY === 0 && enough()) return true;
    }
    return enough();
  }
}
