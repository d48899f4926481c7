/**
 * What compiled code knows of the x87 register stack. Physical registers are counted from where TOP was when the block came to its first
 * x87 instruction, which a local keeps; so ST(i) is the same number wherever the stack moves within the block. What a register holds
 * is also kept in locals once it was read or written, and memory always has it too. TOP, tags and the place of the last instruction are
 * written where someone looks at them: at ends of blocks, and where compiled code is left (`emitLate`).
 */
import type { Range } from '../isa/build.ts';
import type { Code } from '../wasm/module.ts';
import type { ValueType } from '../wasm/ops.ts';
import { OFFSET } from '../core/layout.ts';
import type { FieldLocals } from './fields.ts';

const REGISTERS = 8;
/** The two parts of a register, and what the second one has besides the sign. */
export type Part = 'significand' | 'high' | 'exponent';

interface Register {
  readonly significand: boolean;
  readonly high: boolean;
  readonly exponent: boolean;
  readonly range: Range | undefined;
  readonly empty: boolean | undefined;
  /** What the field of the tags says. */
  readonly tagged: boolean | undefined;
}
const NO_NUMBER = { significand: false, high: false, exponent: false, range: undefined } as const;
const UNKNOWN: Register = { ...NO_NUMBER, empty: undefined, tagged: undefined };
const isLate = ({ empty, tagged }: Register): boolean => empty !== undefined && empty !== tagged;

export class FpuStack {
  /** Units, a bit each as in `unitDenied`, that are known to be there. */
  allowed = 0;
  /** No unmasked exception waits. */
  hasNoError = false;
  /** Fields of the control word that are known to have their usual values. */
  usualControl = 0;
  /** The local of the tags has those of all registers of which nothing else is known, by number from the base. */
  hasTags = false;
  /** The place of the last x87 instruction, where the field of its address does not have it yet. */
  lastPlace: number | undefined;
  /** TOP, counted from the base; undefined: nothing is known, and the base is not set. */
  private at: number | undefined;
  /** The same as the field has it. */
  private atField: number | undefined;
  private registers: readonly Register[] = [];
  private readonly takeLocal: (type: ValueType) => number;
  private readonly written: { readonly code: Code; readonly fields: FieldLocals; readonly pageEip: number };
  private baseLocal: number | undefined;
  private tagsLocal: number | undefined;
  private readonly locals = new Map<string, number>();

  /** `written`: where what is late is written to; `pageEip` is a local. */
  constructor(take: (type: ValueType) => number, written: FpuStack['written']) {
    this.takeLocal = take;
    this.written = written;
    this.forget();
  }
  /** Nothing is known any more. Nothing may be late. */
  forget(): void {
    this.at = this.atField = undefined;
    this.lastPlace = undefined;
    this.allowed = 0;
    this.hasNoError = false;
    this.usualControl = 0;
    this.hasTags = false;
    this.registers = Array.from({ length: REGISTERS }, () => UNKNOWN);
  }
  /** Registers may hold anything; tags and where TOP is stay known. */
  forgetContents(): void {
    this.registers = this.registers.map((each) => ({ ...each, ...NO_NUMBER }));
  }
  /** What is known, to come back to: where the code since is taken back, or where control comes from here. */
  mark(): () => void {
    const { at, atField, registers, allowed, hasNoError, usualControl, hasTags, lastPlace } = this;
    return () => Object.assign(this, { at, atField, registers, allowed, hasNoError, usualControl, hasTags, lastPlace });
  }

  /** The local of the base. */
  get base(): number {
    return (this.baseLocal ??= this.takeLocal('i'));
  }
  get top(): number | undefined {
    return this.at;
  }
  /** TOP becomes another register that is known. */
  set top(at: number) {
    this.at = at;
  }
  /** The base is TOP as its field has it. */
  begin(): void {
    this.at = this.atField = 0;
  }
  /** TOP became something else. Nothing may be late. */
  loseTop(): void {
    this.at = this.atField = undefined;
    this.hasTags = false;
    this.registers = Array.from({ length: REGISTERS }, () => UNKNOWN);
  }
  get tags(): number {
    return (this.tagsLocal ??= this.takeLocal('i'));
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
  learn(n: number, part: Part): void {
    this.change(n, { [part]: true });
  }
  /** A part becomes what its local has; what else there is of the number goes with that. */
  put(n: number, part: 'significand' | 'high'): void {
    this.change(n, { [part]: true, exponent: false, range: undefined });
  }
  forgetNumber(n: number): void {
    this.change(n, NO_NUMBER);
  }
  rangeOf(n: number): Range | undefined {
    return this.registers[n]!.range;
  }
  learnRange(n: number, range: Range | undefined): void {
    this.change(n, { range });
  }
  isEmpty(n: number): boolean | undefined {
    return this.registers[n]!.empty;
  }
  /** A register's tag, as its field was found to have it; undefined: it may have become either. */
  learnTag(n: number, empty: boolean | undefined): void {
    this.change(n, { empty, tagged: empty });
  }
  /** A register becomes empty, or not; the field gets to know it later. */
  setEmpty(n: number, empty: boolean): void {
    this.change(n, { empty });
  }
  forgetTags(): void {
    this.hasTags = false;
    this.registers = this.registers.map((each) => ({ ...each, empty: undefined, tagged: undefined }));
  }
  private change(n: number, by: Partial<Register>): void {
    this.registers = this.registers.with(n, { ...this.registers[n]!, ...by });
  }

  // --- what is late

  get isLate(): boolean {
    return this.lastPlace !== undefined || this.at !== this.atField || this.registers.some(isLate);
  }
  /** Writes what is late, on this path. */
  emitLate(): void {
    const { code, fields, pageEip } = this.written;
    if (this.lastPlace !== undefined)
      code.get(pageEip).i32(this.lastPlace).op('i32.add').set(fields.toWrite(OFFSET.fpuIp)!);
    if (this.at !== this.atField) {
      code.get(this.base).i32(this.at!).op('i32.add').i32(7).op('i32.and');
      code.set(fields.toWrite(OFFSET.fpuTop)!);
    }
    for (const empty of [true, false]) {
      let bits = 0;
      this.registers.forEach((each, n) => {
        if (isLate(each) && each.empty === empty) bits |= 1 << n;
      });
      if (bits === 0) continue;
      // Registers by number from the base, as physical ones: bits that leave at the top come in at the bottom.
      const tags = fields.toWrite(OFFSET.fpuTags)!;
      code
        .get(tags)
        .i32(bits * 0x101)
        .get(this.base)
        .op('i32.shl')
        .i32(8)
        .op('i32.shr_u');
      if (empty) code.i32(0xff).op('i32.and').op('i32.or');
      else code.i32(-1).op('i32.xor').op('i32.and');
      code.set(tags);
    }
  }
  /** The same, on a path that all that follows comes from. */
  settle(): void {
    if (!this.isLate) return;
    this.emitLate();
    this.lastPlace = undefined;
    this.atField = this.at;
    this.registers = this.registers.map((each) => ({ ...each, tagged: each.empty }));
  }
}
