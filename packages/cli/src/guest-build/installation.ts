/** Builds a guest that is a whole Debian: installed by its own packages, on a partition, with GRUB in front of it. */
import { closeSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { importRaw } from '@tomei/vmdk';
import { runTool } from '../host/tool.ts';
import { PrivateApt } from './apt.ts';
import { ARCHITECTURE, FILE_TIME, type Builder } from './builder.ts';
import { guestFiles, guestVmx } from './files.ts';
import { embedGrub } from './grub.ts';
import { install, isRoot, type Stage } from './mmdebstrap.ts';
import type { Progress, Step } from './progress.ts';
import type { InstallationRecipe, LoadedRecipe } from './recipe.ts';

const STEPS = [
  { name: 'reading the package lists', weight: 6 },
  { name: 'fetching packages', weight: 10 },
  { name: 'installing packages', weight: 40 },
  { name: 'packing the system', weight: 5 },
  { name: 'writing the file system', weight: 8 },
  { name: 'writing the disk', weight: 5 },
] as const satisfies readonly Step[];
type StepName = (typeof STEPS)[number]['name'];
const STEP_OF: Readonly<Record<Stage, StepName>> = {
  'reading lists': 'reading the package lists',
  fetching: 'fetching packages',
  installing: 'installing packages',
  packing: 'packing the system',
};

/** The usual place of a first partition, in sectors: 1 MiB. */
const FIRST_SECTOR = 2048;
const MEBIBYTE = 2 ** 20;

/**
 * Run by a shell that is root, or root of a user namespace, in the work folder: unpacks the archive $1 and makes the file system
 * in the image $2. The remaining arguments are mke2fs's. What belongs to the namespace's other users is removed in it.
 */
const MAKE_FILE_SYSTEM = `set -eu
archive=$1; image=$2; shift 2
mkdir system
tar --extract --file "$archive" --directory system --preserve-permissions --numeric-owner
mkdir -p system/dev
cp system/boot/grub/i386-pc/boot.img system/boot/grub/i386-pc/core.img .
mke2fs -q -F -t ext4 -d system "$@"
rm -rf system`;

async function assemble(
  loaded: LoadedRecipe<InstallationRecipe>,
  work: string,
  cache: string,
  progress: Progress,
): Promise<string[]> {
  let current: StepName | undefined;
  const step = (name: StepName): void => {
    if (name !== current) progress.step((current = name));
  };
  const { recipe, folder } = loaded,
    files = guestFiles(loaded),
    home = join(cache, 'debian', ARCHITECTURE);

  step('reading the package lists');
  const apt = new PrivateApt(home, ARCHITECTURE);
  await apt.update((line) => progress.note(line));
  const sources = await apt.sources(recipe.suite);

  const overlay = join(work, 'overlay.tar'),
    archive = join(work, 'system.tar');
  const sameOwner = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', `--mtime=@${FILE_TIME}`];
  // Git keeps of a file's mode whether it is executable.
  const sameMode = '--mode=u=rwX,go=rX';
  await runTool('tar', ['-c', '-f', overlay, '-C', join(folder, 'root'), ...sameOwner, sameMode, '.']);
  const plan = {
    ...{ architecture: ARCHITECTURE, suite: recipe.suite, sources, packages: recipe.packages },
    ...{ overlay, finish: join(folder, 'finish'), cache: join(home, 'archives'), archive, time: FILE_TIME },
  };
  const packages = await install(plan, (stage, done) => {
    step(STEP_OF[stage]);
    progress.fraction(done);
  });

  step('writing the file system');
  const image = join(work, 'disk.raw');
  await makeDisk(recipe, archive, image, work);
  embedGrub(image, join(work, 'boot.img'), join(work, 'core.img'), FIRST_SECTOR);

  step('writing the disk');
  await importRaw(image, join(work, files.disk), {
    onProgress: ({ done, total }) => progress.fraction(done / total),
  });
  writeFileSync(join(work, files.vmx), guestVmx(loaded));
  return packages;
}

/** A disk with one partition, which holds the archive's files. */
async function makeDisk(recipe: InstallationRecipe, archive: string, image: string, work: string): Promise<void> {
  const { sizeMiB, label, uuid } = recipe.disk;
  const file = openSync(image, 'w');
  ftruncateSync(file, sizeMiB * MEBIBYTE);
  closeSync(file);
  // The disk's signature is the beginning of the file system's UUID: the same for the same recipe.
  const table = `label: dos\nlabel-id: 0x${uuid.slice(0, 8)}\nstart=${FIRST_SECTOR}, type=83, bootable\n`;
  await runTool('sfdisk', ['--quiet', image], { input: table });
  const extended = `offset=${FIRST_SECTOR * 512},hash_seed=${uuid},lazy_itable_init=0,lazy_journal_init=0`;
  const sizeKiB = sizeMiB * 1024 - FIRST_SECTOR / 2;
  const mke2fs = ['-L', label, '-U', uuid, '-E', extended, image, `${sizeKiB}k`];
  const shell = ['sh', '-c', MAKE_FILE_SYSTEM, 'sh', archive, image, ...mke2fs];
  const [command = '', ...args] = isRoot() ? shell : ['unshare', '--user', '--map-root-user', '--map-auto', ...shell];
  await runTool(command, args, { cwd: work, env: { E2FSPROGS_FAKE_TIME: String(FILE_TIME) } });
}

export const INSTALLATION: Builder<InstallationRecipe> = { steps: STEPS, assemble };
