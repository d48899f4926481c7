/**
 * What compiled code knows of the x87 register stack. Physical registers are counted from where TOP was when the block came to its first
 * x87 instruction, which a local keeps; so ST(i) is the same number wherever the stack moves within the block. What a register holds
 * is also kept in locals once it was read or written. Memory always has it too: leaving compiled code needs nothing for it.
 */
import type { ValueType } from '../wasm/ops.ts';

const REGISTERS = 8;
/** The two parts of a register. */
export type Part = 'significand' | 'high';

interface Register {
  readonly significand: boolean;
  readonly high: boolean;
  readonly empty: boolean | undefined;
}
const UNKNOWN: Register = { significand: false, high: false, empty: undefined };

export class FpuStack {
  /** TOP, counted from the base; undefined: nothing is known, and the base is not set. */
  private at: number | undefined;
  private registers: readonly Register[] = [];
  private readonly takeLocal: (type: ValueType) => number;
  private baseLocal: number | undefined;
  private readonly locals = new Map<string, number>();

  constructor(take: (type: ValueType) => number) {
    this.takeLocal = take;
    this.forget();
  }
  /** Nothing is known any more. */
  forget(): void {
    this.at = undefined;
    this.forgetRegisters();
  }
  /** Registers may have become anything; where TOP is stays known. */
  forgetRegisters(): void {
    this.registers = Array.from({ length: REGISTERS }, () => UNKNOWN);
  }
  /** What is known, to come back to: where the code since is taken back, or where control comes from here. */
  mark(): () => void {
    const { at, registers } = this;
    return () => {
      this.at = at;
      this.registers = registers;
    };
  }

  /** The local of the base. */
  get base(): number {
    return (this.baseLocal ??= this.takeLocal('i'));
  }
  get top(): number | undefined {
    return this.at;
  }
  set top(at: number | undefined) {
    this.at = at;
    if (at === undefined) this.forgetRegisters();
  }
  /** The local of one part of a register. */
  local(n: number, part: Part): number {
    const key = `${part}${n}`;
    let local = this.locals.get(key);
    if (local === undefined) {
      local = this.takeLocal(part === 'significand' ? 'l' : 'i');
      this.locals.set(key, local);
    }
    return local;
  }
  knows(n: number, part: Part): boolean {
    return this.registers[n]![part];
  }
  learn(n: number, part: Part, known: boolean): void {
    this.change(n, { [part]: known });
  }
  isEmpty(n: number): boolean | undefined {
    return this.registers[n]!.empty;
  }
  setEmpty(n: number, empty: boolean | undefined): void {
    this.change(n, { empty });
  }
  forgetTags(): void {
    this.registers = this.registers.map((each) => ({ ...each, empty: undefined }));
  }
  private change(n: number, by: Partial<Register>): void {
    this.registers = this.registers.with(n, { ...this.registers[n]!, ...by });
  }
}
