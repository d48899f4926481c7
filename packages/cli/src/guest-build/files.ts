/** The files of a finished guest, and the `.vmx` that joins them. */
import { createVmx, formatVmx } from '@tomei/vmx';
import type { LoadedRecipe } from './recipe.ts';

/** Names of the files, by role; all lie in one folder. */
export interface GuestFiles {
  readonly disk: string;
  readonly vmx: string;
  /** What the guest was built from; see `stamp.ts`. */
  readonly stamp: string;
  /** Only where the kernel is started directly. */
  readonly direct?: { readonly kernel: string; readonly initrd: string };
}

export const guestFiles = ({ name, recipe }: LoadedRecipe): GuestFiles => ({
  ...{ disk: `${name}.vmdk`, vmx: `${name}.vmx`, stamp: 'build.json' },
  ...(recipe.kind === 'direct' ? { direct: { kernel: 'vmlinuz', initrd: 'initrd.gz' } } : {}),
});

/** Every file but the stamp, which is written when the others are in their place. */
export const builtFiles = ({ disk, vmx, direct }: GuestFiles): string[] => [
  ...(direct === undefined ? [] : [direct.kernel, direct.initrd]),
  ...[disk, vmx],
];

/** The `.vmx`, with file names relative to itself, so that the folder can be moved. */
export function guestVmx(loaded: LoadedRecipe): Uint8Array {
  const { recipe } = loaded,
    files = guestFiles(loaded);
  const values: [string, string][] = [
    ['config.version', '8'],
    ['virtualHW.version', '8'],
    ['displayName', recipe.displayName],
    ['guestOS', recipe.guestOS],
    ['memsize', String(recipe.memoryMiB)],
    ['numvcpus', '1'],
    ['ide0:0.present', 'TRUE'],
    ['ide0:0.deviceType', 'disk'],
    ['ide0:0.fileName', files.disk],
  ];
  // A machine that boots by itself has a drive, for whoever puts a disc in.
  if (files.direct === undefined) values.push(['ide1:0.present', 'TRUE'], ['ide1:0.deviceType', 'cdrom-image']);
  values.push(['serial0.present', 'TRUE']);
  if (recipe.kind === 'direct' && files.direct !== undefined) {
    values.push(
      ['tomei.kernel', files.direct.kernel],
      ['tomei.initrd', files.direct.initrd],
      ['tomei.cmdline', recipe.commandLine],
    );
  }
  return formatVmx(createVmx(values, files.vmx));
}
