/** Where a test kernel can run. Each runner boots the same file and answers with what came out of COM1 and how it ended. */
import { spawn, spawnSync } from 'node:child_process';

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
  run(kernel: string): Promise<KernelRun>;
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
  run: (kernel) =>
    new Promise((resolve, reject) => {
      const args = [
        ...['-accel', 'tcg', '-cpu', 'pentium3', '-m', String(KERNEL_RAM / 2 ** 20), '-nodefaults'],
        ...['-kernel', kernel, '-append', KERNEL_COMMAND_LINE, '-serial', 'stdio', '-display', 'none'],
        ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-no-reboot'],
      ];
      const child = spawn(QEMU, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
      let output = '';
      let complaint = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
      child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString('latin1')));
      child.on('error', reject);
      child.on('close', (status) => {
        const lines = output.replaceAll('\r', '').split('\n');
        if (lines.at(-1) === '') lines.pop();
        if (status === null) reject(new Error(`${kernel} did not end; last line: ${lines.at(-1) ?? 'none'}`));
        else if (complaint !== '') reject(new Error(`${QEMU}: ${complaint}`));
        else resolve({ lines, end: endOf(status) });
      });
    }),
};
