/** Builds a guest from its recipe: Debian packages in, kernel, initrd, disk and `.vmx` out. Needs no root and no loop device. */
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { TomeiError } from '@tomei/kit';
import { importRaw, lockHolder } from '@tomei/vmdk';
import { cacheFolder } from '../host/folders.ts';
import { runTool } from '../host/tool.ts';
import { PrivateApt } from './apt.ts';
import { GUEST_FILES, findKernel, guestVmx, initrdTree, rootTree } from './contents.ts';
import { cpio } from './cpio.ts';
import { makeExt4 } from './disk-image.ts';
import type { Progress, Step } from './progress.ts';
import type { LoadedRecipe } from './recipe.ts';
import { buildState, writeStamp, type BuildState } from './stamp.ts';

/** One time on every file, so that the same packages give the same image: 2024-01-01 00:00 UTC, in seconds since 1970. */
const FILE_TIME = 1_704_067_200;
/** A 32-bit PC. */
const ARCHITECTURE = 'i386';

/** The steps of a build with their usual share of its time. */
export const BUILD_STEPS = [
  { name: 'reading the package lists', weight: 3 },
  { name: 'fetching packages', weight: 4 },
  { name: 'unpacking packages', weight: 3 },
  { name: 'finding the kernel modules', weight: 3 },
  { name: 'writing the initrd', weight: 1 },
  { name: 'writing the disk', weight: 1 },
] as const satisfies readonly Step[];
type StepName = (typeof BUILD_STEPS)[number]['name'];

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
  const out = resolve(options.out);
  const vmx = join(out, GUEST_FILES(recipe.name).vmx);
  const found = buildState(out, recipe);
  if (!options.force && (found === 'current' || found === 'outdated-used')) return { found, built: false, vmx };
  await refuseUsedDisk(join(out, GUEST_FILES(recipe.name).disk));

  mkdirSync(out, { recursive: true });
  // Beside the result, so that moving the finished files there is a rename.
  const work = mkdtempSync(join(dirname(out), `.${basename(out)}-`));
  const progress = options.progress();
  let complete = false;
  try {
    const packages = await assemble(recipe, work, options.cache ?? cacheFolder(), progress);
    for (const file of Object.values(GUEST_FILES(recipe.name))) {
      if (file !== GUEST_FILES(recipe.name).stamp) renameSync(join(work, file), join(out, file));
    }
    writeStamp(
      out,
      recipe,
      packages.map((path) => basename(path)),
    );
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

/** Writes the guest's files into `work`. Returns the package files that they were made from. */
async function assemble(recipe: LoadedRecipe, work: string, cache: string, progress: Progress): Promise<string[]> {
  const step = (name: StepName): void => progress.step(name);
  const files = GUEST_FILES(recipe.name);
  const apt = new PrivateApt(join(cache, 'debian', ARCHITECTURE), ARCHITECTURE);

  step('reading the package lists');
  const trouble = await apt.update();
  if (trouble !== undefined)
    progress.note(`Some package lists could not be fetched, trying with the others: ${trouble}`);

  step('fetching packages');
  const kernelPackage = await apt.dependencyOf(recipe.recipe.kernel.dependencyOf);
  const packages = await apt.download([kernelPackage, ...recipe.recipe.packages], (done) => progress.fraction(done));

  step('unpacking packages');
  const unpacked = join(work, 'packages');
  mkdirSync(unpacked);
  for (const [index, path] of packages.entries()) {
    await runTool('dpkg-deb', ['-x', path, unpacked]);
    progress.fraction((index + 1) / packages.length);
  }

  step('finding the kernel modules');
  const kernel = findKernel(unpacked);
  await runTool('depmod', ['-b', unpacked, kernel.release]);
  copyFileSync(kernel.image, join(work, files.kernel));

  step('writing the initrd');
  const archive = cpio(initrdTree(recipe, unpacked, kernel), FILE_TIME);
  writeFileSync(join(work, files.initrd), gzipSync(archive, { level: 9 }));

  step('writing the disk');
  const image = join(work, 'root.ext4');
  await makeExt4(rootTree(recipe, unpacked), recipe.recipe.disk, image, work, FILE_TIME);
  await importRaw(image, join(work, files.disk), {
    onProgress: ({ done, total }) => progress.fraction(done / total),
  });
  writeFileSync(join(work, files.vmx), guestVmx(recipe));
  return packages;
}
