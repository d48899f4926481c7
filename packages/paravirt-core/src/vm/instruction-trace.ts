/**
 * A trace of executed instructions, as text: count, CS:EIP, bytes, disassembly, and the registers that the instruction changed. It
 * looks at the guest as a debugger does and changes nothing of it; runs go instruction by instruction while it writes.
 */
import { CS } from '../isa/build.ts';
import { MAX_LENGTH } from '../isa/decode.ts';
import { instructionText } from '../isa/disasm.ts';
import { ATTRIBUTE } from '../core/cpu.ts';
import type { DebuggerStop } from '../core/debug-registers.ts';
import { decoder, type Processor } from '../core/processor.ts';
import type { Machine } from './machine.ts';
import { MachineDebugger } from './machine-debugger.ts';

/** From where on: the first instruction, one by its number, or one by its linear address when it is reached first. */
export type TraceStart =
  | { readonly kind: 'begin' }
  | { readonly kind: 'count'; readonly instructions: number }
  | { readonly kind: 'address'; readonly linear: number };
export interface TraceOptions {
  readonly from: TraceStart;
  /** Instructions to write; Infinity for all. */
  readonly count: number;
  /** The name of a linear address, such as `start_kernel+12`; undefined where there is none. */
  readonly nameOf?: (linear: number) => string | undefined;
}

const REGISTERS = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eflags'] as const;
/** Room for this many bytes; longer instructions push their text out. */
const BYTES_SHOWN = 8;
const TEXT_WIDTH = 36;
const hex = (n: number, digits = 8): string => (n >>> 0).toString(16).padStart(digits, '0');

export class InstructionTrace {
  private readonly machine: Machine;
  private readonly debugger: MachineDebugger;
  private readonly options: TraceOptions;
  private readonly write: (line: string) => void;
  private left: number;
  private state: 'waiting' | 'writing' | 'over' = 'waiting';
  private pending: { processor: Processor; text: string; eip: number; instructions: number } | undefined;
  private before: number[] = [];

  /** `write` gets lines without their ends. */
  constructor(machine: Machine, options: TraceOptions, write: (line: string) => void) {
    this.machine = machine;
    this.debugger = new MachineDebugger(machine);
    this.options = options;
    this.write = write;
    this.left = options.count;
    if (options.from.kind === 'begin') this.begin();
    if (options.from.kind === 'address') this.debugger.addCode(options.from.linear);
  }

  /** The most instructions until the trace has something to do; run exactly so many then. Infinity when it does not matter. */
  get room(): number {
    const { from } = this.options;
    if (this.state !== 'waiting' || from.kind !== 'count') return Infinity;
    const left = from.instructions - this.machine.instructions;
    if (left > 0) return left;
    this.begin();
    return Infinity;
  }
  /** Whether a stop is the beginning of this trace: the guest goes on then. */
  takes(stop: DebuggerStop | undefined): boolean {
    const { from } = this.options;
    if (this.state !== 'waiting' || from.kind !== 'address') return false;
    if (stop?.kind !== 'code' || stop.address !== from.linear) return false;
    this.debugger.removeCode(from.linear);
    this.begin();
    return true;
  }
  private begin(): void {
    this.state = 'writing';
    for (const each of this.machine.processors)
      each.observer = { before: () => this.look(), delivered: (vector) => this.delivered(vector) };
  }
  /** Writes what is left to write. Call between slices. */
  settle(): void {
    this.finish();
    if (this.left > 0 || this.state !== 'writing') return;
    this.state = 'over';
    for (const each of this.machine.processors) each.observer = undefined;
  }

  private look(): void {
    const { processor, instructions } = this.machine,
      { cpu } = processor,
      { pending } = this;
    const eip = cpu.get('eip');
    const goesOn = pending?.processor === processor && pending.eip === eip && pending.instructions === instructions;
    if (goesOn) return; // another repetition of a string instruction
    this.finish();
    if (this.left <= 0) return;
    this.left--;
    const linear = (cpu.segment(CS, 'base') + eip) >>> 0,
      big = (cpu.segment(CS, 'attributes') & ATTRIBUTE.big) !== 0;
    const bytes = this.debugger.readMemory(linear, MAX_LENGTH),
      insn = decoder().decode(bytes, 0, bytes.length, big);
    const known = typeof insn !== 'string',
      shown = [...bytes.subarray(0, known ? insn.length : 1)].map((byte) => hex(byte, 2)).join(' '),
      meaning = known ? instructionText(insn, { address: eip, big }) : bytes.length === 0 ? '(no memory)' : '(bad)',
      name = this.options.nameOf?.(linear);
    const place = `${hex(cpu.segment(CS, 'selector'), 4)}:${hex(eip)}`;
    this.pending = {
      processor,
      text: `${String(instructions).padStart(10)}  ${this.who}${place}  ${shown.padEnd(BYTES_SHOWN * 3)} ${meaning.padEnd(TEXT_WIDTH)}${name === undefined ? '' : ` <${name}>`}`,
      eip,
      instructions,
    };
    this.before = this.registers(processor);
  }
  /** Which processor it is, where there are several. */
  private get who(): string {
    const { processors, processorIndex } = this.machine;
    return processors.length === 1 ? '' : `${processorIndex}: `;
  }
  private registers({ cpu }: Processor): number[] {
    return REGISTERS.map((_, i) => (i < 8 ? cpu.getRegister(i) : cpu.eflags));
  }
  private finish(): void {
    if (this.pending === undefined) return;
    const now = this.registers(this.pending.processor);
    const changed = REGISTERS.flatMap((name, i) => (now[i] === this.before[i] ? [] : [`${name}=${hex(now[i]!)}`]));
    this.write(`${this.pending.text} ${changed.join(' ')}`.trimEnd());
    this.pending = undefined;
  }
  private delivered(vector: number): void {
    this.finish();
    if (this.left > 0) this.write(`${' '.repeat(10)}  ${this.who}vector ${vector}`);
  }
}
