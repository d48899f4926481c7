/** The tiny guest for tests: built once, by the command that people use, and copied for each use. */
import { copyFile, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startGuest, type Guest, type StartOptions } from '@tomei/guest';
import { tomei } from './cli.ts';

const BUILT = fileURLToPath(new URL('../../artefacts/guests/tiny/', import.meta.url));

/** A guest of a test's own. */
export interface TinyGuest {
  readonly vmx: string;
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
}

/** Builds the guest if it is not there. Throws with the last words of the build. */
export async function buildTiny(): Promise<void> {
  const { code, stderr } = await tomei('guest', 'build', 'tiny', '--out', BUILT);
  if (code !== 0) throw new Error(`the tiny guest cannot be built: ${stderr.trim().split('\n').at(-1)}`);
}

export interface CopyOptions {
  /** Default: as built. */
  readonly disk?: string;
  /** Whether the copy is for a pool, which takes no links that lead out of it. */
  readonly inPool?: boolean;
  /** Lines of the `.vmx` besides. */
  readonly settings?: readonly string[];
}
/** A copy in `folder`, with a disk of its own. */
export async function copyTiny(folder: string, name: string, options: CopyOptions = {}): Promise<TinyGuest> {
  const { disk = join(BUILT, 'tiny.vmdk'), inPool = false, settings = [] } = options;
  const at = (file: string): string => join(folder, `${name}${file}`);
  const text = await readFile(join(BUILT, 'tiny.vmx'), 'latin1');
  await copyFile(disk, at('.vmdk'));
  const place = inPool ? copyFile : symlink;
  await place(join(BUILT, 'vmlinuz'), at('.vmlinuz'));
  await place(join(BUILT, 'initrd.gz'), at('.initrd'));
  await writeFile(
    at('.vmx'),
    text
      .replace('"tiny.vmdk"', `"${name}.vmdk"`)
      .replace('"vmlinuz"', `"${name}.vmlinuz"`)
      .replace('"initrd.gz"', `"${name}.initrd"`) + settings.map((line) => `${line}\n`).join(''),
    'latin1',
  );
  return {
    vmx: at('.vmx'),
    disk: at('.vmdk'),
    kernel: at('.vmlinuz'),
    initrd: at('.initrd'),
    commandLine: /^tomei\.cmdline = "(.*)"$/m.exec(text)![1]!,
  };
}

/** A guest and its first serial port. */
export class Console implements AsyncDisposable {
  readonly guest: Guest;
  /** All that the guest wrote, as Latin-1, and what its process warned of. */
  output = '';
  readonly warnings: string[] = [];
  /** Texts that the guest has copied. */
  readonly copied: string[] = [];
  private from = 0;
  private over = false;
  private readonly waiting = new Set<() => void>();

  constructor(vmx: string, options: StartOptions = {}) {
    const wake = (): void => {
      for (const resume of this.waiting) resume();
      this.waiting.clear();
    };
    this.guest = startGuest(
      vmx,
      {
        serial: (_port, bytes) => {
          this.output += Buffer.from(bytes).toString('latin1');
          wake();
        },
        warning: (text) => void this.warnings.push(text),
        copied: (text) => void this.copied.push(text),
      },
      options,
    );
    const ended = (): void => {
      this.over = true;
      wake();
    };
    this.guest.ended.then(ended, ended);
  }
  send(text: string): void {
    this.guest.type(0, Buffer.from(text, 'latin1'));
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.guest.kill();
    await this.guest.ended.catch(() => undefined);
  }
  /** Waits for output behind the match before, and returns it up to and with the match. Throws when the guest ends first. */
  async expect(pattern: RegExp): Promise<string> {
    for (;;) {
      const text = this.output.slice(this.from),
        match = pattern.exec(text);
      if (match !== null) {
        this.from += match.index + match[0].length;
        return text.slice(0, match.index + match[0].length);
      }
      if (this.over) {
        await this.guest.ended;
        throw new Error(`no ${String(pattern)} before the guest ended:\n${text.slice(-2000)}`);
      }
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }
}

/** Shell commands whose output says much about processor and kernel, and nothing about the machine around them. */
export const SHELL_COMMANDS = [
  'uname -srvm',
  'id',
  'cat /etc/issue /etc/hosts',
  'ls -l /bin/sh /etc /usr',
  'ls / /etc/init.d',
  'mount | grep -v devtmpfs',
  `awk 'BEGIN { printf "%.14f %.15g %.15g\\n", atan2(1, 1) * 4, exp(1), sqrt(2) ^ 0.1 }'`,
  'seq 1 3000 | md5sum',
  'sha512sum /bin/busybox',
  'find / -xdev | sort | sha1sum',
  'gzip < /bin/busybox | gunzip | md5sum',
  'echo $((3 ** 25 / 7)) $((-17 % 5)) | tr 0-9 a-j',
  'echo "2 ^ 200 / 3" | bc',
];
/** One line for the shell; what it prints stands between BEGIN-2 and END-42, which the echo of the line does not contain. */
export const SHELL_LINE = `echo BEGIN-$((1+1)); { ${SHELL_COMMANDS.join('; ')}; } 2>&1; echo END-$((40+2))\n`;

/** What the shell commands printed: without kernel messages and carriage returns. */
export function shellOutput(console: string): string[] {
  const text = /BEGIN-2\r?\n([^]*?)END-42/.exec(console)?.[1];
  if (text === undefined) throw new Error(`no output of the shell commands in:\n${console.slice(-2000)}`);
  // The kernel may say something in the midst of a line.
  return text
    .replaceAll('\r', '')
    .replaceAll(/\[ *[0-9]+\.[0-9]{6}\] .*\n/g, '')
    .split('\n');
}
export const KERNEL_LINE = /^\[ *[0-9]+\.[0-9]{6}\] /;
