/** `tomei vmx check`: everything that is wrong with a `.vmx`, at once. */
import type { Command } from 'commander';
import { EXIT } from '@tomei/kit';
import { checkVmx, type VmxCheck } from '@tomei/vmx';

/** The findings as lines for a person, then one line on the whole. */
export function describeCheck(path: string, { problems, ok, config }: VmxCheck): string[] {
  const lines = problems.map(({ severity, message, code }) => `${severity}: ${message} [${code}]`);
  if (ok && config !== undefined) {
    const parts = [
      `${config.memoryMiB} MiB`,
      `disks: ${config.disks.length}`,
      `serial ports: ${config.serialPorts.length}`,
    ];
    lines.push(`${path}: a guest named "${config.displayName}" can start from it (${parts.join(', ')})`);
  } else {
    lines.push(`${path}: no guest can start from it`);
  }
  return lines;
}

export function addVmxCommands(program: Command): void {
  const vmx = program.command('vmx').description('.vmx files');
  vmx
    .command('check')
    .description('say all that is wrong with a .vmx, with line numbers')
    .argument('<file.vmx>', 'the file')
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `
The exit code is ${EXIT.ok} when a guest can start from the file, even with warnings, and ${EXIT.badInput} when not.

Example:
  tomei vmx check guests/tiny/tiny.vmx`,
    )
    .action(async (path: string, options: { json?: boolean }) => {
      const check = await checkVmx(path);
      const text = options.json === true ? JSON.stringify(check, null, 2) : describeCheck(path, check).join('\n');
      process.stdout.write(`${text}\n`);
      process.exitCode = check.ok ? EXIT.ok : EXIT.badInput;
    });
}
