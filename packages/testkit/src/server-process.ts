/** A server program that a test owns: started on a free port, ready when it answers, ended with the test. */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const READY_TIMEOUT_MS = 30_000;
/** Between two questions whether it answers yet. */
const ASK_AGAIN_MS = 10;
/** Debian puts servers where the path of an ordinary user does not lead. */
const MORE_FOLDERS = ['/usr/sbin', '/usr/local/sbin'];

/** Where a program is; undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...MORE_FOLDERS]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder may have it.
    }
  }
  return undefined;
}

/** A port of 127.0.0.1 that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}

export interface ServerProgram {
  readonly program: string;
  /** The Debian package that has it. */
  readonly debianPackage: string;
  arguments(port: number, folder: string): readonly string[];
  /** What to say to the server, and how its answer begins once it is ready. Nothing to say: it speaks first. */
  readonly question: string;
  readonly answer: RegExp;
}

/** One server. Its port and its data stay the same when it is ended and started again. */
export class ServerProcess implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  private readonly program: ServerProgram;
  private readonly removeFolder: boolean;
  private child: ChildProcess | undefined;
  private exited: Promise<void> = Promise.resolve();
  private output = '';

  private constructor(program: ServerProgram, port: number, folder: string, removeFolder: boolean) {
    this.program = program;
    this.port = port;
    this.folder = folder;
    this.removeFolder = removeFolder;
  }
  /** `folder` has its data and stays; without it there is one of its own, gone with `close`. `isStarted` false: not yet. */
  static async create(
    program: ServerProgram,
    { folder, isStarted = true }: { readonly folder?: string | undefined; readonly isStarted?: boolean } = {},
  ): Promise<ServerProcess> {
    const own = folder ?? (await mkdtemp(join(tmpdir(), `tomei-${program.program}-`)));
    const server = new ServerProcess(program, await freePort(), own, folder === undefined);
    try {
      if (isStarted) await server.start();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** Fulfilled when it answers. Throws, with what it printed, when it ends first or never answers. */
  async start(): Promise<void> {
    if (this.child !== undefined) throw new Error(`${this.program.program} runs already`);
    const path = findProgram(this.program.program);
    if (path === undefined) throw new Error(`${this.program.program} is not installed`);
    this.output = '';
    const child = spawn(path, this.program.arguments(this.port, this.folder), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output = (this.output + text).slice(-8_000)));
    }
    const endWithUs = (): void => void child.kill('SIGKILL');
    process.once('exit', endWithUs);
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => (this.output += error.message));
      child.once('close', () => {
        process.off('exit', endWithUs);
        this.child = undefined;
        resolve();
      });
    });
    const late = Date.now() + READY_TIMEOUT_MS;
    while (!(await this.answers())) {
      if (this.child === undefined) throw new Error(`${this.program.program} ended:\n${this.output}`);
      if (Date.now() > late) throw new Error(`${this.program.program} does not answer:\n${this.output}`);
      await pause(ASK_AGAIN_MS);
    }
  }
  /** Ends it as an administrator does. Its data stays. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }
  /** Ends it as a power cut does, as far as a process can tell. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }
  /** Fulfilled when it has stopped: it keeps its connections and does nothing until `resume`. */
  async suspend(): Promise<void> {
    const { child } = this;
    child?.kill('SIGSTOP');
    // The kernel takes its time. See proc(5), the state in `stat`.
    while (child?.pid !== undefined && !/\) T/.test(await readFile(`/proc/${child.pid}/stat`, 'utf8'))) {
      await pause(1);
    }
  }
  resume(): void {
    this.child?.kill('SIGCONT');
  }
  /** Ends it, and its own folder goes. */
  async close(): Promise<void> {
    await this.kill();
    if (this.removeFolder) await rm(this.folder, { recursive: true, force: true });
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    this.child?.kill(signal);
    await this.exited;
  }
  private answers(): Promise<boolean> {
    const { question, answer } = this.program;
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: this.port });
      let heard = '';
      socket.setEncoding('latin1');
      socket.on('connect', () => socket.write(question));
      socket.on('data', (text: string) => {
        heard += text;
        if (heard.includes('\n')) socket.destroy();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(answer.test(heard)));
    });
  }
}

/** Why tests with this program cannot run on this machine, for the skip of a test; undefined when they can. */
export const missing = ({ program, debianPackage }: ServerProgram): string | undefined =>
  findProgram(program) === undefined ? `${program} is not installed (Debian package ${debianPackage})` : undefined;
