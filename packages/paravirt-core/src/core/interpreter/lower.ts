/** Decoded instructions to records. */
import type { Instruction } from '../../isa/decode.ts';
import type { Form, OperandSpec } from '../../isa/model.ts';
import { OFFSET, segmentOffset } from '../layout.ts';
import { PSEUDO, RECORD, RECORD_BYTES } from './record.ts';

/** What the instructions of a form have in common. */
interface Lowering {
  readonly handler: number;
  /** What stands in the record for each register of ModRM.reg (or of the opcode) and of ModRM.rm. */
  readonly reg: Uint16Array;
  readonly rm: Uint16Array;
  readonly isRelative: boolean;
}
/** Addresses of eight registers, or their numbers where there is no one place for them. */
const eight = (of: (n: number) => number): Uint16Array => Uint16Array.from({ length: 8 }, (_, n) => of(n));

/** Writes records into linear memory for one processor. */
export class RecordWriter {
  /** Records are aligned to their size, and words of the host are little-endian, as everywhere in the core. */
  private readonly words: Int32Array;
  private readonly cpu: number;
  private readonly handlerOf: Uint16Array;
  /** By form. */
  private readonly lowerings: (Lowering | undefined)[] = [];
  private readonly places: Readonly<Record<'number' | 'byte' | 'general' | 'mmx' | 'xmm', Uint16Array>>;

  constructor(memory: WebAssembly.Memory, cpu: number, handlerOf: Uint16Array) {
    this.words = new Int32Array(memory.buffer);
    this.cpu = cpu;
    this.handlerOf = handlerOf;
    this.places = {
      number: eight((n) => n),
      byte: eight((n) => cpu + OFFSET.gpr + (n & 3) * 8 + (n >> 2)),
      general: eight((n) => cpu + OFFSET.gpr + n * 8),
      mmx: eight((n) => cpu + OFFSET.fpr + n * 16),
      xmm: eight((n) => cpu + OFFSET.xmm + n * 16),
    };
  }

  /** A record that stands for no instruction. Returns the address after it. */
  pseudo(at: number, handler: number, pageOffset: number, immediate = 0): number {
    const { words } = this,
      first = at >> 2;
    words.fill(0, first, first + RECORD_BYTES / 4);
    words[first + RECORD.handler / 4] = handler;
    words[first + RECORD.pageOffset / 4] = pageOffset;
    words[first + RECORD.immediate / 4] = immediate;
    return at + RECORD_BYTES;
  }

  /** An instruction at an offset in its page: one record, or two with 16-bit addressing. Returns the address after them. */
  instruction(at: number, insn: Instruction, pageOffset: number): number {
    const { words, cpu } = this,
      { memory, form, length } = insn,
      { general } = this.places,
      lowering = this.lowerings[form.index] ?? this.lower(form);
    const zero = cpu + OFFSET.zero;
    const isEarly = memory?.addressSize === 16 && memory.base >= 0;
    if (isEarly) {
      this.pseudo(at, PSEUDO.address16, pageOffset);
      words[(at + RECORD.reg) >> 2] = general[memory.base]! << 16;
      words[(at + RECORD.index) >> 2] = memory.index < 0 ? zero : general[memory.index]!;
      words[(at + RECORD.displacement) >> 2] = memory.displacement;
      at += RECORD_BYTES;
    }
    let base = lowering.rm[insn.rm]!,
      index = zero,
      scale = 0,
      displacement = 0,
      { segment } = insn;
    if (memory !== null) {
      ({ segment } = memory);
      if (isEarly) base = cpu + OFFSET.address16;
      else {
        base = memory.base < 0 ? zero : general[memory.base]!;
        if (memory.index >= 0) index = general[memory.index]!;
        ({ scale, displacement } = memory);
      }
    }
    const { immediate } = insn,
      first = at >> 2;
    // By words, in the order of RECORD.
    words[first] = lowering.handler | (length << 16) | (scale << 24);
    words[first + 1] = lowering.reg[insn.reg]! | (base << 16);
    words[first + 2] = index | ((cpu + segmentOffset(segment)) << 16);
    words[first + 3] = displacement;
    words[first + 4] = lowering.isRelative ? pageOffset + length + immediate : immediate;
    words[first + 5] = insn.immediate2;
    words[first + 6] = pageOffset | (insn.rm << 16);
    words[first + 7] = insn.opcode;
    return at + RECORD_BYTES;
  }

  private lower(form: Form): Lowering {
    const { operands } = form.row;
    const placesOf = (kinds: ReadonlySet<OperandSpec['kind']>): Uint16Array => {
      const spec = operands.find((o) => kinds.has(o.kind));
      return spec === undefined ? this.places.number : this.registers(spec, form.size);
    };
    const lowering = {
      handler: this.handlerOf[form.index]!,
      reg: placesOf(REG_KINDS),
      rm: placesOf(RM_KINDS),
      isRelative: operands.some((o) => o.kind === 'rel'),
    };
    this.lowerings[form.index] = lowering;
    return lowering;
  }
  private registers(spec: OperandSpec, operandSize: 16 | 32): Uint16Array {
    const { byte, general, mmx, xmm, number } = this.places;
    switch (spec.kind) {
      case 'reg':
      case 'opreg':
      case 'rm':
      case 'rmreg':
        return (spec.size === 'v' ? operandSize : spec.size) === 8 ? byte : general;
      case 'mm':
      case 'mmrm':
      case 'mmreg':
        return mmx;
      case 'xmm':
      case 'xmmrm':
      case 'xmmreg':
        return xmm;
      default:
        return number;
    }
  }
}

const REG_KINDS = new Set<OperandSpec['kind']>(['reg', 'opreg', 'mm', 'xmm']);
const RM_KINDS = new Set<OperandSpec['kind']>(['rm', 'rmreg', 'mmrm', 'mmreg', 'xmmrm', 'xmmreg']);
