/** Builds a guest from its recipe: Debian packages in, disk and `.vmx` out. Needs no loop device. */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { TomeiError } from '@tomei/kit';
import { lockHolder } from '@tomei/vmdk';
import { cacheFolder } from '../host/folders.ts';
import { DIRECT } from './direct.ts';
import { builtFiles, guestFiles } from './files.ts';
import { INSTALLATION } from './installation.ts';
import type { Progress, Step } from './progress.ts';
import type { LoadedRecipe } from './recipe.ts';
import { buildState, writeStamp, type BuildState } from './stamp.ts';

/** The steps of a build with their usual share of its time. */
export const buildSteps = ({ recipe }: LoadedRecipe): readonly Step[] =>
  recipe.kind === 'direct' ? DIRECT.steps : INSTALLATION.steps;

export interface BuildOptions {
  /** The folder for the guest; made when it is not there. */
  readonly out: string;
  /** Builds even when the guest is there, and gives up what was written to its disk. */
  readonly force: boolean;
  readonly progress: () => Progress;
  /** Where package lists and packages are kept between builds. */
  readonly cache?: string;
}

export interface BuildResult {
  /** What was found; for `current` and `outdated-used` without `force` nothing was built. */
  readonly found: BuildState;
  readonly built: boolean;
  /** The finished `.vmx`. */
  readonly vmx: string;
}

/** Makes the guest, or leaves a current or used one alone. A build that fails leaves the folder as it was. */
export async function buildGuest(recipe: LoadedRecipe, options: BuildOptions): Promise<BuildResult> {
  const out = resolve(options.out),
    files = guestFiles(recipe);
  const vmx = join(out, files.vmx);
  const found = buildState(out, recipe);
  if (!options.force && (found === 'current' || found === 'outdated-used')) return { found, built: false, vmx };
  await refuseUsedDisk(join(out, files.disk));

  mkdirSync(out, { recursive: true });
  // Beside the result, so that moving the finished files there is a rename.
  const work = mkdtempSync(join(dirname(out), `.${basename(out)}-`));
  const progress = options.progress();
  let complete = false;
  try {
    const packages = await assemble(recipe, work, options.cache ?? cacheFolder(), progress);
    for (const file of builtFiles(files)) renameSync(join(work, file), join(out, file));
    writeStamp(out, recipe, packages);
    complete = true;
  } finally {
    progress.end(complete);
    rmSync(work, { recursive: true, force: true });
  }
  return { found, built: true, vmx };
}

/** A guest that runs would go on with a disk that is not there any more. Throws `disk.locked`. */
async function refuseUsedDisk(disk: string): Promise<void> {
  const lock = await lockHolder(disk);
  if (lock?.alive !== true) return;
  const what = `${disk} is in use by process ${lock.holder.pid}: end that guest first, or build another with --out`;
  throw new TomeiError('disk.locked', what, { data: { file: disk, pid: lock.holder.pid } });
}

function assemble(loaded: LoadedRecipe, work: string, cache: string, progress: Progress): Promise<string[]> {
  const { recipe } = loaded;
  return recipe.kind === 'direct'
    ? DIRECT.assemble({ ...loaded, recipe }, work, cache, progress)
    : INSTALLATION.assemble({ ...loaded, recipe }, work, cache, progress);
}
