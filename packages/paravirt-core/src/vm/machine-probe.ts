/** Where a guest stands, for statistics and profiles: looked at between slices, and nothing of the guest changes. */
import { CS, EBP, ESP, SS } from '../isa/build.ts';
import { PSEUDO, RECORD } from '../core/interpreter/record.ts';
import { MachineDebugger } from './machine-debugger.ts';
import type { Machine } from './machine.ts';

/** One look. Addresses are linear. */
export interface GuestPlace {
  /** The next instruction. */
  readonly address: number;
  /** 0 (kernel) to 3 (user). */
  readonly ring: number;
  /** CR3: which address space; 0 without paging. */
  readonly space: number;
  /** Return addresses by frame pointers, the innermost first: as far as the chain of EBP holds together, and calls lie before them. */
  readonly callers: readonly number[];
}

const PAGING = 0x8000_0000;
/** Frames beyond these are most likely a chain that is none. */
const MOST_FRAMES = 64;
/** A frame larger than this is none. */
const LARGEST_FRAME = 1 << 16;
/** Bytes of the longest near call without prefixes: FF /2 with SIB and a displacement of 32 bits. */
const LONGEST_CALL = 7;

export class MachineProbe {
  private readonly machine: Machine;
  private readonly debugger: MachineDebugger;

  constructor(machine: Machine) {
    this.machine = machine;
    this.debugger = new MachineDebugger(machine);
  }

  /** Whether what runs next is compiled code: the instruction begins a region of the mode that the processor is in. */
  get isAtCompiledCode(): boolean {
    const { cpu, code } = this.machine.processor;
    const mode = cpu.get('compiledMode');
    if (mode === 0) return false;
    const physical = this.debugger.physicalOf(this.address);
    const record = physical < 0 ? 0 : (code.recordAt(physical) ?? 0);
    return record !== 0 && cpu.data.getUint16(record + RECORD.handler, true) === PSEUDO.region;
  }

  look(): GuestPlace {
    const { cpu } = this.machine.processor;
    const isPaging = (cpu.get('cr0') & PAGING) !== 0;
    return {
      address: this.address,
      ring: cpu.get('cpl'),
      space: isPaging ? cpu.get('cr3') : 0,
      callers: this.callers(),
    };
  }

  private get address(): number {
    const { cpu } = this.machine.processor;
    return (cpu.segment(CS, 'base') + cpu.get('eip')) >>> 0;
  }
  /** A frame is [caller's EBP, return address], above the stack pointer, and the caller's lies above it. */
  private callers(): number[] {
    const { cpu } = this.machine.processor;
    const base = cpu.segment(SS, 'base'),
      found: number[] = [];
    let below = cpu.getRegister(ESP),
      frame = cpu.getRegister(EBP);
    while (found.length < MOST_FRAMES && frame % 4 === 0 && frame >= below && frame - below < LARGEST_FRAME) {
      const bytes = this.debugger.readMemory((base + frame) >>> 0, 8);
      if (bytes.length < 8) break;
      const words = new DataView(bytes.buffer, bytes.byteOffset, 8),
        back = words.getUint32(4, true);
      if (!this.isBehindCall(back)) break;
      found.push(back);
      below = frame + 8;
      frame = words.getUint32(0, true);
    }
    return found;
  }
  /** Whether the instruction before an offset of the code segment may be a near call: E8, or FF /2 in one of its lengths. */
  private isBehindCall(offset: number): boolean {
    const base = this.machine.processor.cpu.segment(CS, 'base'),
      before = this.debugger.readMemory((base + offset - LONGEST_CALL) >>> 0, LONGEST_CALL);
    if (before.length < LONGEST_CALL) return false;
    const at = (length: number): number => before[LONGEST_CALL - length]!;
    return at(5) === 0xe8 || [2, 3, 4, 6, 7].some((n) => at(n) === 0xff && ((at(n - 1) >> 3) & 7) === 2);
  }
}
