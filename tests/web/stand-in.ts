/** The pages as they are built now, before the made-up cluster of packages/web/dev. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const WEB = fileURLToPath(new URL('../../packages/web', import.meta.url));

/** Builds the pages into a folder of their own: what lies in packages/web/dist may be old. The answer takes it away again. */
export async function buildPages(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'tomei-pages-'));
  const vite = join(WEB, 'node_modules/vite/bin/vite.js');
  await promisify(execFile)(process.execPath, [vite, 'build', '--outDir', folder, '--logLevel', 'warn'], { cwd: WEB });
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A made-up cluster in a process of its own, which ends with the test. */
export class StandInProcess {
  readonly url: string;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.child = child;
    this.url = url;
  }

  static async start(pages: string, scene: 'full' | 'empty'): Promise<StandInProcess> {
    const args = ['dev/main.ts', '--port', '0', '--pages', pages, '--scene', scene];
    const child = spawn(process.execPath, args, { cwd: WEB, stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return new StandInProcess(child, line.toString().trim());
  }

  /** Makes something happen: `crash`, `cut`, `away`, `back`, or `console` to look at what a guest's console got. */
  async control(what: string, body: Readonly<Record<string, string>> = {}): Promise<SeenConsole> {
    const answer = await fetch(`${this.url}/dev/${what}`, { method: 'POST', body: JSON.stringify(body) });
    return (await answer.json()) as SeenConsole;
  }

  async close(): Promise<void> {
    this.child.kill();
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
  }
}

/** What a guest's console was sent. */
export interface SeenConsole {
  /** `+61` and `-61`: presses and releases by keysym. */
  readonly keys: readonly string[];
  readonly sizes: readonly string[];
  readonly serial: string;
}
