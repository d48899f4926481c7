/**
 * Discs and floppies that boot, out of Debian's packages: fetched with apt as guests are, unpacked, not installed, and kept below
 * artefacts/media.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrivateApt, cacheFolder, runTool } from '@tomei/cli';

const ARCHITECTURE = 'i386';
const MEDIA = fileURLToPath(new URL('../../artefacts/media/', import.meta.url));

interface Source {
  readonly package: string;
  /** Where it lies in the package; for an installer the folder that has `linux` and `initrd.gz`. */
  readonly path: string;
  /** The kernel's command line of a disc that GRUB boots, which is made here. */
  readonly commandLine?: string;
}
const installer = (kind: string): string =>
  `usr/lib/debian-installer/images/12/i386/${kind}/debian-installer/i386`;
/** For the sake of time: see `deploy/guests/README.md`. */
const QUICK = 'cryptomgr.notests noisapnp';

const SOURCES = {
  'grub-rescue.iso': { package: 'grub-rescue-pc', path: 'usr/lib/grub-rescue/grub-rescue-cdrom.iso' },
  'grub-rescue-floppy.img': { package: 'grub-rescue-pc', path: 'usr/lib/grub-rescue/grub-rescue-floppy.img' },
  'memtest86+.iso': { package: 'memtest86+', path: 'usr/lib/memtest86+/memtest86+ia32.iso' },
  'ipxe.iso': { package: 'ipxe', path: 'usr/lib/ipxe/ipxe.iso' },
  'installer-text.iso': {
    package: 'debian-installer-12-netboot-i386',
    path: installer('text'),
    // The installer's text mode in the screen's text mode: without the driver that would make a framebuffer of it.
    commandLine: `vga=normal nomodeset fb=false ${QUICK}`,
  },
  'installer-graphical.iso': {
    package: 'debian-installer-12-netboot-i386',
    path: installer('gtk'),
    // In a linear mode of the firmware's until its driver of the display adapter takes over.
    commandLine: `vga=788 ${QUICK}`,
  },
} as const satisfies Record<string, Source>;
export type MediumName = keyof typeof SOURCES;

/** The path of a medium. Throws when it cannot be fetched or made, saying why. */
export async function medium(name: MediumName): Promise<string> {
  const source: Source = SOURCES[name];
  const apt = new PrivateApt(join(cacheFolder(), 'debian', ARCHITECTURE), ARCHITECTURE);
  let packageFile: string | undefined;
  const fetch = async (): Promise<string> => (packageFile ??= (await apt.download([source.package], () => undefined))[0]!);
  try {
    await fetch();
  } catch {
    // Lists that were never read, or are older than the archive.
    await apt.update(() => undefined);
    await fetch();
  }
  // The package's file name has its version: another version is another folder, and another command line another file.
  const folder = join(MEDIA, basename(packageFile!, '.deb').replaceAll('%3a', ':')),
    kind = source.commandLine === undefined ? '' : `${createHash('sha256').update(source.commandLine).digest('hex').slice(0, 8)}-`,
    made = join(folder, kind + name);
  if (existsSync(made)) return made;
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, 'work-'));
  try {
    await runTool('dpkg-deb', ['-x', packageFile!, work]);
    const from = join(work, source.path),
      whole = join(work, name);
    if (source.commandLine === undefined) copyFileSync(from, whole);
    else await makeDisc(from, source.commandLine, whole, work);
    // Complete, or not there.
    renameSync(whole, made);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return made;
}

/** A disc from which GRUB starts a kernel (grub-mkrescue(1): Debian packages grub-common, grub-pc-bin, xorriso). */
async function makeDisc(from: string, commandLine: string, disc: string, work: string): Promise<void> {
  const tree = join(work, 'disc');
  mkdirSync(join(tree, 'boot/grub'), { recursive: true });
  for (const file of ['linux', 'initrd.gz']) copyFileSync(join(from, file), join(tree, file));
  const menu = `set timeout=0\nmenuentry 'Install' {\n  linux /linux ${commandLine}\n  initrd /initrd.gz\n}\n`;
  writeFileSync(join(tree, 'boot/grub/grub.cfg'), menu);
  await runTool('grub-mkrescue', ['--directory=/usr/lib/grub/i386-pc', '--output', disc, tree]);
}
