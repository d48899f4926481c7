/** Pictures from QEMU beside ours, for the tests of both. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Frame } from '../display/frame.ts';

/** The screen of a running QEMU, by its machine protocol. */
export class QemuScreen {
  /** What QEMU has to be started with. */
  readonly arguments: readonly string[];
  private readonly directory = mkdtempSync(join(tmpdir(), 'tomei-qmp-'));
  private readonly path = join(this.directory, 'qmp');
  private socket: Socket | undefined;
  private replies: AsyncIterator<string> | undefined;

  constructor() {
    this.arguments = ['-qmp', `unix:${this.path},server=on,wait=off`];
  }
  /** Call when QEMU is up. */
  async picture(): Promise<Frame> {
    const filename = join(this.directory, 'screen');
    await this.command({ execute: 'screendump', arguments: { filename } });
    return readPpm(readFileSync(filename));
  }
  stop(): void {
    this.socket?.destroy();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async command(command: object): Promise<void> {
    if (this.socket === undefined) {
      this.socket = connect(this.path);
      this.replies = createInterface({ input: this.socket })[Symbol.asyncIterator]();
      await this.command({ execute: 'qmp_capabilities' });
    }
    this.socket.write(JSON.stringify(command));
    for (;;) {
      const { value, done } = await this.replies!.next();
      const reply = done === true ? '"error": QEMU has ended' : (value as string);
      if (reply.includes('"error"')) throw new Error(reply);
      if (reply.includes('"return"')) return;
    }
  }
}

/** PPM (P6, eight bits) as QEMU's screendump writes it. */
export function readPpm(file: Uint8Array): Frame {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(Buffer.from(file.subarray(0, 64)).toString('latin1'))!;
  const [width, height] = [Number(header[1]), Number(header[2])];
  const rgba = new Uint8Array(width * height * 4).fill(0xff);
  for (let i = 0; i < width * height; i++)
    rgba.set(file.subarray(header[0].length + i * 3, header[0].length + i * 3 + 3), i * 4);
  return { width, height, rgba };
}

/** The largest difference of any colour part of any dot that is not skipped. */
export function worstDifference(a: Frame, b: Frame, skipped: (x: number, y: number) => boolean = () => false): number {
  let worst = 0;
  for (let i = 0; i < a.rgba.length; i++) {
    const difference = Math.abs(a.rgba[i]! - b.rgba[i]!);
    if (difference <= worst) continue;
    const dot = i >> 2;
    if (!skipped(dot % a.width, Math.floor(dot / a.width))) worst = difference;
  }
  return worst;
}
