/** The hypervisors that are compared: how each is started so that its standard output is the guest's serial port. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Boot {
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
  readonly memoryMiB: number;
}
export interface Started {
  readonly command: string;
  readonly args: readonly string[];
  /** Which of its outputs carries the serial port. */
  readonly serial: 'stdout' | 'stderr';
  /** Removes what was written for this run; to be called when it is over, whatever came of it. */
  readonly cleanUp?: () => void;
}
export interface Peer {
  readonly name: string;
  /** What it is, for a reader of the figures. */
  readonly what: string;
  start(boot: Boot, until: RegExp, timeoutSeconds: number): Started;
}

const MAIN = join(import.meta.dirname, '../../packages/cli/tomei.js');

export const tomei: Peer = {
  name: 'Tomei',
  what: '`tomei run`: hot code compiled to WebAssembly by a thread beside the guest’s processor, the rest interpreted',
  start(boot, until, timeoutSeconds) {
    const folder = mkdtempSync(join(tmpdir(), 'tomei-bench-'));
    const vmx = join(folder, 'bench.vmx');
    const values = {
      'config.version': '8',
      displayName: 'bench',
      memsize: String(boot.memoryMiB),
      'serial0.present': 'TRUE',
      'tomei.kernel': boot.kernel,
      'tomei.initrd': boot.initrd,
      'tomei.cmdline': boot.commandLine,
    };
    writeFileSync(
      vmx,
      Object.entries(values)
        .map(([key, value]) => `${key} = "${value}"\n`)
        .join(''),
    );
    const args = [MAIN, 'run', vmx, '--expect', until.source, '--timeout', String(timeoutSeconds), '--stats', '--json'];
    const cleanUp = (): void => rmSync(folder, { recursive: true, force: true });
    return { command: process.execPath, args, serial: 'stderr', cleanUp };
  },
};

export const qemu: Peer = {
  name: 'QEMU TCG',
  what: "Debian's `qemu-system-i386 -accel tcg`",
  start: ({ kernel, initrd, commandLine, memoryMiB }) => ({
    command: 'qemu-system-i386',
    args: [
      ...['-accel', 'tcg', '-m', String(memoryMiB), '-kernel', kernel, '-initrd', initrd, '-append', commandLine],
      ...['-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ],
    serial: 'stdout',
  }),
};

export const v86: Peer = {
  name: 'v86',
  what: 'the npm package `v86` in Node, with SeaBIOS',
  start: ({ kernel, initrd, commandLine, memoryMiB }) => ({
    command: process.execPath,
    args: [join(import.meta.dirname, 'v86-guest.ts'), kernel, initrd, commandLine, String(memoryMiB)],
    serial: 'stdout',
  }),
};

export const PEERS: readonly Peer[] = [tomei, qemu, v86];

/** What `tomei run --stats --json` tells of a run at its end. */
export interface PeerStats {
  /** Guest instructions of the whole run. */
  readonly instructions: number;
  /** The longest that the processor's thread stood still for compiled code, in milliseconds. */
  readonly longestPauseMs: number | undefined;
}
/** The statistics in the last line of an output; undefined where there are none. */
export function statsOf(output: string): PeerStats | undefined {
  const line = output.trim().split('\n').at(-1) ?? '';
  const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
  try {
    const { stats } = JSON.parse(line) as {
      stats?: { instructions?: unknown; compiled?: { longestMs?: unknown } };
    };
    const instructions = number(stats?.instructions);
    return instructions === undefined
      ? undefined
      : { instructions, longestPauseMs: number(stats?.compiled?.longestMs) };
  } catch {
    return undefined;
  }
}

/** The version of v86 that is installed here. */
export function v86Version(): string {
  const path = join(import.meta.dirname, '../node_modules/v86/package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
