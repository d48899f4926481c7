/** `tomei guest build NAME`: makes a guest to boot. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { buildGuest, buildSteps } from '../guest-build/build.ts';
import { progressOn } from '../guest-build/progress.ts';
import { isRoot } from '../guest-build/mmdebstrap.ts';
import { loadRecipe, recipeNames, type LoadedRecipe } from '../guest-build/recipe.ts';
import { DEBIAN_PACKAGES, ensurePackages, type DebianPackage } from '../host/debian-packages.ts';

/** The host's packages that a build takes. */
function packagesToBuild({ recipe }: LoadedRecipe): readonly DebianPackage[] {
  if (recipe.kind === 'direct') return DEBIAN_PACKAGES.guestBuild;
  return [...DEBIAN_PACKAGES.installation, ...(isRoot() ? [] : DEBIAN_PACKAGES.namespaces)];
}

export function addGuestCommands(program: Command): void {
  const guest = program.command('guest').description('guests to boot, made from recipes');
  guest
    .command('build')
    .description("make a guest from Debian's own packages: kernel, initrd, disk and .vmx")
    .argument('<name>', `a recipe of deploy/guests/: ${recipeNames().join(', ')}`)
    .option('--out <dir>', 'folder for the guest (default: guests/<name>)')
    .option('--force', 'build again, and give up what the guest has written to its disk')
    .addHelpText(
      'after',
      `
The packages are fetched with apt, through a cache below ~/.cache/tomei, without changing this machine's package lists.
A guest that is there already is left alone.

  tiny    Debian's kernel with busybox, started directly; made in seconds
  debian  a whole Debian 12 (i386) that boots from its disk by GRUB; made in a minute or two by mmdebstrap. Root needs no
          more than a container has; an ordinary user needs user namespaces, the package uidmap, and lines of his own in
          /etc/subuid and /etc/subgid

Examples:
  tomei guest build tiny                   makes guests/tiny/tiny.vmx
  tomei guest build debian --out /tmp/a    makes /tmp/a/debian.vmx`,
    )
    .action(async (name: string, options: { out?: string; force?: boolean }) => {
      const recipe = loadRecipe(name);
      const say = (line: string): void => void process.stderr.write(`${line}\n`);
      await ensurePackages(packagesToBuild(recipe), `building the guest ${name}`, say);
      const result = await buildGuest(recipe, {
        out: options.out ?? join('guests', name),
        force: options.force === true,
        progress: () => progressOn(process.stderr, `guest ${name}`, buildSteps(recipe)),
      });
      if (result.built) say(`Made ${result.vmx}; boot it with: tomei run ${result.vmx}`);
      else if (result.found === 'current') say(`${result.vmx} is up to date.`);
      else say(`${result.vmx} is kept: its recipe has changed, but its disk was written to; --force builds it again.`);
    });
}
