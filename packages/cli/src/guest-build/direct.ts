/** Builds a guest whose kernel is started directly: packages unpacked, an initrd, and a disk that is one file system. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { assert } from '@tomei/kit';
import { importRaw } from '@tomei/vmdk';
import { runTool } from '../host/tool.ts';
import { PrivateApt } from './apt.ts';
import { ARCHITECTURE, FILE_TIME, type Builder } from './builder.ts';
import { findKernel, initrdTree, rootTree } from './contents.ts';
import { cpio } from './cpio.ts';
import { makeExt4 } from './disk-image.ts';
import { guestFiles, guestVmx } from './files.ts';
import type { Progress, Step } from './progress.ts';
import type { DirectRecipe, LoadedRecipe } from './recipe.ts';

const STEPS = [
  { name: 'reading the package lists', weight: 3 },
  { name: 'fetching packages', weight: 4 },
  { name: 'unpacking packages', weight: 3 },
  { name: 'finding the kernel modules', weight: 3 },
  { name: 'writing the initrd', weight: 1 },
  { name: 'writing the disk', weight: 1 },
] as const satisfies readonly Step[];
type StepName = (typeof STEPS)[number]['name'];

async function assemble(
  loaded: LoadedRecipe<DirectRecipe>,
  work: string,
  cache: string,
  progress: Progress,
): Promise<string[]> {
  const step = (name: StepName): void => progress.step(name);
  const { recipe } = loaded,
    files = guestFiles(loaded);
  assert(files.direct !== undefined, 'a direct recipe gives a kernel');
  const apt = new PrivateApt(join(cache, 'debian', ARCHITECTURE), ARCHITECTURE);

  step('reading the package lists');
  await apt.update((line) => progress.note(line));

  step('fetching packages');
  const kernelPackage = await apt.dependencyOf(recipe.kernel.dependencyOf);
  const packages = await apt.download([kernelPackage, ...recipe.packages], (done) => progress.fraction(done));

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
  copyFileSync(kernel.image, join(work, files.direct.kernel));

  step('writing the initrd');
  const archive = cpio(initrdTree(loaded, unpacked, kernel), FILE_TIME);
  writeFileSync(join(work, files.direct.initrd), gzipSync(archive, { level: 9 }));

  step('writing the disk');
  const image = join(work, 'root.ext4');
  await makeExt4(rootTree(loaded, unpacked, kernel), recipe.disk, image, work, FILE_TIME);
  await importRaw(image, join(work, files.disk), {
    onProgress: ({ done, total }) => progress.fraction(done / total),
  });
  writeFileSync(join(work, files.vmx), guestVmx(loaded));
  return packages.map((path) => basename(path));
}

export const DIRECT: Builder<DirectRecipe> = { steps: STEPS, assemble };
