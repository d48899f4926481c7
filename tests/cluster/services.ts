/** The four services as processes of their own, over a real NATS and a real Redis. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { freePort } from '@tomei/testkit';
import { eventually } from './api.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
export type ServiceName = 'disk-service' | 'controller' | 'vcpu-runner' | 'console-gateway';

/** One service in a process. */
export class ServiceProcess implements AsyncDisposable {
  readonly name: ServiceName;
  /** Its log, line by line. */
  log = '';
  readonly opsPort: number;
  private readonly child: ChildProcess;
  private readonly gone: Promise<number | null>;

  static async start(name: ServiceName, env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
    return new ServiceProcess(name, env, await freePort());
  }
  private constructor(name: ServiceName, env: Readonly<Record<string, string>>, opsPort: number) {
    this.name = name;
    this.opsPort = opsPort;
    const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('TOMEI_'));
    this.child = spawn(process.execPath, [join(REPOSITORY, 'services', name, 'src/main.ts')], {
      env: { ...Object.fromEntries(inherited), TOMEI_OPS_PORT: String(opsPort), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    this.gone = new Promise((resolve) => this.child.once('exit', (code) => resolve(code)));
  }
  get pid(): number {
    return this.child.pid ?? 0;
  }
  async readiness(): Promise<{ ready: boolean; text: string }> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.opsPort}/readyz`);
      return { ready: answer.ok, text: await answer.text() };
    } catch (error) {
      return { ready: false, text: String(error) };
    }
  }
  async ready(): Promise<this> {
    await eventually(
      `${this.name} is ready`,
      async () => {
        if (this.child.exitCode !== null)
          throw new Error(`${this.name} ended with ${this.child.exitCode}:\n${this.log.slice(-3000)}`);
        return (await this.readiness()).ready ? true : undefined;
      },
      60_000,
    );
    return this;
  }
  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.opsPort}/metrics`)).text();
  }
  /** Ends it in order, as an orchestrator does. Returns its exit code. */
  stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.gone;
  }
  /** Ends it without a word, as a power cut does. */
  kill(): Promise<number | null> {
    this.child.kill('SIGKILL');
    return this.gone;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
