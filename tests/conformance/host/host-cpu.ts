/** The processor of this machine as the oracle of conformance cases: a client of the native harness in `harness.c`. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { TomeiError, assert, messageOf } from '@tomei/kit';
import { type CpuCase, type CpuResult, type CpuUnderTest } from '../case.ts';
import { buildHarness, type Harness } from './build.ts';
import { GREETING_SIZE, decodeResult, encodeCase, recordSize, type HostIdentity } from './protocol.ts';

/** Cases per write: some 150 KiB, a few of which fill the pipe and the harness's buffer. */
const CASES_PER_WRITE = 256;

interface Run {
  readonly cases: readonly CpuCase[];
  readonly results: CpuResult[];
  resolve(results: CpuResult[]): void;
  reject(error: Error): void;
}

/**
 * One harness process. It lives until `close`, runs tens of thousands of cases a second, and keeps nothing from one case to the
 * next. Cases may fault, loop and jump anywhere; code must not switch to 64-bit mode (selector 0x33) and must not
 * depend on time.
 */
export class HostCpu implements CpuUnderTest, AsyncDisposable {
  /** What CPUID says of this processor. */
  readonly identity: HostIdentity;
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  private readonly ended: Promise<unknown>;
  private pending = Buffer.alloc(0);
  private toSkip = GREETING_SIZE;
  private current: Run | undefined;
  private failure: Error | undefined;
  private complaint = '';

  private constructor(harness: Harness) {
    this.identity = harness.identity;
    this.child = spawn(harness.path, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.ended = once(this.child, 'close').catch(() => undefined);
    this.child.on('error', (error) => this.fail(error));
    this.child.on('close', (code, signal) =>
      this.fail(new TomeiError('host-cpu.ended', `the harness ended with ${code ?? signal}. ${this.complaint}`)),
    );
    this.child.stdin.on('error', () => undefined); // 'close' tells why
    this.child.stderr.on('data', (text: Buffer) => (this.complaint += text.toString()));
    this.child.stdout.on('data', (bytes: Buffer) => this.receive(bytes));
  }

  /** Whether cases can be run natively here, and if not why and what to do. Compiles the harness at first use. */
  static available(): { ok: boolean; why?: string } {
    try {
      buildHarness();
      return { ok: true };
    } catch (error) {
      return { ok: false, why: messageOf(error) };
    }
  }

  /** Starts a harness. Rejects with the reason that `available` gives when there can be none. */
  static async start(): Promise<HostCpu> {
    const cpu = new HostCpu(buildHarness());
    await Promise.race([once(cpu.child, 'spawn'), cpu.ended]);
    return cpu;
  }

  /**
   * Runs cases; one call at a time. Rejects with `case.invalid` for a case that breaks the rules of `CpuCase`, before
   * any is run, and with `host-cpu.ended` when a case tore the harness down; that names the case, and this object is
   * of no more use.
   */
  async run(cases: readonly CpuCase[]): Promise<CpuResult[]> {
    assert(this.current === undefined, 'one run at a time on one HostCpu');
    if (this.failure !== undefined) throw this.failure;
    const records = cases.map(encodeCase);
    if (records.length === 0) return [];
    const done = new Promise<CpuResult[]>((resolve, reject) => {
      this.current = { cases, results: [], resolve, reject };
    });
    done.catch(() => undefined); // it is awaited below, after the writes
    for (let i = 0; i < records.length && this.failure === undefined; i += CASES_PER_WRITE) {
      const more = this.child.stdin.write(Buffer.concat(records.slice(i, i + CASES_PER_WRITE)));
      if (!more) await Promise.race([once(this.child.stdin, 'drain').catch(() => undefined), this.ended]);
    }
    return done;
  }

  /** Ends the harness and waits for it. */
  async close(): Promise<void> {
    this.failure ??= new TomeiError('host-cpu.closed', 'this HostCpu was closed');
    this.child.stdin.end();
    await this.ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    const run = this.current;
    this.current = undefined;
    if (run === undefined) return;
    const index = run.results.length;
    run.reject(
      new TomeiError('host-cpu.ended', `${messageOf(error)} It was at case ${index} or shortly after.`, {
        cause: error,
        data: { index },
      }),
    );
  }

  private receive(bytes: Buffer): void {
    const skipped = Math.min(this.toSkip, bytes.length);
    this.toSkip -= skipped;
    this.pending = Buffer.concat([this.pending, bytes.subarray(skipped)]);
    try {
      this.takeRecords();
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(messageOf(error)));
      this.child.kill('SIGKILL');
    }
  }

  private takeRecords(): void {
    for (;;) {
      const size = recordSize(this.pending);
      if (size === undefined || size > this.pending.length) return;
      const run = this.current;
      if (run === undefined) throw new TomeiError('host-cpu.bad-answer', 'the harness sent a result nobody asked for');
      run.results.push(decodeResult(this.pending.subarray(0, size)));
      this.pending = this.pending.subarray(size);
      if (run.results.length === run.cases.length) {
        this.current = undefined;
        run.resolve(run.results);
      }
    }
  }
}
