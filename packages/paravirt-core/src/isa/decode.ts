/** Bytes to decoded instructions, by the table (SDM vol. 2, chapter 2). One decoder for every engine and the disassembler. */
import { EBP, ESP, ESI, EDI, EBX, DS, SS } from './build.ts';
import { BY_ADDRESS_SIZE, BY_OPERAND_SIZE, planOf, type DecodePlan } from './decode-plan.ts';
import { FormTable, canBeRegister, formOf } from './forms.ts';
import type { Form, Row } from './model.ts';

/** An effective address: segment, base and index registers (-1 for none), scale as a shift, displacement. */
export interface MemoryOperand {
  readonly segment: number;
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: number;
  readonly addressSize: 16 | 32;
}
export interface Instruction {
  readonly form: Form;
  /** Bytes, prefixes included. */
  readonly length: number;
  /** ModRM.reg, or the register in the opcode. */
  readonly reg: number;
  /** ModRM.rm when it is a register. */
  readonly rm: number;
  readonly memory: MemoryOperand | null;
  /** The segment that string instructions and XLAT use: DS or the override. */
  readonly segment: number;
  /** The first immediate, sign-extended where the row says so; the displacement of a relative branch; an offset of MOV moffs. */
  readonly immediate: number;
  /** The second immediate (ENTER's level, a far pointer's selector). */
  readonly immediate2: number;
  readonly lock: boolean;
  /** As the x87 unit notes it: the opcode's low three bits above the ModRM byte (SDM vol. 1, 8.1.9). */
  readonly opcode: number;
}
/** Why there is no instruction: no row claims the bytes (#UD), it is longer than 15 bytes (#GP), or bytes are missing. */
export type NoInstruction = 'undefined' | 'too-long' | 'need-more';

/** SDM vol. 2, 2.3.11: an instruction of more than 15 bytes raises #GP. */
export const MAX_LENGTH = 15;
/** Base and index of the 16-bit ModRM forms (SDM vol. 2, table 2-1). */
const BASE_16 = [EBX, EBX, EBP, EBP, ESI, EDI, EBP, EBX] as const;
const INDEX_16 = [ESI, EDI, ESI, EDI, -1, -1, -1, -1] as const;
/** Bytes that are prefixes: a segment and SEGMENT, or one of the others; 0 for what is none. */
const SEGMENT = 8,
  OPERAND_SIZE = 1,
  ADDRESS_SIZE = 2,
  LOCK = 3,
  REPEAT = 4;
const PREFIX = new Uint8Array(256);
[0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65].forEach((byte, segment) => (PREFIX[byte] = SEGMENT + segment));
PREFIX[0x66] = OPERAND_SIZE;
PREFIX[0x67] = ADDRESS_SIZE;
PREFIX[0xf0] = LOCK;
PREFIX[0xf2] = PREFIX[0xf3] = REPEAT;

/** What prefixes make a difference to which row it is, by `prefixesOf`. */
const PREFIX_KINDS = 6;
const prefixesOf = (repeat: number, operandPrefix: boolean): number =>
  (repeat === 0 ? 0 : repeat === 0xf2 ? 2 : 4) + (operandPrefix ? 1 : 0);

/** The rows of one opcode. */
interface Slot {
  readonly plans: readonly DecodePlan[];
  readonly modrm: boolean;
  /** By ModRM, where there is one, and prefixes: a place in `plans` and 1; NOT_ASKED before, NO_ROW where none claims it. */
  readonly known: Uint8Array;
}
const NOT_ASKED = 0,
  NO_ROW = 255;

export class Decoder {
  readonly table: FormTable;
  /** By map and opcode. */
  private readonly slots: readonly Slot[];
  private readonly reader = new Reader();

  constructor(rows: readonly Row[]) {
    this.table = new FormTable(rows);
    const plans: DecodePlan[][] = Array.from({ length: 4 * 256 }, () => []);
    for (const row of rows) {
      const { map, opcode, plusRegister } = row.parsed,
        plan = planOf(row, this.table);
      for (let i = 0; i < (plusRegister ? 8 : 1); i++) plans[map * 256 + opcode + i]!.push(plan);
    }
    this.slots = plans.map((claiming) => {
      // A mandatory prefix is more specific than none.
      claiming.sort((a, b) => Number(a.row.parsed.mandatory === null) - Number(b.row.parsed.mandatory === null));
      const modrm = claiming.some((plan) => plan.modrm);
      return { plans: claiming, modrm, known: new Uint8Array(PREFIX_KINDS * (modrm ? 256 : 1)) };
    });
  }

  /** Decodes at `at`, using at most the bytes before `end`. `big` is CS.D. */
  decode(bytes: Uint8Array, at: number, end: number, big: boolean): Instruction | NoInstruction {
    let i = at;
    let operandPrefix = false,
      addressPrefix = false,
      lock = false;
    let repeat = 0,
      override = -1;
    for (; ; i++) {
      if (i - at >= MAX_LENGTH) return 'too-long';
      if (i >= end) return 'need-more';
      const p = bytes[i]!,
        prefix = PREFIX[p]!;
      if (prefix === 0) break;
      if (prefix >= SEGMENT) override = prefix - SEGMENT;
      else if (prefix === OPERAND_SIZE) operandPrefix = true;
      else if (prefix === ADDRESS_SIZE) addressPrefix = true;
      else if (prefix === LOCK) lock = true;
      else repeat = p;
    }
    let map = 0;
    let opcode = bytes[i++]!;
    if (opcode === 0x0f) {
      if (i >= end) return 'need-more';
      opcode = bytes[i++]!;
      map = 1;
      if (opcode === 0x38 || opcode === 0x3a) {
        if (i >= end) return 'need-more';
        map = opcode === 0x38 ? 2 : 3;
        opcode = bytes[i++]!;
      }
    }
    const slot = this.slots[map * 256 + opcode]!;
    if (slot.plans.length === 0) return 'undefined';
    let modrm = 0;
    if (slot.modrm) {
      if (i >= end) return 'need-more';
      modrm = bytes[i]!;
    }
    const plan = planFor(slot, modrm, repeat, operandPrefix);
    if (plan === undefined) return 'undefined';

    const size = big !== operandPrefix ? 32 : 16;
    const addressSize = big !== addressPrefix ? 32 : 16;
    const { reader } = this;
    reader.bytes = bytes;
    reader.at = i;
    reader.end = end;
    let reg = plan.plusRegister ? opcode & 7 : 0,
      rm = 0;
    let memory: MemoryOperand | null = null;
    if (plan.modrm) {
      reader.at++;
      reg = (modrm >> 3) & 7;
      rm = modrm & 7;
      if (modrm < 0xc0 && plan.addresses) {
        const popped = plan.pops ? size >> 3 : 0;
        memory = addressSize === 32 ? reader.address32(modrm, override, popped) : reader.address16(modrm, override);
      }
    }
    let immediate = 0,
      immediate2 = 0;
    if (plan.immediates > 0) {
      immediate = reader.immediate(bytesOf(plan.bytes, size, addressSize), plan.signed);
      // Operands of the size attribute are zero above it, whatever the sign was.
      if (size === 16 && plan.extends) immediate &= 0xffff;
      if (plan.immediates > 1) immediate2 = reader.immediate(bytesOf(plan.bytes2, size, addressSize), plan.signed2);
    }
    const length = reader.at - at;
    if (length > MAX_LENGTH) return 'too-long';
    if (reader.at > end) return 'need-more';
    const segment = override >= 0 ? override : DS;
    const addresses = memory !== null && plan.memory;
    if (plan.offset) memory = { segment, base: -1, index: -1, scale: 0, displacement: immediate, addressSize };
    if (lock && !(plan.lock && memory !== null)) return 'undefined';
    if (plan.segment && (reg > 5 || (plan.segmentWritten && reg === 1))) return 'undefined';
    if (plan.control && (reg === 1 || reg > 4)) return 'undefined';
    const form = formOf(
      plan.forms,
      size,
      addressSize,
      addresses,
      repeat === 0 ? 'none' : repeat === 0xf3 ? 'repe' : 'repne',
    );
    return {
      form: form!,
      length,
      reg,
      rm,
      memory,
      segment,
      immediate,
      immediate2,
      lock,
      opcode: ((opcode & 7) << 8) | modrm,
    };
  }
}

const bytesOf = (bytes: number, size: 16 | 32, addressSize: 16 | 32): number =>
  bytes === BY_OPERAND_SIZE ? size >> 3 : bytes === BY_ADDRESS_SIZE ? addressSize >> 3 : bytes;

/** The row that claims what was read, looked for once. */
function planFor(
  { plans, known }: Slot,
  modrm: number,
  repeat: number,
  operandPrefix: boolean,
): DecodePlan | undefined {
  const key = modrm * PREFIX_KINDS + prefixesOf(repeat, operandPrefix),
    seen = known[key]!;
  if (seen !== NOT_ASKED) return seen === NO_ROW ? undefined : plans[seen - 1];
  const found = plans.findIndex(({ row }) => matches(row, modrm, repeat, operandPrefix));
  known[key] = found < 0 ? NO_ROW : found + 1;
  return plans[found];
}

/** POP computes an ESP-based destination after it has moved ESP (SDM vol. 2, POP): the decoder adds the size to the displacement. */
export const popMovesFirst = (row: Row, memory: MemoryOperand): boolean =>
  row.mnemonic === 'pop' && memory.base === ESP;

function matches(row: Row, modrm: number, repeat: number, operandPrefix: boolean): boolean {
  const { mandatory, modrm: rule } = row.parsed;
  if (mandatory === 'none' && (repeat !== 0 || operandPrefix)) return false;
  if (mandatory === 0x66 && (repeat !== 0 || !operandPrefix)) return false;
  if ((mandatory === 0xf2 || mandatory === 0xf3) && repeat !== mandatory) return false;
  if (rule.kind === 'digit' && ((modrm >> 3) & 7) !== rule.digit) return false;
  if (rule.kind === 'exact') return modrm >= rule.first && modrm <= rule.last;
  if (rule.kind === 'none') return true;
  const registersOnly = row.operands.some((o) => o.kind === 'creg' || o.kind === 'dreg');
  if (registersOnly) return true;
  if (modrm >= 0xc0) return canBeRegister(row);
  return !row.operands.some((o) => o.kind === 'rmreg' || o.kind === 'mmreg' || o.kind === 'xmmreg' || o.kind === 'st');
}

const NO_BYTES = new Uint8Array(0);

/** Reads on past the end (as zeros): the caller compares `at` with the end once. */
class Reader {
  bytes: Uint8Array = NO_BYTES;
  end = 0;
  at = 0;

  private byte(): number {
    const at = this.at++;
    return at < this.end ? this.bytes[at]! : 0;
  }
  /** A little-endian number of 0, 1, 2 or 4 bytes, extended to 32 bits. */
  immediate(count: number, signed: boolean): number {
    if (count === 1) return signed ? (this.byte() << 24) >> 24 : this.byte();
    if (count === 0) return 0;
    const low = this.byte() | (this.byte() << 8);
    if (count === 2) return signed ? (low << 16) >> 16 : low;
    return low | (this.byte() << 16) | (this.byte() << 24);
  }
  /**
   * ModRM with 32-bit addressing (SDM vol. 2, tables 2-2 and 2-3). `popped` bytes are added where the base is ESP: see
   * `popMovesFirst`.
   */
  address32(modrm: number, override: number, popped: number): MemoryOperand {
    const mod = modrm >> 6;
    let base = modrm & 7,
      index = -1,
      scale = 0;
    if (base === 4) {
      const sib = this.byte();
      base = sib & 7;
      index = (sib >> 3) & 7;
      scale = sib >> 6;
      if (index === 4) {
        index = -1;
        scale = 0;
      }
    }
    let displacement = 0;
    if (mod === 0 && base === 5) {
      base = -1;
      displacement = this.immediate(4, true);
    } else if (mod === 1) displacement = this.immediate(1, true);
    else if (mod === 2) displacement = this.immediate(4, true);
    if (base === ESP) displacement = (displacement + popped) | 0;
    const segment = override >= 0 ? override : base === ESP || base === EBP ? SS : DS;
    return { segment, base, index, scale, displacement, addressSize: 32 };
  }
  /** ModRM with 16-bit addressing (SDM vol. 2, table 2-1). */
  address16(modrm: number, override: number): MemoryOperand {
    const mod = modrm >> 6,
      form = modrm & 7;
    let base: number = BASE_16[form]!,
      displacement = 0;
    if (mod === 0 && form === 6) {
      base = -1;
      displacement = this.immediate(2, false);
    } else if (mod === 1) displacement = this.immediate(1, true);
    else if (mod === 2) displacement = this.immediate(2, true);
    const segment = override >= 0 ? override : base === EBP ? SS : DS;
    return { segment, base, index: INDEX_16[form]!, scale: 0, displacement, addressSize: 16 };
  }
}
