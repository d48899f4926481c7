/**
 * Status flags as what they come from: the last operation and its operands, in locals. Most are never asked for; a condition is one
 * comparison of the operands; and where compiled code is left they become the two words that the interpreter has (core/layout.ts).
 */
import type { Size, StatusFlag } from '../isa/build.ts';
import type { Value } from '../core/interpreter/value.ts';
import type { RegionBuild } from './region-build.ts';

interface Pending {
  readonly kind: 'add' | 'sub' | 'logic';
  readonly size: Size;
  /** `result` is just x op y, without a carry that came in. */
  readonly pure: boolean;
  /** C is what the local for it holds (INC and DEC keep it). */
  carryApart: boolean;
  /** The two words hold it as well. */
  settled: boolean;
}

export class PendingFlags {
  private pending: Pending | undefined;
  private readonly result: Value;
  private readonly x: Value;
  private readonly y: Value;
  private readonly carry: Value;

  /** Four locals of the function's own. */
  constructor(locals: readonly [result: number, x: number, y: number, carry: number]) {
    const value = (local: number): Value => ({ type: 'i', local });
    [this.result, this.x, this.y, this.carry] = [
      value(locals[0]),
      value(locals[1]),
      value(locals[2]),
      value(locals[3]),
    ];
  }

  /** What is known, to come back to when the code that was emitted since is taken back. */
  mark(): () => void {
    const { pending } = this,
      copy = pending === undefined ? undefined : { ...pending };
    return () => {
      this.pending = copy === undefined ? undefined : { ...copy };
    };
  }
  /** Equal where the same code makes the two words of what is pending. */
  get key(): string {
    const { pending } = this;
    return pending === undefined || pending.settled ? '' : `${pending.kind} ${pending.size} ${pending.carryApart}`;
  }
  /** The two words hold what counts. */
  forget(): void {
    this.pending = undefined;
  }
  set(b: RegionBuild, kind: Pending['kind'], size: Size, result: Value, x: Value, y: Value): void {
    const pure = kind === 'logic' || b.comesFrom(result, kind === 'add' ? 'i32.add' : 'i32.sub', x, y);
    b.keep(result, this.result.local!);
    if (kind !== 'logic') {
      b.keep(x, this.x.local!);
      b.keep(y, this.y.local!);
    }
    this.pending = { kind, size, pure, carryApart: false, settled: false };
  }
  /** C alone changes. False when the words have to be changed. */
  setCarry(b: RegionBuild, value: Value): boolean {
    const { pending } = this;
    if (pending === undefined || pending.settled) return false;
    b.keep(value, this.carry.local!);
    pending.carryApart = true;
    return true;
  }

  /** Makes the two words hold the flags, at this point of the code; what is known stays known. */
  emitWords(b: RegionBuild): void {
    const { pending } = this;
    if (pending === undefined || pending.settled) return;
    b.placeFlags(pending.kind, pending.size, this.result, this.x, this.y, pending.carryApart ? this.carry : undefined);
  }
  /** The same, on a path that all that follows comes from. */
  settle(b: RegionBuild): void {
    this.emitWords(b);
    if (this.pending !== undefined) this.pending.settled = true;
  }

  /** A flag as 0 or 1; undefined when the two words have it. */
  flag(b: RegionBuild, flag: StatusFlag): Value | undefined {
    const { pending } = this;
    if (pending === undefined) return undefined;
    if (flag === 'C') return this.carryOf(b, pending) ?? this.words(b);
    if (flag === 'Z') return b.op('i32.eqz', [this.narrowed(b, pending)]);
    if (flag === 'S') return b.op('i32.shr_u', [this.signed(b, pending, this.result), b.imm(31)]);
    return this.words(b);
  }
  /** As `flag`, for a condition code. */
  condition(b: RegionBuild, code: number): Value | undefined {
    const { pending } = this;
    if (pending === undefined) return undefined;
    const value = this.compared(b, pending, code >> 1);
    if (value === undefined) return this.words(b);
    return (code & 1) === 0 ? value : b.op('i32.eqz', [value]);
  }

  private words(b: RegionBuild): undefined {
    if (b.depth === 0) this.settle(b);
    else this.emitWords(b);
    return undefined;
  }
  private carryOf(b: RegionBuild, { kind, size, pure, carryApart }: Pending): Value | undefined {
    if (carryApart) return b.copy(this.carry);
    if (kind === 'logic') return b.imm(0);
    if (!pure) return undefined;
    if (kind === 'sub') return b.op('i32.lt_u', [this.x, this.y]);
    return size === 32 ? b.op('i32.lt_u', [this.result, this.x]) : undefined;
  }
  /** The conditions o, b, z, be, s, p, l, le by their number halved. */
  private compared(b: RegionBuild, pending: Pending, which: number): Value | undefined {
    const { kind, pure, carryApart } = pending;
    const isSub = kind === 'sub' && pure && !carryApart,
      isLogic = kind === 'logic' && !carryApart;
    const signed = (v: Value): Value => this.signed(b, pending, v);
    switch (which) {
      case 1:
        return this.carryOf(b, pending);
      case 2:
        return b.op('i32.eqz', [this.narrowed(b, pending)]);
      case 3:
        if (isSub) return b.op('i32.le_u', [this.x, this.y]);
        return isLogic ? b.op('i32.eqz', [this.narrowed(b, pending)]) : undefined;
      case 4:
        return b.op('i32.shr_u', [signed(this.result), b.imm(31)]);
      case 6:
        if (isSub) return b.op('i32.lt_s', [signed(this.x), signed(this.y)]);
        return isLogic ? b.op('i32.lt_s', [signed(this.result), b.imm(0)]) : undefined;
      case 7:
        if (isSub) return b.op('i32.le_s', [signed(this.x), signed(this.y)]);
        return isLogic ? b.op('i32.le_s', [signed(this.result), b.imm(0)]) : undefined;
      default:
        return undefined;
    }
  }
  private narrowed(b: RegionBuild, { size }: Pending): Value {
    return size === 32 ? this.result : b.op('i32.and', [this.result, b.imm(size === 8 ? 0xff : 0xffff)]);
  }
  private signed(b: RegionBuild, { size }: Pending, v: Value): Value {
    return size === 32 ? v : b.op(size === 8 ? 'i32.extend8_s' : 'i32.extend16_s', [v]);
  }
}
