/** What is in a guest of a direct recipe: its initrd and its root disk, from the recipe and the unpacked Debian packages. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TomeiError } from '@tomei/kit';
import { moduleLoadOrder } from './modules.ts';
import type { DirectRecipe, LoadedRecipe } from './recipe.ts';
import { Tree } from './tree.ts';

/** A kernel package as unpacked. */
export interface UnpackedKernel {
  /** e.g. 6.1.0-50-686: the name of the folder below lib/modules. */
  readonly release: string;
  readonly image: string;
  readonly modules: string;
}

/** Finds the kernel in a folder that a Debian kernel package was unpacked into. Throws `kernel.package`. */
export function findKernel(unpacked: string): UnpackedKernel {
  const modules = join(unpacked, 'lib/modules');
  const release = existsSync(modules) ? readdirSync(modules)[0] : undefined;
  const image = join(unpacked, `boot/vmlinuz-${release ?? ''}`);
  if (release === undefined || !existsSync(image)) {
    throw new TomeiError('kernel.package', `the kernel package has no kernel: ${image} is not in it`);
  }
  return { release, image, modules: join(modules, release) };
}

/** Busybox under the names of its parts, in the folder `bin`. */
function addBusybox(tree: Tree, busybox: Uint8Array, names: readonly string[]): void {
  tree.file('bin/busybox', busybox, 0o755);
  for (const name of names) tree.link(`bin/${name}`, 'busybox');
}

function readBusybox(unpacked: string, recipe: DirectRecipe): Uint8Array {
  const path = join(unpacked, recipe.busybox.from);
  if (!existsSync(path))
    throw new TomeiError('recipe.invalid', `busybox.from: no ${recipe.busybox.from} in the packages`);
  return readFileSync(path);
}

/** The initrd: busybox, the modules in the order in which to load them, and the recipe's `initrd/`. */
export function initrdTree(
  { recipe, folder }: LoadedRecipe<DirectRecipe>,
  unpacked: string,
  kernel: UnpackedKernel,
): Tree {
  const tree = new Tree();
  for (const path of ['dev', 'proc', 'sys', 'root', 'lib/modules']) tree.directory(path);
  // The kernel opens its console for the first process before /dev is mounted (device numbers: Linux, devices.txt).
  tree.characterDevice('dev/console', 5, 1);
  addBusybox(tree, readBusybox(unpacked, recipe), recipe.busybox.initrd);
  const order = moduleLoadOrder(readFileSync(join(kernel.modules, 'modules.dep'), 'utf8'), recipe.kernel.modules);
  for (const path of order) tree.file(`lib/modules/${path}`, readFileSync(join(kernel.modules, path)));
  tree.file('lib/modules/load', `${order.join('\n')}\n`);
  return tree.overlay(join(folder, 'initrd'));
}

/** The root file system: one folder for programs, reached by all the names they are looked for under. */
export function rootTree(
  { recipe, folder }: LoadedRecipe<DirectRecipe>,
  unpacked: string,
  kernel: UnpackedKernel,
): Tree {
  const tree = new Tree();
  for (const path of ['dev', 'etc', 'mnt', 'proc', 'run', 'sys', 'usr', 'var/log']) tree.directory(path);
  tree.directory('root', 0o700).directory('tmp', 0o1777);
  addBusybox(tree, readBusybox(unpacked, recipe), recipe.busybox.root);
  tree.link('sbin', 'bin').link('usr/bin', '../bin').link('usr/sbin', '../bin').link('var/run', '../run');
  const known = readFileSync(join(kernel.modules, 'modules.dep'), 'utf8');
  const modules = moduleLoadOrder(known, recipe.kernel.diskModules);
  const place = `lib/modules/${kernel.release}`;
  for (const path of modules) tree.file(`${place}/${path}`, readFileSync(join(kernel.modules, path)));
  const lines = known.split('\n').filter((line) => modules.includes(line.slice(0, line.indexOf(':'))));
  tree.file(`${place}/modules.dep`, lines.map((line) => `${line}\n`).join(''));
  tree.overlay(join(folder, 'root'));
  // The one file that only root may read (shadow(5)).
  const shadow = tree.get('etc/shadow');
  if (shadow?.kind === 'file') tree.file(shadow.path, shadow.data, 0o600);
  return tree;
}
