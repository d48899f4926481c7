/** The root file system: ext4 made from a tree, without a loop device and without being root. */
import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../host/tool.ts';
import type { Recipe } from './recipe.ts';
import { writeTree, type Tree } from './tree.ts';

/** Makes `image`, a raw ext4 file system of the recipe's size. `work` is an empty folder for what lies between. */
export async function makeExt4(
  tree: Tree,
  disk: Recipe['disk'],
  image: string,
  work: string,
  time: number,
): Promise<void> {
  const source = join(work, 'root');
  mkdirSync(source);
  writeTree(tree, source, time);
  const file = openSync(image, 'w');
  ftruncateSync(file, disk.sizeMiB * 2 ** 20);
  closeSync(file);
  // Everything initialized now: a guest must not have to write its empty inode tables in its first minutes.
  const extended = `root_owner=0:0,hash_seed=${disk.uuid},lazy_itable_init=0,lazy_journal_init=0`;
  await runTool(
    'mke2fs',
    ['-q', '-F', '-t', 'ext4', '-m', '0', '-L', disk.label, '-U', disk.uuid, '-E', extended, '-d', source, image],
    { env: { E2FSPROGS_FAKE_TIME: String(time) } },
  );
  // mke2fs copies the owner of the files, which is whoever builds; in the guest they are root's.
  const commands = tree.entries().flatMap(({ path }) => [`sif "/${path}" uid 0`, `sif "/${path}" gid 0`]);
  await runTool('debugfs', ['-w', '-f', '-', image], {
    input: `${commands.join('\n')}\n`,
    env: { E2FSPROGS_FAKE_TIME: String(time) },
  });
}
