/** What `--trace` asks for, checked before the guest starts, and where the lines go. */
import { openSync, writeSync, closeSync } from 'node:fs';
import { TomeiError, messageOf } from '@tomei/kit';
import { InstructionTrace, type Machine, type TraceStart } from '@tomei/paravirt-core';
import { addressOf, nameOf, readSymbols, type Symbols } from './symbols.ts';

/** As the command line has it. */
export interface TraceRequest {
  /** A file; standard error when absent. */
  readonly file?: string;
  /** A number of instructions, a linear address (0x...) or a symbol. */
  readonly from?: string;
  readonly count?: number;
  /** An ELF file or a System.map. */
  readonly symbols?: string;
}
/** The same, looked up: plain data for the vCPU thread. */
export interface TracePlan {
  readonly file?: string;
  readonly from: TraceStart;
  readonly count: number;
  readonly symbols?: Symbols;
}

/** Reads the symbols and finds the start. Throws `trace.no-symbol`, `symbols.bad-file` or `symbols.unreadable`. */
export function planTrace({ file, from, count, symbols: path }: TraceRequest): TracePlan {
  const symbols = path === undefined ? undefined : readSymbols(path, '--trace-symbols');
  return {
    ...(file === undefined ? {} : { file }),
    from: startOf(from, symbols),
    count: count ?? Infinity,
    ...(symbols === undefined ? {} : { symbols }),
  };
}
function startOf(from: string | undefined, symbols: Symbols | undefined): TraceStart {
  if (from === undefined) return { kind: 'begin' };
  if (/^\d{1,15}$/.test(from)) return { kind: 'count', instructions: Number(from) };
  if (/^0x[0-9a-f]{1,8}$/i.test(from)) return { kind: 'address', linear: Number(from) };
  const linear = symbols === undefined ? undefined : addressOf(symbols, from);
  if (linear === undefined) {
    const where = symbols === undefined ? 'name a file of symbols by --trace-symbols' : 'the symbols do not have it';
    throw new TomeiError(
      'trace.no-symbol',
      `--trace-from ${from} is no number of instructions and no address (0x...): ${where}`,
    );
  }
  return { kind: 'address', linear };
}

/** Bytes that wait for a write. */
const CHUNK = 1 << 16;
const STANDARD_ERROR = 2;

/** A trace whose lines go to a file. The vCPU thread writes them itself: nothing is lost when the guest goes down. */
export class TraceFile {
  readonly trace: InstructionTrace;
  private readonly fd: number;
  private readonly path: string;
  private waiting = '';

  /** Throws `trace.unwritable`. */
  constructor(machine: Machine, { file, from, count, symbols }: TracePlan) {
    this.path = file ?? 'standard error';
    this.fd = file === undefined ? STANDARD_ERROR : this.trying(() => openSync(file, 'w'));
    const options = {
      from,
      count,
      ...(symbols === undefined ? {} : { nameOf: (linear: number) => nameOf(symbols, linear) }),
    };
    this.trace = new InstructionTrace(machine, options, (line) => {
      this.waiting += `${line}\n`;
      if (this.waiting.length > CHUNK) this.pass();
    });
  }
  private trying<T>(what: () => T): T {
    try {
      return what();
    } catch (cause) {
      throw new TomeiError('trace.unwritable', `--trace ${this.path}: ${messageOf(cause)}`, { cause });
    }
  }
  private pass(): void {
    let bytes = Buffer.from(this.waiting);
    this.waiting = '';
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(writeSync(this.fd, bytes));
      } catch (error) {
        // A pipe that is full: its reader is slow.
        const isFull = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
        if (!isFull)
          return void this.trying(() => {
            throw error;
          });
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }
  /** Between slices. */
  settle(): void {
    this.trace.settle();
    if (this.waiting !== '') this.pass();
  }
  close(): void {
    this.settle();
    if (this.fd !== STANDARD_ERROR) closeSync(this.fd);
  }
}
