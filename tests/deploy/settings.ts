/** What a service can be told by its environment, in its own words. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export const REPOSITORY = join(import.meta.dirname, '../..');
export const SERVICES = ['disk-service', 'controller', 'vcpu-runner', 'console-gateway'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** The names of the settings of a service, from its `--help`. */
export function settingsOf(service: ServiceName): string[] {
  const main = join(REPOSITORY, 'services', service, 'src/main.ts');
  const help = execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' });
  return [...help.matchAll(/TOMEI_[A-Z_]+/g)].map(([name]) => name);
}
