/** A Docker engine for tests: whether there is one, and Compose projects of their own. */
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { REPOSITORY } from './settings.ts';

/** Why there is no engine; undefined when one answers. */
export function engineMissing(): string | undefined {
  const docker = spawnSync('docker', ['version', '--format', '{{.Server.Version}}'], { encoding: 'utf8' });
  if (docker.error !== undefined) return 'docker is not installed';
  if (docker.status !== 0) return `no Docker engine answers: ${docker.stderr.trim().split('\n').at(-1)}`;
  const compose = spawnSync('docker', ['compose', 'version'], { encoding: 'utf8' });
  return compose.status === 0 ? undefined : 'Docker Compose is not installed';
}

/** One `docker compose` project, with a name and a port of its own. */
export class ComposeProject {
  readonly name = `tomei-test-${randomBytes(4).toString('hex')}`;
  private readonly env: NodeJS.ProcessEnv;

  constructor(env: Readonly<Record<string, string>>) {
    this.env = { ...process.env, ...env };
  }
  /** What the command printed. Throws with its last words. */
  run(...args: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { cwd: REPOSITORY, env: this.env, maxBuffer: 64 << 20 };
      execFile('docker', ['compose', '--project-name', this.name, ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`docker compose ${args.join(' ')}: ${(stderr + stdout).slice(-4000)}`));
      });
    });
  }
  /** The containers of a service. */
  async containers(service: string): Promise<string[]> {
    return (await this.run('ps', '--quiet', service)).trim().split('\n');
  }
}
