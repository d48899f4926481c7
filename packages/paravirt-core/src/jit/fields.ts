/**
 * State of the x87 and SSE units that a region keeps in locals while it runs: loaded where it is entered, written back where it is left
 * and around handlers. Only those of the units whose instructions a region has.
 */
import { CS } from '../isa/build.ts';
import { recordsPointers } from '../isa/forms.ts';
import type { Row } from '../isa/model.ts';
import { OFFSET, SEGMENT, segmentOffset } from '../core/layout.ts';
import { C1, C1_SHIFT, PE_SHIFT } from '../isa/x87-quick.ts';
import type { Code } from '../wasm/module.ts';
import type { ValueType } from '../wasm/ops.ts';
import type { Region } from './region.ts';

const X87 = ['fpuControl', 'fpuStatus', 'fpuTop', 'fpuTags', 'fpuIp', 'fpuCs', 'fpuDp', 'fpuDs'] as const;
type Unit = NonNullable<Row['unit']>;
const USES_X87 = new Set<Unit>(['x87', 'x87-control', 'mmx', 'sse-mmx', 'fxsr']),
  USES_SSE = new Set<Unit>(['sse', 'sse-mmx', 'fxsr']);

export class FieldLocals {
  private readonly locals = new Map<number, number>();
  private readonly written = new Set<number>();
  /**
   * Locals of C1, as 0 or 1, and of what results have lost, 64 bits of which any means PE: both belong to the x87 status word besides what
   * its own local has. Undefined where nothing computes.
   */
  readonly rounding: { readonly up: number; readonly lost: number } | undefined;

  /** `take` gives a new local. */
  constructor(region: Region, take: (type: ValueType) => number) {
    let computes = false;
    const keep = (offset: number): void => {
      if (!this.locals.has(offset)) this.locals.set(offset, take('i'));
    };
    for (const { instructions } of region.blocks.values()) {
      for (const { instruction } of instructions) {
        const { row } = instruction.form;
        if (row.unit === undefined) continue;
        keep(OFFSET.unitDenied);
        computes ||= row.unit === 'x87';
        if (USES_SSE.has(row.unit)) keep(OFFSET.mxcsr);
        if (USES_X87.has(row.unit)) for (const field of X87) keep(OFFSET[field]);
        if (!recordsPointers(row)) continue;
        keep(segmentOffset(CS) + SEGMENT.selector);
        if (instruction.memory !== null) keep(segmentOffset(instruction.memory.segment) + SEGMENT.selector);
      }
    }
    if (computes) this.rounding = { up: take('i'), lost: take('l') };
  }
  /** The local of the field at an offset of the processor's block. */
  of(offset: number): number | undefined {
    return this.locals.get(offset);
  }
  /** The same for one that is about to be written. */
  toWrite(offset: number): number | undefined {
    const local = this.locals.get(offset);
    if (local !== undefined) this.written.add(offset);
    return local;
  }
  load(code: Code, cpu: number): void {
    for (const [offset, local] of this.locals) code.get(cpu).memory('i32.load', offset).set(local);
    this.splitStatus(code);
  }
  /** The local of the x87 status word gets what was kept apart from it. */
  mergeStatus(code: Code): void {
    if (this.rounding === undefined) return;
    const { up, lost } = this.rounding,
      status = this.locals.get(OFFSET.fpuStatus)!;
    code.get(status).i32(~C1).op('i32.and').get(up).i32(C1_SHIFT).op('i32.shl').op('i32.or');
    code.get(lost).i64(0n).op('i64.ne').i32(PE_SHIFT).op('i32.shl').op('i32.or').set(status);
  }
  /** The x87 status word has become what its local says. */
  splitStatus(code: Code): void {
    if (this.rounding === undefined) return;
    const { up, lost } = this.rounding;
    code.get(this.locals.get(OFFSET.fpuStatus)!).i32(C1_SHIFT).op('i32.shr_u').i32(1).op('i32.and').set(up);
    code.i64(0n).set(lost);
  }
  /** Writes back what some instruction of the region writes: all of them must have been emitted. */
  store(code: Code, cpu: number): void {
    if (this.written.has(OFFSET.fpuStatus)) this.mergeStatus(code);
    for (const offset of this.written) code.get(cpu).get(this.locals.get(offset)!).memory('i32.store', offset);
  }
  /** Writes back what some instruction of the region could write. */
  storeAll(code: Code, cpu: number): void {
    for (const offset of this.locals.keys()) if (!READ_ONLY.has(offset)) this.written.add(offset);
    this.store(code, cpu);
  }
}
/** What services and handlers change, and no semantics. */
const READ_ONLY = new Set([
  OFFSET.unitDenied,
  ...[0, 1, 2, 3, 4, 5].map((index) => segmentOffset(index) + SEGMENT.selector),
]);
