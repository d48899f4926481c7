/**
 * What compiled code knows of XMM registers: those that were read or written in the block are also in locals. Memory always has them
 * too: leaving compiled code needs nothing for it.
 */
import type { ValueType } from '../wasm/ops.ts';

export class XmmRegisters {
  /** A bit for each register that its local holds. */
  private held = 0;
  private readonly takeLocal: (type: ValueType) => number;
  private readonly locals: (number | undefined)[] = [];

  constructor(take: (type: ValueType) => number) {
    this.takeLocal = take;
  }
  forget(): void {
    this.held = 0;
  }
  /** What is known, to come back to: where the code since is taken back, or where control comes from here. */
  mark(): () => void {
    const { held } = this;
    return () => void (this.held = held);
  }
  local(n: number): number {
    return (this.locals[n] ??= this.takeLocal('v'));
  }
  knows(n: number): boolean {
    return ((this.held >> n) & 1) !== 0;
  }
  learn(n: number, known: boolean): void {
    this.held = known ? this.held | (1 << n) : this.held & ~(1 << n);
  }
}
