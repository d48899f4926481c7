/**
 * What compiled code knows of addresses: registers as a root plus a constant, and for each root the *window* in its page that has been
 * looked up in the TLB. The first access from a root looks up a window around itself. Those that come after it, in the block or in
 * blocks that only it leads to, widen the window instead of looking once more: the constants in the code of the lookup are written anew.
 * So the lookup asks for more than its own access needs; where it fails the interpreter goes on, which asks for each access by itself.
 */
import { LOOK } from '../core/mmu.ts';
import type { Code } from '../wasm/module.ts';

/** An address: where it starts from, and a constant to add. Two with one root differ by the difference of their constants. */
export interface Linear {
  readonly root: number;
  readonly delta: number;
}
/** The root of what is known altogether. */
const CONSTANT = 0;
/** Bytes of a window: large ones lie in two pages more often, and then no access is done in compiled code. */
const MOST_SPAN = 96;
const REGISTERS = 8;

/** Where in the code of a lookup its constants lie. */
export interface WindowCode {
  /** The TLB bit: one byte. */
  readonly bit: number;
  /** Bytes before the address, as a negative number, and the highest offset in a page where the window may begin: `Code.i32In2`. */
  readonly low: number;
  readonly room: number;
  /** `Code.i32In3`. */
  readonly how: number;
}
interface Window {
  /** The local with the TLB entry's upper part. */
  readonly entry: number;
  readonly places: WindowCode;
  /** Of the first access. */
  readonly delta: number;
  /** First byte, and behind the last one, counted from `delta`. */
  low: number;
  high: number;
  readonly firstWrites: boolean;
  writes: boolean;
}

export class Windows {
  private readonly code: Code;
  private readonly readBit: number;
  private registers: Linear[] = [];
  private windows = new Map<number, readonly Window[]>();
  private roots = CONSTANT;

  /** `readBit` is the bit of a TLB entry that allows reading in this mode; writing is the bit above. */
  constructor(code: Code, readBit: number) {
    this.code = code;
    this.readBit = readBit;
    this.forget();
  }

  /** Nothing is known any more. */
  forget(): void {
    this.registers = Array.from({ length: REGISTERS }, () => this.fresh());
    this.windows = new Map();
  }
  /** What is known, to come back to: where the code since is taken back, or where control comes from here. */
  mark(): () => void {
    const { registers, windows } = this;
    return () => {
      this.registers = registers;
      this.windows = windows;
    };
  }
  /** An address of which nothing is known. */
  fresh(): Linear {
    return { root: ++this.roots, delta: 0 };
  }
  constant(address: number): Linear {
    return { root: CONSTANT, delta: address };
  }
  register(n: number): Linear {
    return this.registers[n]!;
  }
  setRegister(n: number, to: Linear): void {
    this.registers = this.registers.with(n, to);
  }

  /** The local with the TLB entry for an access, if there is a window that holds it, or can be made to. */
  find({ root, delta }: Linear, bytes: number, write: boolean): number | undefined {
    for (const window of this.windows.get(root) ?? []) {
      const first = (delta - window.delta) | 0,
        low = Math.min(window.low, first),
        high = Math.max(window.high, first + bytes);
      if (high - low > MOST_SPAN) continue;
      window.low = low;
      window.high = high;
      window.writes ||= write;
      this.settle(window);
      return window.entry;
    }
    return undefined;
  }
  /** A lookup was emitted, for an access that every path comes by. */
  add({ root, delta }: Linear, bytes: number, write: boolean, entry: number, places: WindowCode): void {
    const window = { entry, places, delta, low: 0, high: bytes, firstWrites: write, writes: write };
    this.windows = new Map(this.windows).set(root, [...(this.windows.get(root) ?? []), window]);
  }
  private settle({ places, low, high, firstWrites, writes }: Window): void {
    const { code, readBit } = this;
    code.patchByte(places.bit, writes ? readBit << 1 : readBit);
    code.patchIn2(places.low, low);
    code.patchIn2(places.room, 4096 - (high - low));
    code.patchIn3(places.how, lookHow(low, high, firstWrites, writes));
  }
}
/** LOOK: `how` of a lookup whose window goes from `low`, which is not above 0, to `high`. */
export function lookHow(low: number, high: number, firstWrites: boolean, writes: boolean): number {
  return (high - low) | (-low << 8) | (firstWrites ? LOOK.write : 0) | (writes ? LOOK.needsWrite : 0);
}
