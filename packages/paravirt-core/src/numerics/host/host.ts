/** Compiles and runs the reference program on the host processor. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TomeiError } from '@tomei/kit';

const SOURCE = fileURLToPath(new URL('./oracle.c', import.meta.url));
const COMPILER_FLAGS = ['-O1', '-mno-red-zone', '-Wall', '-Wextra', '-Werror'];

/** The compiled reference program. Dispose of it to delete the executable. */
export interface HostProcessor extends Disposable {
  /** Output records for input records (see `oracle.c`). Throws `numerics.host-failed`. */
  run(inputs: Uint8Array): Uint8Array;
}

/** Why the host cannot serve as the reference, or undefined when it can. */
export function whyNoHost(): string | undefined {
  if (process.arch !== 'x64') return `the host processor is ${process.arch}, not x86-64`;
  if (spawnSync('gcc', ['--version']).error !== undefined) return 'gcc is not installed (Debian package gcc)';
  return undefined;
}

/** Whether the host is of the make that the stored vectors come from, which settles what the manuals leave open. */
export function isReferenceHost(): boolean {
  return process.platform === 'linux' && readFileSync('/proc/cpuinfo', 'latin1').includes('AuthenticAMD');
}

export function openHost(): HostProcessor {
  const directory = mkdtempSync(join(tmpdir(), 'tomei-numerics-'));
  const program = join(directory, 'oracle');
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const compiled = spawnSync('gcc', [...COMPILER_FLAGS, '-o', program, SOURCE], { encoding: 'utf8' });
  if (compiled.status !== 0) {
    remove();
    throw new TomeiError('numerics.host-failed', `gcc ${SOURCE}: ${compiled.error?.message ?? compiled.stderr}`);
  }
  return {
    run(inputs) {
      const ran = spawnSync(program, { input: inputs, maxBuffer: inputs.length + 1024 });
      if (ran.status !== 0 || ran.stdout.length !== inputs.length) {
        const why = ran.error?.message ?? `status ${ran.status}, signal ${ran.signal}, ${ran.stdout.length} bytes`;
        throw new TomeiError('numerics.host-failed', `${program}: ${why}`);
      }
      return ran.stdout;
    },
    [Symbol.dispose]: remove,
  };
}
