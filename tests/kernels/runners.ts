/** Where a test kernel can run. Each runner boots the same file and answers with what came out of COM1 and how it ended. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import {
  HostClock,
  InstructionClock,
  Machine,
  type CompilingOptions,
  type MachineClock,
  type VmiMode,
} from '@tomei/paravirt-core';

/** Bytes of RAM that the expectations assume. */
export const KERNEL_RAM = 32 * 2 ** 20;
/** Command line and module that the expectations assume. */
export const KERNEL_COMMAND_LINE = 'one two=3';

export interface KernelRun {
  /** Lines of serial output, without carriage returns. */
  readonly lines: readonly string[];
  /** `exit N` (the byte written to port 0xf4) or `triple fault`. */
  readonly end: string;
}
export interface KernelRunner {
  readonly name: string;
  /** Why it cannot run here, or undefined. */
  missing(): string | undefined;
  /** On so many processors; one when absent. */
  run(kernel: string, processors?: number): Promise<KernelRun>;
}

const QEMU = 'qemu-system-i386';
/** QEMU's exit status of isa-debug-exit is twice the byte, plus one; 0 means that the machine was reset. */
const endOf = (status: number): string => (status === 0 ? 'triple fault' : `exit ${status >> 1}`);

/** QEMU's translator (never KVM) with a processor of about the features that the engine has. */
export const qemuRunner: KernelRunner = {
  name: 'qemu',
  missing: () =>
    spawnSync(QEMU, ['--version']).status === 0
      ? undefined
      : `${QEMU} is not installed (Debian package qemu-system-x86): nothing to compare with`,
  run: (kernel, processors = 1) =>
    new Promise((resolve, reject) => {
      // Each in a socket of its own: SeaBIOS lists sockets in the MP table.
      const args = [
        ...['-accel', 'tcg', '-cpu', 'pentium3,+nx', '-m', String(KERNEL_RAM / 2 ** 20), '-nodefaults'],
        ...['-kernel', kernel, '-append', KERNEL_COMMAND_LINE, '-serial', 'stdio', '-display', 'none'],
        ...[
          '-smp',
          `${processors},sockets=${processors}`,
          '-device',
          'isa-debug-exit,iobase=0xf4,iosize=4',
          '-no-reboot',
        ],
      ];
      const child = spawn(QEMU, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
      let output = '';
      let complaint = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
      child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString('latin1')));
      child.on('error', reject);
      child.on('close', (status) => {
        const lines = linesOf(output);
        if (status === null) reject(new Error(`${kernel} did not end; last line: ${lines.at(-1) ?? 'none'}`));
        else if (complaint !== '') reject(new Error(`${QEMU}: ${complaint}`));
        else resolve({ lines, end: endOf(status) });
      });
    }),
};

/** More than any kernel needs, in instructions: one that does not end is a failure, not a hang. */
const INSTRUCTION_LIMIT = 500e6;

/** A kernel in a machine of the engine's; `vmi` is what it finds of that interface, and `trouble` hears what it did wrong there. */
export const tomei = (
  name: string,
  clock: () => MachineClock,
  compiling?: CompilingOptions,
  { vmi = 'off', trouble }: { readonly vmi?: VmiMode; readonly trouble?: (device: string, what: string) => void } = {},
): KernelRunner => ({
  name,
  missing: () => undefined,
  run: (kernel, processors = 1) => {
    let output = '';
    const line = { write: (byte: number) => void (output += String.fromCharCode(byte)) };
    const machine = new Machine(
      {
        ramBytes: KERNEL_RAM,
        videoMemoryBytes: 2 ** 20,
        epoch: 1_700_000_000,
        kernel: { name: kernel, bytes: new Uint8Array(readFileSync(kernel)) },
        commandLine: KERNEL_COMMAND_LINE,
        vmi,
        processors,
      },
      { serial: [line], disks: [], ...(trouble === undefined ? {} : { trouble }) },
      clock(),
      undefined,
      compiling,
    );
    machine.powerOn();
    let end = machine.runSlice();
    while (end.kind !== 'stopped' && machine.instructions < INSTRUCTION_LIMIT) end = machine.runSlice();
    const lines = linesOf(output);
    if (end.kind !== 'stopped') {
      return Promise.reject(
        new Error(`${kernel} did not end (${machine.describe()}); last line: ${lines.at(-1) ?? 'none'}`),
      );
    }
    return Promise.resolve({ lines, end: end.why === 'exit' ? `exit ${end.status >> 1}` : end.why.replace('-', ' ') });
  },
});
/** The interpreter, with time by instructions. */
export const tomeiRunner = tomei('tomei', () => new InstructionClock());
/** Compiled code for all that control lands on, in the host's time: exact counts are not kept there. */
export const compiledRunner = tomei('tomei, compiled', () => new HostClock(), { hotLandings: 1 });

function linesOf(output: string): string[] {
  const lines = output.replaceAll('\r', '').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
