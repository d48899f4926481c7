/** What flags may be pending where a region is left, by numbers: what makes the words of them comes once, at the end of the function. */
import type { Code } from '../wasm/module.ts';
import { OPEN_PENDING } from './bail-word.ts';
import type { PendingFlags } from './pending-flags.ts';

export class PendingKinds {
  /** By their key; none comes first, as a local begins with 0. */
  private readonly kinds = new Map<string, { readonly index: number; readonly restore: () => void }>();
  private readonly flags: PendingFlags;

  constructor(flags: PendingFlags) {
    this.flags = flags;
    this.now();
  }
  /** Whether what is pending now has a number, or can be given one. */
  get hasRoom(): boolean {
    const { key } = this.flags;
    return key === undefined || this.kinds.has(key) || this.kinds.size < OPEN_PENDING;
  }
  /** The number of what is pending now; `OPEN_PENDING` where a local has it. */
  now(): number {
    const { flags, kinds } = this,
      { key } = flags;
    if (key === undefined) return OPEN_PENDING;
    let known = kinds.get(key);
    if (known === undefined) {
      known = { index: kinds.size, restore: flags.mark() };
      kinds.set(key, known);
    }
    return known.index;
  }
  /** Makes the words of what the local's number says. */
  emitWords(code: Code, local: number, words: () => void): void {
    const all = [...this.kinds.values()],
      depths = all.map((_, i) => i);
    code.block();
    for (let i = 0; i < all.length; i++) code.block();
    code.get(local).brTable(depths, depths[0]!);
    all.forEach(({ restore }, i) => {
      code.end();
      restore();
      words();
      if (i < all.length - 1) code.br(all.length - 1 - i);
    });
    code.end();
  }
}
