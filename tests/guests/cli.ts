/** The program `tomei` as a person starts it: a process with arguments, input, output and an exit code. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../packages/cli/tomei.js', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Tomei implements AsyncDisposable {
  stdout = '';
  stderr = '';
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly closed: Promise<number | null>;
  private readonly waiting = new Set<() => void>();
  private isOver = false;

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [MAIN, ...args]);
    this.child.stdin.on('error', () => undefined);
    this.child.stdout.setEncoding('latin1').on('data', (text: string) => {
      this.stdout += text;
      this.wake();
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.wake();
    });
    this.closed = new Promise((resolve) => {
      this.child.on('close', (code) => {
        this.isOver = true;
        this.wake();
        resolve(code);
      });
    });
  }

  type(text: string): void {
    this.child.stdin.write(text);
  }
  /** Ends the program without a word, as a crash would. */
  kill(): void {
    this.child.kill('SIGKILL');
  }
  /** Asks it to end. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
  /** Waits until all output so far matches. Throws with the last output when the program ends before. */
  async saw(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stdout) && !pattern.test(this.stderr)) {
      if (this.isOver) throw new Error(`no ${String(pattern)}:\n${this.stdout.slice(-2000)}\n${this.stderr}`);
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }
  async finished(): Promise<Finished> {
    return { code: await this.closed, stdout: this.stdout, stderr: this.stderr };
  }
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isOver) this.child.kill('SIGKILL');
    await this.closed;
  }
  private wake(): void {
    for (const resume of this.waiting) resume();
    this.waiting.clear();
  }
}

/** Runs the program to its end. */
export async function tomei(...args: string[]): Promise<Finished> {
  await using program = new Tomei(args);
  return await program.finished();
}
