/** `.vmx` files on the host's disk: reading one, and finding everything that is wrong with it at once. */
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { messageOf, TomeiError } from '@tomei/kit';
import { parseVmx, scanVmx, VMX_MAX_BYTES, type VmxFile } from './dictionary.ts';
import { collectGuestConfig, readGuestConfig, type FileReference, type GuestConfig } from './guest-config.ts';
import { Problems, type VmxProblem } from './problem.ts';

export interface LoadedGuest {
  readonly vmx: VmxFile;
  readonly config: GuestConfig;
  readonly warnings: readonly VmxProblem[];
}

/** Reads a `.vmx` file. Throws `vmx.missing`, `vmx.unreadable` and what `parseVmx` and `readGuestConfig` throw. */
export async function loadVmx(path: string): Promise<LoadedGuest> {
  const vmx = parseVmx(await readVmxBytes(path), path);
  return { vmx, ...readGuestConfig(vmx, dirname(resolve(path))) };
}

export interface VmxCheck {
  /** Every finding, in line order: syntax, values, and files that are not there. */
  readonly problems: readonly VmxProblem[];
  /** Whether a guest can be started from it: no errors. */
  readonly ok: boolean;
  /** What could be read; wrong values are replaced by defaults. Absent when the file cannot be read at all. */
  readonly config?: GuestConfig;
}

/** Finds all that is wrong with a `.vmx` file, including kernels, disks, images and shared folders that are missing. Never throws. */
export async function checkVmx(path: string): Promise<VmxCheck> {
  const problems = new Problems(path);
  let bytes: Uint8Array;
  try {
    bytes = await readVmxBytes(path);
  } catch (error) {
    const { code } = error instanceof TomeiError ? error : { code: 'vmx.unreadable' };
    const whole = { severity: 'error', code, message: messageOf(error), fileName: path, line: 0 } as const;
    return { problems: [whole], ok: false };
  }
  const vmx = scanVmx(bytes, path, problems);
  const config = collectGuestConfig(vmx, dirname(resolve(path)), problems);
  const files = [config.boot?.kernel, config.boot?.initrd, ...config.disks.map((disk) => disk.file)];
  for (const file of files) if (file !== undefined) await checkFile(file, problems);
  for (const { folder } of config.shares ?? []) await checkFolder(folder, problems);
  const list = problems.list.toSorted((a, b) => a.line - b.line);
  return { problems: list, ok: !list.some((p) => p.severity === 'error'), config };
}

async function readVmxBytes(path: string): Promise<Uint8Array> {
  try {
    const about = await stat(path);
    if (!about.isFile()) throw new TomeiError('vmx.unreadable', `${path} is not a file`, { data: { file: path } });
    if (about.size > VMX_MAX_BYTES) {
      const what = `${path} is no .vmx: ${about.size} bytes; the limit is ${VMX_MAX_BYTES}`;
      throw new TomeiError('vmx.too-large', what, { data: { file: path } });
    }
    return await readFile(path);
  } catch (error) {
    if (error instanceof TomeiError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const what = missing ? `${path} does not exist` : `${path} cannot be read: ${messageOf(error)}`;
    throw new TomeiError(missing ? 'vmx.missing' : 'vmx.unreadable', what, { cause: error, data: { file: path } });
  }
}

async function checkFolder(folder: FileReference, problems: Problems): Promise<void> {
  const found = await stat(folder.path).catch((error: unknown) => error as NodeJS.ErrnoException);
  if (!(found instanceof Error) && found.isDirectory()) return;
  const isMissing = found instanceof Error && found.code === 'ENOENT';
  const why = isMissing ? 'does not exist' : found instanceof Error ? 'cannot be read' : 'is no folder';
  problems.error('vmx.missing-file', folder, `${folder.key} = "${folder.fileName}": ${folder.path} ${why}`);
}

async function checkFile(file: FileReference, problems: Problems): Promise<void> {
  const report = (why: string): void => {
    problems.error('vmx.missing-file', file, `${file.key} = "${file.fileName}": ${file.path} ${why}`);
  };
  try {
    if (!(await stat(file.path)).isFile()) return report('is not a file');
    await access(file.path, constants.R_OK);
  } catch (error) {
    report((error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read');
  }
}
