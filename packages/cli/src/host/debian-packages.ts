/** The Debian packages that a command needs: found out, installed where that is allowed, named where it is not. */
import { TomeiError } from '@tomei/kit';
import { findCommand, runTool } from './tool.ts';

/** A package and how to see that it is there: a command of it, or else dpkg's word. */
export interface DebianPackage {
  readonly name: string;
  readonly command?: string;
}

/** What the project uses from Debian, by the job that needs it. */
export const DEBIAN_PACKAGES = {
  /** Makes guests out of Debian packages. */
  guestBuild: [
    { name: 'e2fsprogs', command: 'mke2fs' },
    { name: 'kmod', command: 'depmod' },
  ],
  /** Makes guests that are whole installations. */
  installation: [
    { name: 'mmdebstrap', command: 'mmdebstrap' },
    { name: 'arch-test', command: 'arch-test' },
    { name: 'e2fsprogs', command: 'mke2fs' },
    { name: 'fdisk', command: 'sfdisk' },
  ],
  /** What an ordinary user needs besides, to be root in a namespace of his own. */
  namespaces: [{ name: 'uidmap', command: 'newuidmap' }],
  /** What the tests compare with and compile with. */
  tests: [
    { name: 'qemu-system-x86', command: 'qemu-system-i386' },
    { name: 'qemu-utils', command: 'qemu-img' },
    { name: 'seabios' },
    { name: 'acpica-tools', command: 'iasl' },
    { name: 'dmidecode', command: 'dmidecode' },
    { name: 'gcc-multilib' },
    { name: 'cpio', command: 'cpio' },
    // The tests start servers of their own; one that Debian's package has started is left alone.
    { name: 'nats-server', command: 'nats-server' },
    { name: 'redis-server', command: 'redis-server' },
    { name: 'gvncviewer', command: 'gvnccapture' },
    { name: 'vncsnapshot', command: 'vncsnapshot' },
    { name: 'chromium', command: 'chromium' },
    { name: 'kubernetes-client', command: 'kubectl' },
  ],
} as const satisfies Record<string, readonly DebianPackage[]>;

/** Those of `packages` that are not on this machine. */
export async function missingPackages(packages: readonly DebianPackage[]): Promise<string[]> {
  const missing: string[] = [];
  for (const { name, command } of packages) {
    const present = command === undefined ? await isInstalled(name) : findCommand(command) !== undefined;
    if (!present) missing.push(name);
  }
  return missing;
}

async function isInstalled(name: string): Promise<boolean> {
  if (findCommand('dpkg-query') === undefined) return false;
  // 1: dpkg has never heard of the package.
  const { stdout } = await runTool('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { accept: [0, 1] });
  return stdout.trim() === 'installed';
}

/**
 * Makes sure that `packages` are there. As root on a Debian machine the missing ones are installed with apt-get, after a
 * sentence through `say`; otherwise throws `package.missing` with the command that a person has to give.
 */
export async function ensurePackages(
  packages: readonly DebianPackage[],
  purpose: string,
  say: (line: string) => void,
): Promise<void> {
  const missing = await missingPackages(packages);
  if (missing.length === 0) return;
  const names = missing.join(' ');
  if (findCommand('apt-get') === undefined) {
    throw new TomeiError(
      'package.missing',
      `${purpose} needs Debian's packages ${names}, and this machine has no apt-get: install the like of them`,
      { data: { missing } },
    );
  }
  if (process.getuid?.() !== 0) {
    throw new TomeiError(
      'package.missing',
      `${purpose} needs the Debian packages ${names}: install them with "sudo apt-get install ${names}"`,
      { data: { missing } },
    );
  }
  say(`Installing the Debian packages ${names} with apt-get (${purpose}).`);
  // One index that cannot be fetched gives 100 while the others are usable; the installation below decides.
  await runTool('apt-get', ['update', '-q'], { accept: [0, 100] });
  await runTool('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing]);
}
