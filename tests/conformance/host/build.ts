/** Compiles `harness.c` once for each version of it and checks that this machine can run the result. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TomeiError, messageOf } from '@tomei/kit';
import { GREETING_SIZE, decodeGreeting, type HostIdentity } from './protocol.ts';

const SOURCE = join(import.meta.dirname, 'harness.c');
const COMPILER = 'gcc';
const FLAGS = [
  '-m32',
  '-O1',
  '-static',
  '-nostdlib',
  '-ffreestanding',
  '-fno-stack-protector',
  '-fno-pie',
  '-no-pie',
  '-fcf-protection=none',
  // The harness itself must not touch the state it reports.
  '-mgeneral-regs-only',
  '-Wl,-z,noexecstack',
];

/** Where compiled harnesses are kept: `$XDG_CACHE_HOME/tomei/host-cpu`, or `~/.cache/tomei/host-cpu`. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tomei', 'host-cpu');
}

function compile(to: string): void {
  const made = `${to}.${process.pid}`;
  const run = spawnSync(COMPILER, [...FLAGS, '-o', made, SOURCE], { encoding: 'utf8' });
  if (run.error !== undefined)
    throw new TomeiError('host-cpu.no-compiler', `${COMPILER} cannot be run; install Debian package gcc-multilib`, {
      cause: run.error,
    });
  if (run.status !== 0)
    throw new TomeiError(
      'host-cpu.no-compiler',
      `${COMPILER} -m32 cannot compile ${SOURCE}; install Debian package gcc-multilib\n${run.stderr.trim()}`,
    );
  renameSync(made, to); // whole or not at all, whoever else builds at the same time
}

/** A harness that has run on this machine. */
export interface Harness {
  readonly path: string;
  readonly identity: HostIdentity;
}

/**
 * The harness, compiled now if this version of it never was. Throws `host-cpu.wrong-machine`, `host-cpu.no-compiler`,
 * `host-cpu.no-cache`, `host-cpu.no-32-bit` or `host-cpu.bad-answer`, with what to do about it.
 */
export function buildHarness(): Harness {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new TomeiError('host-cpu.wrong-machine', `not x86-64 Linux but ${process.arch} ${process.platform}`);
  const version = createHash('sha256').update(readFileSync(SOURCE)).update(FLAGS.join(' ')).digest('hex').slice(0, 16);
  const path = join(cacheDirectory(), `harness-${version}`);
  try {
    mkdirSync(cacheDirectory(), { recursive: true });
  } catch (error) {
    throw new TomeiError('host-cpu.no-cache', `cannot make ${cacheDirectory()}: ${messageOf(error)}`, { cause: error });
  }
  if (!existsSync(path)) compile(path);
  // Without input it greets and ends: the cheapest proof that this kernel runs 32-bit programs.
  const run = spawnSync(path, { input: '', timeout: 10_000 });
  if (run.error !== undefined)
    throw new TomeiError(
      'host-cpu.no-32-bit',
      `this kernel does not run 32-bit programs (CONFIG_IA32_EMULATION, ia32_emulation=on): ${messageOf(run.error)}`,
      { cause: run.error },
    );
  if (run.status !== 0 || run.stdout.length < GREETING_SIZE)
    throw new TomeiError(
      'host-cpu.no-32-bit',
      `the 32-bit harness ends with ${run.status ?? run.signal} here: ${run.stderr.toString().trim()}`,
    );
  return { path, identity: decodeGreeting(run.stdout) };
}
