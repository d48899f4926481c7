/** `tomei disk info` and `tomei disk check`: what a `.vmdk` is, and whether it is sound. Neither changes it. */
import type { Command } from 'commander';
import { EXIT } from '@tomei/kit';
import { checkVmdk, infoVmdk, type VmdkCheck, type VmdkInfo } from '@tomei/vmdk';
import { formatBytes } from '../format-bytes.ts';

/** The facts as aligned lines. */
export function describeInfo(info: VmdkInfo): string[] {
  const facts: [string, string][] = [
    ['file', info.path],
    ['type', info.createType],
    ['size', `${formatBytes(info.sizeBytes)} (${info.sizeBytes} bytes)`],
    ['on the host', formatBytes(info.allocatedBytes)],
  ];
  if (info.cid !== undefined) facts.push(['content id', info.cid]);
  if (info.lockedBy !== undefined) facts.push(['in use by', `process ${info.lockedBy.pid}`]);
  for (const [index, extent] of info.extents.entries()) {
    const parts = [extent.type, formatBytes(extent.sizeBytes)];
    if (extent.path !== undefined) parts.push(extent.path);
    if (extent.sparse !== undefined) {
      parts.push(`grains of ${formatBytes(extent.sparse.grainBytes)}`);
      if (extent.sparse.compressed) parts.push('compressed');
      if (extent.sparse.uncleanShutdown) parts.push('not closed cleanly');
    }
    facts.push([`extent ${index + 1}`, parts.join(', ')]);
  }
  for (const warning of info.warnings) facts.push(['warning', warning]);
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

/** The findings, then one line on the whole. */
export function describeDiskCheck({ path, problems, ok, grains }: VmdkCheck): string[] {
  const lines = problems.map(({ severity, message, code }) => `${severity}: ${message} [${code}]`);
  const warnings = problems.length === 1 ? '1 warning' : `${problems.length} warnings`;
  const sound = problems.length === 0 ? 'sound' : `sound, ${warnings}`;
  lines.push(`${path}: ${ok ? `${sound} (${grains} grains with data)` : 'not usable as it is'}`);
  return lines;
}

const print = (asJson: boolean | undefined, value: unknown, lines: () => string[]): void => {
  process.stdout.write(`${asJson === true ? JSON.stringify(value, null, 2) : lines().join('\n')}\n`);
};

export function addDiskCommands(program: Command): void {
  const disk = program.command('disk').description('.vmdk disks');
  disk
    .command('info')
    .description('say what a .vmdk holds')
    .argument('<file.vmdk>', 'the disk')
    .option('--json', 'print it as JSON')
    .addHelpText('after', '\nExample:\n  tomei disk info guests/tiny/tiny.vmdk')
    .action(async (path: string, options: { json?: boolean }) => {
      const info = await infoVmdk(path);
      print(options.json, info, () => describeInfo(info));
    });
  disk
    .command('check')
    .description('look a .vmdk over for damage')
    .argument('<file.vmdk>', 'the disk')
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `
The exit code is ${EXIT.ok} for a sound disk, even with warnings, and ${EXIT.badInput} for a damaged one. Nothing is changed.

Example:
  tomei disk check guests/tiny/tiny.vmdk`,
    )
    .action(async (path: string, options: { json?: boolean }) => {
      const check = await checkVmdk(path);
      print(options.json, check, () => describeDiskCheck(check));
      process.exitCode = check.ok ? EXIT.ok : EXIT.badInput;
    });
}
