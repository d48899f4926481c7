/** QEMU as a PC with a screen and a keyboard, driven by its machine protocol (QMP). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { CODE_PAGE_437 } from '@tomei/paravirt-core';
import { Qemu } from '@tomei/testkit';
import { KEY_DOWN_MS, type Pc, type PcOptions, type Picture } from './pc.ts';

const COLUMNS = 80,
  ROWS = 25;
/** The window of the text screen, and the CRT controller's registers for where in it the screen begins (VGA, 0Ch and 0Dh). */
const TEXT_WINDOW = 0xb8000,
  TEXT_WINDOW_BYTES = 0x8000,
  START_HIGH = 0x0c,
  START_LOW = 0x0d;
/** Host time against the guest's: software emulation on a machine that has other things to do. */
const SLOWNESS = 10;

/** As Tomei reads a text screen: what looks like a blank is one. */
const glyph = (code: number): string => (code === 0 || code === 0xff ? ' ' : CODE_PAGE_437[code]!);

export class QemuPc implements Pc {
  private readonly qemu: Qemu;
  private readonly folder: string;
  private readonly socket: Socket;
  private readonly answers: ((answer: { return?: unknown; error?: unknown }) => void)[] = [];

  private constructor(qemu: Qemu, folder: string, socket: Socket) {
    [this.qemu, this.folder, this.socket] = [qemu, folder, socket];
    const lines = createInterface({ input: socket });
    // QEMU may end before it has read everything said to it: the lines repeat the error of their socket, which 'close' below follows.
    lines.on('error', () => undefined);
    lines.on('line', (line) => {
      const message = JSON.parse(line) as { return?: unknown; error?: unknown };
      // Events and the greeting are no answers.
      if ('return' in message || 'error' in message) this.answers.shift()?.(message);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.answers.splice(0).forEach((answer) => answer({ error: 'QEMU has ended' })));
  }

  static async start(options: PcOptions): Promise<QemuPc> {
    const folder = mkdtempSync(join(tmpdir(), 'tomei-qemu-')),
      path = join(folder, 'qmp');
    const drives: string[] = [];
    const drive = (text: string): void => void drives.push('-drive', text);
    if (options.disk !== undefined) drive(`file=${options.disk.path},format=${options.disk.format},if=ide,index=0`);
    if (options.cd !== undefined) drive(`file=${options.cd},format=raw,if=ide,index=2,media=cdrom`);
    if (options.floppy !== undefined) drive(`file=${options.floppy},format=raw,if=floppy`);
    const qemu = new Qemu({
      memoryMiB: options.memoryMiB ?? 64,
      // The display adapter has no monitor that names its favourite mode, as Tomei's has none.
      arguments: ['-snapshot', '-vga', 'none', '-device', 'VGA,edid=off', '-qmp', `unix:${path},server=on,wait=off`, ...drives],
    });
    for (let attempt = 0; ; attempt++) {
      await pause(100);
      const socket = connect(path);
      const connected = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      });
      if (connected) {
        const pc = new QemuPc(qemu, folder, socket);
        await pc.command('qmp_capabilities');
        return pc;
      }
      if (attempt === 100) throw new Error(`QEMU does not listen: ${qemu.complaints}`);
    }
  }

  get serial(): string {
    return this.qemu.serial;
  }
  async screen(): Promise<string[]> {
    const file = join(this.folder, 'memory');
    await this.command('pmemsave', { val: TEXT_WINDOW, size: TEXT_WINDOW_BYTES, filename: file });
    const bytes = readFileSync(file);
    const start = 2 * ((await this.crtc(START_HIGH)) * 256 + (await this.crtc(START_LOW)));
    return Array.from({ length: ROWS }, (_, row) => {
      let line = '';
      for (let column = 0; column < COLUMNS; column++) {
        line += glyph(bytes[(start + 2 * (row * COLUMNS + column)) % TEXT_WINDOW_BYTES]!);
      }
      return line.trimEnd();
    });
  }
  /** A register of the CRT controller. The guest stands still meanwhile, and finds the index as it was. */
  private async crtc(index: number): Promise<number> {
    const inByte = async (port: number): Promise<number> => Number((await this.monitor(`i /b ${port}`)).split('=')[1]);
    await this.command('stop');
    const before = await inByte(0x3d4);
    await this.monitor(`o /b 0x3d4 ${index}`);
    const value = await inByte(0x3d5);
    await this.monitor(`o /b 0x3d4 ${before}`);
    await this.command('cont');
    return value;
  }
  async picture(): Promise<Picture> {
    const file = join(this.folder, 'picture.ppm');
    await this.command('screendump', { filename: file });
    const bytes = readFileSync(file);
    // Portable pixmap: P6, width, height, the largest value, then the pixels.
    const [header, width, height] = /^P6\n(\d+) (\d+)\n255\n/.exec(bytes.subarray(0, 40).toString('latin1'))!;
    return { width: Number(width), height: Number(height), rgb: Uint8Array.from(bytes.subarray(header.length)) };
  }
  async until(pattern: RegExp, limit = 60): Promise<string> {
    for (const end = Date.now() + limit * 1000 * SLOWNESS; ; ) {
      const text = (await this.screen()).join('\n');
      if (pattern.test(text)) return text;
      if (Date.now() > end) throw new Error(`QEMU: no ${String(pattern)} on the screen:\n${text}`);
      await pause(300);
    }
  }
  async wait(seconds: number): Promise<void> {
    await pause(seconds * 1000);
  }
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      await this.command('human-monitor-command', { 'command-line': `sendkey ${key} ${KEY_DOWN_MS}` });
      await pause(3 * KEY_DOWN_MS);
    }
  }
  async powerButton(): Promise<void> {
    await this.command('system_powerdown');
  }
  async ended(): Promise<string> {
    return (await this.qemu.exit()) === 0 ? 'power-off' : 'failed';
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.qemu.stop();
    this.socket.destroy();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async monitor(line: string): Promise<string> {
    return String(await this.command('human-monitor-command', { 'command-line': line }));
  }
  private async command(execute: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const answered = new Promise<{ return?: unknown; error?: unknown }>((resolve) => this.answers.push(resolve));
    this.socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    const { return: result, error } = await answered;
    if (error !== undefined) throw new Error(`QEMU: ${execute}: ${JSON.stringify(error)}`);
    return result;
  }
}
