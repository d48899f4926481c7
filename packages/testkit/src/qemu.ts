/**
 * QEMU as the other PC: boots a kernel or a disk the way `tomei run` does, so that a test can compare what both print.
 * Debian packages: qemu-system-x86, seabios.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { accessSync, closeSync, constants, createReadStream, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const PROGRAM = 'qemu-system-i386';

export interface QemuOptions {
  /** Direct boot; without a kernel the firmware boots from the disk. */
  readonly kernel?: string;
  readonly initrd?: string;
  readonly commandLine?: string;
  /** Default 128. */
  readonly memoryMiB?: number;
  /** A virtio disk. QEMU writes to it: give it a copy. */
  readonly disk?: { readonly path: string; readonly format: 'vmdk' | 'raw' };
  /** More of QEMU's own arguments, e.g. ['-cpu', 'pentium3'] or ['-device', 'isa-debug-exit,iobase=0xf4']. */
  readonly arguments?: readonly string[];
}

/** Why tests with QEMU cannot run on this machine, for the skip of a test; undefined when they can. */
export function qemuMissing(): string | undefined {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      accessSync(join(directory, PROGRAM), constants.X_OK);
      return undefined;
    } catch {
      // The next directory may have it.
    }
  }
  return `${PROGRAM} is not installed (Debian package qemu-system-x86)`;
}

/** A running QEMU. Its serial port is here, its screen is nowhere. */
export class Qemu implements AsyncDisposable {
  /** All that the guest wrote to its first serial port, as Latin-1: one character a byte. */
  serial = '';
  /** What QEMU itself complained about. */
  complaints = '';
  private readonly child: ChildProcess;
  private readonly exited: Promise<number | null>;
  private readonly waiting = new Set<() => void>();
  private searchFrom = 0;
  private hasExited = false;

  constructor(options: QemuOptions) {
    const line = new SerialLine();
    this.child = spawn(PROGRAM, qemuArguments(options), { stdio: ['pipe', line.write, 'pipe'] });
    const drained = line.read((text) => {
      this.serial += text;
      this.wake();
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.complaints += text));
    // The guest may end while text is on its way to it.
    this.child.stdin!.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      const ended = (code: number | null): void => {
        this.hasExited = true;
        resolve(code);
        this.wake();
      };
      this.child.on('error', (error) => {
        this.complaints += `${error.message}\n`;
        ended(null);
      });
      this.child.on('close', (code) => void drained.then(() => ended(code)));
    });
  }

  /** Types text into the first serial port. */
  send(text: string): void {
    this.child.stdin!.write(text, 'latin1');
  }

  /**
   * Waits until output behind the match before matches, and returns the output up to and with it. Throws, with the last
   * output, when QEMU ends first or after `timeoutMs` of host time.
   */
  async expect(pattern: RegExp, timeoutMs = 120_000): Promise<string> {
    const from = this.searchFrom;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.wake();
    }, timeoutMs);
    try {
      for (;;) {
        const match = pattern.exec(this.serial.slice(from));
        if (match !== null) {
          this.searchFrom = from + match.index + match[0].length;
          return this.serial.slice(from, this.searchFrom);
        }
        if (late || this.hasExited) {
          const why = late ? `within ${timeoutMs} ms` : 'before QEMU ended';
          throw new Error(`no ${String(pattern)} ${why}:\n${this.serial.slice(-2000)}\n${this.complaints}`);
        }
        await new Promise<void>((resolve) => this.waiting.add(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for QEMU to end by itself and returns its exit code (null: ended by a signal, or never started). */
  async exit(): Promise<number | null> {
    return this.exited;
  }

  /** Ends QEMU, at once. */
  async stop(): Promise<void> {
    if (this.hasExited || this.child.pid === undefined) return;
    this.child.kill('SIGKILL');
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private wake(): void {
    for (const resume of this.waiting) resume();
    this.waiting.clear();
  }
}

/**
 * QEMU's standard output as a named pipe. It throws serial output away that it cannot write at once; a socket, which is what Node
 * gives a child, takes a few hundred small writes, a pipe 64 KiB.
 */
class SerialLine {
  /** For the child. */
  readonly write: number;
  private readonly folder = mkdtempSync(join(tmpdir(), 'tomei-qemu-'));
  private readonly path = join(this.folder, 'serial');

  constructor() {
    execFileSync('mkfifo', [this.path]);
    // For both ways: opening one end alone would wait for the other.
    this.write = openSync(this.path, 'r+');
  }
  /** Passes on what is written, as Latin-1; fulfilled when the child has ended. Call once, when the child is started. */
  read(take: (text: string) => void): Promise<void> {
    const stream = createReadStream(this.path, { encoding: 'latin1' });
    stream.on('data', (text) => take(String(text)));
    stream.on('open', () => {
      closeSync(this.write);
      rmSync(this.folder, { recursive: true });
    });
    return new Promise((resolve) => stream.on('close', resolve));
  }
}

/** The arguments for a PC with one serial port, no network and nothing on the host's screen. */
export function qemuArguments(options: QemuOptions): string[] {
  const list = ['-accel', 'tcg', '-m', String(options.memoryMiB ?? 128), '-no-reboot', '-nic', 'none'];
  list.push('-display', 'none', '-serial', 'stdio', '-monitor', 'none');
  if (options.kernel !== undefined) list.push('-kernel', options.kernel);
  if (options.initrd !== undefined) list.push('-initrd', options.initrd);
  if (options.commandLine !== undefined) list.push('-append', options.commandLine);
  if (options.disk !== undefined) {
    list.push('-drive', `file=${options.disk.path.replaceAll(',', ',,')},format=${options.disk.format},if=virtio`);
  }
  list.push(...(options.arguments ?? []));
  return list;
}
