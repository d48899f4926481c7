/** Reads of a guest that go through a disk from front to back are answered out of what was asked for before. */

/** Bytes of a disk that are here or on their way. */
interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly data: Promise<Uint8Array | undefined>;
}
/** One reader that goes forward; a guest may have a few. */
interface Run {
  next: number;
  /** Reads in a row so far. */
  reads: number;
  /** How far ahead was last asked for; 0: not yet. */
  window: number;
  chunks: Chunk[];
}

const RUNS = 4;
/** So many reads in a row are no accident. */
const SEQUENTIAL_READS = 2;
const FIRST_WINDOW = 128 << 10;
const LARGEST_WINDOW = 1 << 20;
const CHUNK_BYTES = 256 << 10;

/** Reads of `[from, to)`: the bytes, or undefined when they cannot be read now (whoever needs them asks again and is told why). */
type Fetch = (offset: number, length: number) => Promise<Uint8Array | undefined>;
/** What a read still has to get itself. */
export interface Gap {
  readonly offset: number;
  readonly into: Uint8Array;
}

export class ReadAhead {
  private readonly sizeBytes: number;
  private readonly fetch: Fetch;
  /** Used last comes last. */
  private runs: Run[] = [];

  constructor(sizeBytes: number, fetch: Fetch) {
    this.sizeBytes = sizeBytes;
    this.fetch = fetch;
  }

  /** Fills what it can of `into`, asks for what comes next, and returns what is left to be read. */
  async read(offset: number, into: Uint8Array): Promise<readonly Gap[]> {
    const end = offset + into.length;
    const run = this.runOf(offset);
    const chunks = run.chunks.filter((chunk) => chunk.from < end && chunk.to > offset);
    run.next = end;
    run.reads++;
    run.chunks = run.chunks.filter((chunk) => chunk.to > end);
    if (run.reads >= SEQUENTIAL_READS) this.goOn(run);
    if (chunks.length === 0) return [{ offset, into }];
    return this.fill(offset, into, chunks);
  }
  /** These bytes are not what they were: call when they begin to change, and when they have changed. */
  forget(offset: number, length: number): void {
    for (const run of this.runs)
      if (run.chunks.length > 0) run.chunks = run.chunks.filter((c) => c.to <= offset || c.from >= offset + length);
  }
  forgetAll(): void {
    this.runs = [];
  }

  private runOf(offset: number): Run {
    const at = this.runs.findIndex((run) => run.next === offset);
    const [found] = at < 0 ? [] : this.runs.splice(at, 1);
    const run = found ?? { next: offset, reads: 0, window: 0, chunks: [] };
    this.runs.push(run);
    if (this.runs.length > RUNS) this.runs.shift();
    return run;
  }
  /** Asks for more when half of the window is used up. */
  private goOn(run: Run): void {
    const known = run.chunks.at(-1)?.to ?? run.next;
    if (run.window > 0 && known - run.next > run.window / 2) return;
    run.window = run.window === 0 ? FIRST_WINDOW : Math.min(run.window * 2, LARGEST_WINDOW);
    const end = Math.min(run.next + run.window, this.sizeBytes);
    for (let from = known; from < end; from += CHUNK_BYTES) {
      const to = Math.min(from + CHUNK_BYTES, end);
      run.chunks.push({ from, to, data: this.fetch(from, to - from) });
    }
  }
  private async fill(offset: number, into: Uint8Array, chunks: readonly Chunk[]): Promise<Gap[]> {
    const end = offset + into.length;
    const gaps: Gap[] = [];
    const gap = (from: number, to: number): void => {
      if (from < to) gaps.push({ offset: from, into: into.subarray(from - offset, to - offset) });
    };
    let at = offset;
    for (const { from, to, data } of chunks) {
      const bytes = await data;
      const first = Math.max(from, at),
        last = Math.min(to, end);
      if (bytes === undefined) continue;
      gap(at, first);
      into.set(bytes.subarray(first - from, last - from), first - offset);
      at = last;
    }
    gap(at, end);
    return gaps;
  }
}
