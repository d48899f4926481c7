/**
 * What compiled code knows of XMM registers. A region keeps those that it uses in locals, which have them from where it is entered to where
 * it is left; and of what was computed in a block it knows which numbers that can be.
 */
import { OFFSET } from '../core/layout.ts';
import type { Code } from '../wasm/module.ts';
import type { ValueType } from '../wasm/ops.ts';
import type { Instruction } from '../isa/decode.ts';
import { either, plain, type Bits, type NumberRange } from './number-range.ts';
import type { Region } from './region.ts';

/** Numbers in lanes of a format: a bit for each lane of which that is known. All are 0 where there is no format. */
export interface Lanes extends NumberRange {
  readonly bits: Bits | 0;
  readonly lanes: number;
}
const XMM_BYTES = 16;

export class XmmRegisters {
  /** By register: those that instructions of the region name. */
  private readonly locals = new Map<number, number>();
  private readonly written = new Set<number>();
  private readonly constants = new Map<bigint, number>();
  private readonly takeLocal: (type: ValueType) => number;
  private held: readonly (Lanes | undefined)[] = [];
  /** Nothing but PE can come of arithmetic on plain numbers, and that changes nothing: MXCSR has been looked at. */
  controlIsQuick = false;

  constructor(region: Region, take: (type: ValueType) => number) {
    this.takeLocal = take;
    for (const { instructions } of region.blocks.values()) {
      for (const { instruction } of instructions) {
        for (const { n, isWritten } of namedBy(instruction)) {
          if (!this.locals.has(n)) this.locals.set(n, take('v'));
          if (isWritten) this.written.add(n);
        }
      }
    }
  }
  /** Whether a register is in a local that is written back. */
  isWritten(n: number): boolean {
    return this.written.has(n);
  }
  /** Nothing is known of numbers any more. */
  forget(): void {
    this.held = [];
    this.controlIsQuick = false;
  }
  /** What is known, to come back to: where the code since is taken back, or where control comes from here. */
  mark(): () => void {
    const { held, controlIsQuick } = this;
    return () => {
      this.held = held;
      this.controlIsQuick = controlIsQuick;
    };
  }
  local(n: number): number {
    return this.locals.get(n)!;
  }
  lanes(n: number): Lanes | undefined {
    return this.held[n];
  }
  learn(n: number, lanes: Lanes | undefined): void {
    const held = [...this.held];
    held[n] = lanes;
    this.held = held;
  }
  /** Where a region is entered, and behind what has changed them elsewhere. */
  load(code: Code, cpu: number): void {
    for (const [n, local] of this.locals)
      code
        .get(cpu)
        .memory('v128.load', OFFSET.xmm + n * XMM_BYTES)
        .set(local);
  }
  /** The local of a constant, which has it throughout the region. */
  constant(value: bigint): number {
    const local = this.constants.get(value) ?? this.takeLocal('v');
    this.constants.set(value, local);
    return local;
  }
  /** Where a region is entered: all that have been asked for. */
  loadConstants(code: Code): void {
    for (const [value, local] of this.constants) code.v128(value).set(local);
  }
  /** Where a region is left: those that its instructions write. */
  store(code: Code, cpu: number): void {
    for (const n of this.written)
      code
        .get(cpu)
        .get(this.locals.get(n)!)
        .memory('v128.store', OFFSET.xmm + n * XMM_BYTES);
  }
}

/** XMM registers that an instruction names. */
function namedBy({ form, reg, rm, memory }: Instruction): { n: number; isWritten: boolean }[] {
  return form.row.operands.flatMap(({ kind, access }) => {
    const n =
      kind === 'xmm'
        ? reg
        : kind === 'xmmreg' || (kind === 'xmmrm' && memory === null)
          ? rm
          : kind === 'xmm0'
            ? 0
            : undefined;
    return n === undefined ? [] : [{ n, isWritten: access !== 'r' }];
  });
}

export const ALL_LANES = { 32: 15, 64: 3 } as const;
export const plainLanes = (bits: Bits, lanes: number, spread?: number): Lanes => ({
  bits,
  lanes,
  ...plain(bits, spread),
});
/** Lanes of one value and of another one, of which no two are the same. */
export function joined(x: Lanes | undefined, y: Lanes | undefined): Lanes | undefined {
  if (x === undefined || y === undefined || x.bits !== y.bits) return undefined;
  return { bits: x.bits, lanes: x.lanes | y.lanes, ...either(x, y) };
}
