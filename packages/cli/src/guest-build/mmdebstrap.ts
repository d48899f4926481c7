/** Installs a Debian into a tar archive with mmdebstrap(1): no loop device, and no root where the host has user namespaces. */
import { mkdirSync } from 'node:fs';
import { runTool } from '../host/tool.ts';

export interface Installation {
  readonly architecture: string;
  readonly suite: string;
  /** Lines of a sources.list(5). */
  readonly sources: readonly string[];
  readonly packages: readonly string[];
  /** A tar archive that is laid over the system before the first package comes. */
  readonly overlay: string;
  /** A shell script for the end, run by the host's shell as root of the new system, with its root folder as argument. */
  readonly finish: string;
  /** A folder where package files are kept between installations. */
  readonly cache: string;
  /** The archive to write. */
  readonly archive: string;
  /** Seconds since 1970; no file of the archive is younger. */
  readonly time: number;
}
export type Stage = 'reading lists' | 'fetching' | 'installing' | 'packing';

/** What mmdebstrap says when it begins a part, and the stage that this is. */
const STAGES: readonly (readonly [RegExp, Stage])[] = [
  [/^I: running apt-get update/, 'reading lists'],
  [/^I: downloading packages/, 'fetching'],
  [/^I: extracting archives/, 'installing'],
  [/^I: creating tarball/, 'packing'],
];

const quote = (path: string): string => `'${path.replaceAll("'", `'\\''`)}'`;

/** Whether the process may do as it likes; otherwise mmdebstrap makes a user namespace (package uidmap, subuid(5)). */
export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Installs. `report` is called with the stage and how much of it is done, 0..1. Returns the package files, sorted. Throws
 * `tool.failed` with mmdebstrap's last words.
 */
export async function install(plan: Installation, report: (stage: Stage, done: number) => void): Promise<string[]> {
  mkdirSync(plan.cache, { recursive: true });
  const archives = '/var/cache/apt/archives';
  // "Hooks" of mmdebstrap(1): those that begin with a word such as sync-in are its own, and reach files of whoever builds.
  const hooks = [
    `--setup-hook=mkdir -p "$1"${archives}`,
    `--setup-hook=sync-in ${quote(plan.cache)} ${archives}`,
    `--setup-hook=tar-in ${quote(plan.overlay)} /`,
    // Drops what the lists do not name any more, so that the cache does not grow with every update.
    '--customize-hook=chroot "$1" apt-get --quiet autoclean',
    `--customize-hook=sync-out ${archives} ${quote(plan.cache)}`,
    `--customize-hook=upload ${quote(plan.finish)} /tmp/finish`,
    '--customize-hook=sh "$1/tmp/finish" "$1"',
  ];
  const settings = [
    `--mode=${isRoot() ? 'root' : 'unshare'}`,
    `--architectures=${plan.architecture}`,
    '--variant=minbase',
    '--aptopt=APT::Install-Recommends "false"',
    `--include=${plan.packages.join(',')}`,
    // Package files stay until the cache has them; the kernel makes device nodes itself, which a user may not.
    '--skip=essential/unlink,output/dev',
    '--verbose',
  ];
  const packages = new Set<string>();
  const onLine = watch(report, packages);
  await runTool('mmdebstrap', [...settings, ...hooks, plan.suite, plan.archive, '-'], {
    input: `${plan.sources.join('\n')}\n`,
    env: { SOURCE_DATE_EPOCH: String(plan.time) },
    onLine,
    onErrorLine: onLine,
  });
  return [...packages].sort();
}

/** Reads what mmdebstrap and apt print. */
function watch(report: (stage: Stage, done: number) => void, packages: Set<string>): (line: string) => void {
  let stage: Stage = 'reading lists',
    expected = 0,
    seen = 0;
  return (line) => {
    const begun = STAGES.find(([pattern]) => pattern.test(line))?.[1];
    if (begun !== undefined) report((stage = begun), 0);
    // Each package is unpacked and set up; what is essential is set up by a list of its own.
    expected += 2 * Number(/ (\d+) newly installed/.exec(line)?.[1] ?? 0);
    const unpacked = /^Preparing to unpack .*?(?:\/\d+-|\/)([^/]+\.deb) \.\.\.$/.exec(line)?.[1];
    if (unpacked !== undefined) packages.add(unpacked);
    if (stage !== 'installing' || !/^(?:Unpacking|Setting up) /.test(line)) return;
    report(stage, Math.min(1, ++seen / Math.max(1, expected)));
  };
}
