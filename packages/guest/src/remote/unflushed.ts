/**
 * What was written and may still be lost: writes that were answered and not flushed since. When disk-service comes back as another
 * process they are written again, as an NFS client does by its write verifier (RFC 1813, 4.8), so that a flush never lies.
 */
import type { WriteMessage } from './write-message.ts';

/** Writes that overlap are told apart by these; it only costs time when two that do not are taken for two that do. */
const BLOCK_BYTES = 4096;

export class Unflushed {
  private readonly writes = new Map<number, WriteMessage>();
  /** The last write at each offset. */
  private readonly byOffset = new Map<number, number>();
  private sequence = 0;
  private total = 0;

  get bytes(): number {
    return this.total;
  }
  get size(): number {
    return this.writes.size;
  }

  /** Keeps a write that was answered. `data` is not to change any more. */
  add(written: WriteMessage): void {
    const before = this.byOffset.get(written.offset);
    // What it writes over as a whole is not needed any more.
    if (before !== undefined && this.writes.get(before)!.data.length <= written.data.length) this.drop(before);
    const sequence = ++this.sequence;
    this.writes.set(sequence, written);
    this.byOffset.set(written.offset, sequence);
    this.total += written.data.length;
  }
  /** Names the writes so far, for `forget`. */
  mark(): number {
    return this.sequence;
  }
  /** A flush that began after `mark` went well. */
  forget(mark: number): void {
    for (const sequence of this.writes.keys()) {
      if (sequence > mark) return;
      this.drop(sequence);
    }
  }
  private drop(sequence: number): void {
    const { offset, data } = this.writes.get(sequence)!;
    this.writes.delete(sequence);
    if (this.byOffset.get(offset) === sequence) this.byOffset.delete(offset);
    this.total -= data.length;
  }

  /** All writes, oldest first, in groups within which none overlaps another: a group may be written in any order. */
  *groups(): Generator<readonly WriteMessage[]> {
    let group: WriteMessage[] = [];
    const taken = new Set<number>();
    for (const written of [...this.writes.values()]) {
      const blocks = blocksOf(written);
      if (blocks.some((block) => taken.has(block))) {
        yield group;
        group = [];
        taken.clear();
      }
      group.push(written);
      for (const block of blocks) taken.add(block);
    }
    if (group.length > 0) yield group;
  }
}

function blocksOf({ offset, data }: WriteMessage): number[] {
  const first = Math.floor(offset / BLOCK_BYTES),
    last = Math.floor((offset + Math.max(data.length, 1) - 1) / BLOCK_BYTES);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
