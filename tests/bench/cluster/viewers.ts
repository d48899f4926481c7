/**
 * What viewers get of a screen, and what they cost: a scripted guest, a console gateway and viewers, each in a process of its own.
 * The viewers offer what noVNC offers.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAMS = join(import.meta.dirname, '../../../services/console-gateway/src/bench');

/** For one number of viewers. */
export interface ViewersResult {
  readonly viewers: number;
  /** What the guest sent: 30, unless the machine is too busy. */
  readonly guestFramesPerSecond: number;
  /** Updates of the screen that a viewer got in a second meanwhile: of the viewer in the middle, and the slowest. */
  readonly framesPerSecond: { readonly median: number; readonly slowest: number };
  readonly bytesPerFrame: number;
  /** Milliseconds from a key that one viewer sends to the change that it sees. */
  readonly keyToPixelMs: { readonly median: number; readonly p95: number };
  /** Of the gateway's process while the screen moves, in processors; and divided by the viewers. */
  readonly gatewayCpu: number;
  readonly gatewayCpuPerViewer: number;
}
export interface ViewersOptions {
  /** How many at a time; default 1, 10 and 50. */
  readonly counts?: readonly number[];
  /** How long the screen moves, for each count. */
  readonly durationMs?: number;
  /** Keys for each count. */
  readonly keys?: number;
  readonly onResult?: (result: ViewersResult) => void;
}

/** Takes about ten seconds for each count. */
export async function measureViewers(options: ViewersOptions = {}): Promise<readonly ViewersResult[]> {
  const { counts = [1, 10, 50], durationMs = 5000, keys = 100, onResult } = options;
  const folder = await mkdtemp(join(tmpdir(), 'tomei-bench-viewers-'));
  const results: ViewersResult[] = [];
  try {
    for (const viewers of counts) {
      const measured = await measure(folder, viewers, durationMs, keys);
      const result = { viewers, ...measured, gatewayCpuPerViewer: measured.gatewayCpu / viewers };
      results.push(result);
      onResult?.(result);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return results;
}

type Measured = Omit<ViewersResult, 'viewers' | 'gatewayCpuPerViewer'>;
async function measure(folder: string, viewers: number, durationMs: number, keys: number): Promise<Measured> {
  const started: Program[] = [];
  const start = async <T>(name: string, ...args: readonly (string | number)[]): Promise<T> => {
    const program = new Program(name, args.map(String));
    started.push(program);
    return (await program.line()) as T;
  };
  try {
    const { target } = await start<{ target: string }>('guest-process.ts', `unix:${join(folder, `${viewers}.sock`)}`);
    const { url } = await start<{ url: string }>('gateway-process.ts', target);
    return await start<Measured>('viewers-process.ts', url, viewers, durationMs, keys);
  } finally {
    for (const program of started.toReversed()) await program.end();
  }
}

/** One process, which says what it has to say in one line of JSON. */
class Program {
  private readonly name: string;
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;

  constructor(name: string, args: readonly string[]) {
    this.name = name;
    this.child = spawn(process.execPath, [join(PROGRAMS, name), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.exited = once(this.child, 'exit');
  }
  async line(): Promise<unknown> {
    const lines = createInterface({ input: this.child.stdout! });
    const said = once(lines, 'line') as Promise<[string]>;
    const first = await Promise.race([said, this.exited.then(() => undefined)]);
    if (first === undefined) throw new Error(`${this.name} ended before it said anything`);
    return JSON.parse(first[0]);
  }
  async end(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.exited;
  }
}
