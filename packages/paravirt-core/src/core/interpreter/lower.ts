/** Decoded instructions to records. */
import type { Instruction } from '../../isa/decode.ts';
import type { OperandSpec } from '../../isa/model.ts';
import { OFFSET, segmentOffset } from '../layout.ts';
import { PSEUDO, RECORD, RECORD_BYTES } from './record.ts';

/** Writes records into linear memory for one processor. */
export class RecordWriter {
  private readonly data: DataView;
  private readonly cpu: number;
  private readonly handlerOf: Uint16Array;

  constructor(memory: WebAssembly.Memory, cpu: number, handlerOf: Uint16Array) {
    this.data = new DataView(memory.buffer);
    this.cpu = cpu;
    this.handlerOf = handlerOf;
  }

  /** A record that stands for no instruction. Returns the address after it. */
  pseudo(at: number, handler: number, pageOffset: number, immediate = 0): number {
    for (let i = 0; i < RECORD_BYTES; i += 4) this.data.setUint32(at + i, 0, true);
    this.data.setUint16(at + RECORD.handler, handler, true);
    this.data.setUint16(at + RECORD.pageOffset, pageOffset, true);
    this.data.setInt32(at + RECORD.immediate, immediate, true);
    return at + RECORD_BYTES;
  }

  /** An instruction at an offset in its page: one record, or two with 16-bit addressing. Returns the address after them. */
  instruction(at: number, insn: Instruction, pageOffset: number): number {
    const { data, cpu } = this,
      { memory } = insn;
    const zero = cpu + OFFSET.zero;
    const gpr = (index: number): number => (index < 0 ? zero : cpu + OFFSET.gpr + index * 8);
    let base = zero,
      index = zero,
      scale = 0,
      displacement = 0;
    if (memory !== null) {
      if (memory.addressSize === 16 && memory.base >= 0) {
        this.pseudo(at, PSEUDO.address16, pageOffset);
        data.setUint16(at + RECORD.rm, gpr(memory.base), true);
        data.setUint16(at + RECORD.index, gpr(memory.index), true);
        data.setInt32(at + RECORD.displacement, memory.displacement, true);
        at += RECORD_BYTES;
        base = cpu + OFFSET.address16;
      } else {
        base = gpr(memory.base);
        index = gpr(memory.index);
        ({ scale, displacement } = memory);
      }
    }
    const { row, size } = insn.form;
    const reg = row.operands.find((o) => REG_KINDS.has(o.kind)),
      rm = row.operands.find((o) => RM_KINDS.has(o.kind));
    const isRelative = row.operands.some((o) => o.kind === 'rel');
    data.setUint16(at + RECORD.handler, this.handlerOf[insn.form.index]!, true);
    data.setUint8(at + RECORD.length, insn.length);
    data.setUint8(at + RECORD.scale, scale);
    data.setUint16(at + RECORD.reg, reg === undefined ? insn.reg : this.registerOf(reg, insn.reg, size), true);
    data.setUint16(
      at + RECORD.rm,
      memory !== null ? base : rm === undefined ? insn.rm : this.registerOf(rm, insn.rm, size),
      true,
    );
    data.setUint16(at + RECORD.index, index, true);
    data.setUint16(at + RECORD.segment, cpu + segmentOffset(memory !== null ? memory.segment : insn.segment), true);
    data.setInt32(at + RECORD.displacement, displacement, true);
    data.setInt32(at + RECORD.immediate, isRelative ? pageOffset + insn.length + insn.immediate : insn.immediate, true);
    data.setInt32(at + RECORD.immediate2, insn.immediate2, true);
    data.setUint16(at + RECORD.pageOffset, pageOffset, true);
    data.setUint16(at + RECORD.number, insn.rm, true);
    data.setUint32(at + RECORD.opcode, insn.opcode, true);
    return at + RECORD_BYTES;
  }

  /** The address of a register, or its number where there is no one place for it. */
  private registerOf(spec: OperandSpec, n: number, operandSize: 16 | 32): number {
    switch (spec.kind) {
      case 'reg':
      case 'opreg':
      case 'rm':
      case 'rmreg': {
        const size = spec.size === 'v' ? operandSize : spec.size;
        return size === 8 ? this.cpu + OFFSET.gpr + (n & 3) * 8 + (n >> 2) : this.cpu + OFFSET.gpr + n * 8;
      }
      case 'mm':
      case 'mmrm':
      case 'mmreg':
        return this.cpu + OFFSET.fpr + n * 16;
      case 'xmm':
      case 'xmmrm':
      case 'xmmreg':
        return this.cpu + OFFSET.xmm + n * 16;
      default:
        return n;
    }
  }
}

const REG_KINDS = new Set<OperandSpec['kind']>(['reg', 'opreg', 'mm', 'xmm']);
const RM_KINDS = new Set<OperandSpec['kind']>(['rm', 'rmreg', 'mmrm', 'mmreg', 'xmmrm', 'xmmreg']);
