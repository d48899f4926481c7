/** Bytes to decoded instructions, by the table (SDM vol. 2, chapter 2). One decoder for every engine and the disassembler. */
import { EBP, ESP, ESI, EDI, EBX, DS, SS } from './build.ts';
import { FormTable, canBeMemory, canBeRegister } from './forms.ts';
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
const SEGMENT_PREFIX: Readonly<Record<number, number>> = { 0x26: 0, 0x2e: 1, 0x36: 2, 0x3e: 3, 0x64: 4, 0x65: 5 };

export class Decoder {
  readonly table: FormTable;
  private readonly maps: readonly (readonly Row[])[][];

  constructor(rows: readonly Row[]) {
    this.table = new FormTable(rows);
    const maps: Row[][][] = [0, 1, 2, 3].map(() => Array.from({ length: 256 }, () => []));
    for (const row of rows) {
      const { map, opcode, plusRegister } = row.parsed;
      for (let i = 0; i < (plusRegister ? 8 : 1); i++) maps[map]![opcode + i]!.push(row);
    }
    // A mandatory prefix is more specific than none.
    for (const map of maps)
      for (const slot of map)
        slot.sort((a, b) => Number(a.parsed.mandatory === null) - Number(b.parsed.mandatory === null));
    this.maps = maps;
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
      const p = bytes[i]!;
      const segment = SEGMENT_PREFIX[p];
      if (segment !== undefined) override = segment;
      else if (p === 0x66) operandPrefix = true;
      else if (p === 0x67) addressPrefix = true;
      else if (p === 0xf0) lock = true;
      else if (p === 0xf2 || p === 0xf3) repeat = p;
      else break;
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
    const candidates = this.maps[map]![opcode]!;
    if (candidates.length === 0) return 'undefined';
    const needsModrm =
      candidates[0]!.parsed.modrm.kind !== 'none' || candidates.some((c) => c.parsed.modrm.kind !== 'none');
    let modrm = 0;
    if (needsModrm) {
      if (i >= end) return 'need-more';
      modrm = bytes[i]!;
    }
    const row = candidates.find((c) => matches(c, modrm, repeat, operandPrefix));
    if (row === undefined) return 'undefined';

    const size = big !== operandPrefix ? 32 : 16;
    const addressSize = big !== addressPrefix ? 32 : 16;
    const reader = new Reader(bytes, at, i, end);
    let reg = row.parsed.plusRegister ? opcode & 7 : 0,
      rm = 0;
    let memory: MemoryOperand | null = null;
    if (row.parsed.modrm.kind !== 'none') {
      reader.next(1);
      reg = (modrm >> 3) & 7;
      rm = modrm & 7;
      const registerOnly = row.operands.some((o) => o.kind === 'creg' || o.kind === 'dreg');
      if (modrm < 0xc0 && !registerOnly && row.parsed.modrm.kind !== 'exact') {
        memory = addressSize === 32 ? reader.address32(modrm, override) : reader.address16(modrm, override);
      }
    }
    let immediate = 0,
      immediate2 = 0;
    row.parsed.immediates.forEach((kind, n) => {
      const bytesOf =
        kind === 'ib' || kind === 'cb'
          ? 1
          : kind === 'iw'
            ? 2
            : kind === 'mo'
              ? addressSize / 8
              : kind === 'iv' || kind === 'cv'
                ? size / 8
                : 4;
      const signed = kind === 'cb' || kind === 'cv' || kind === 'cd' || row.operands.some((o) => o.kind === 'simm');
      const value = reader.next(bytesOf);
      const wide = signed && bytesOf < 4 ? (value << (32 - 8 * bytesOf)) >> (32 - 8 * bytesOf) : value | 0;
      if (n === 0) immediate = wide;
      else immediate2 = wide;
    });
    // Operands of the size attribute are zero above it, whatever the sign was.
    if (size === 16 && row.operands.some((o) => o.kind === 'simm')) immediate &= 0xffff;
    if (reader.at - at > MAX_LENGTH) return 'too-long';
    if (reader.at > end) return 'need-more';
    if (row.operands.some((o) => o.kind === 'moffs')) {
      memory = {
        segment: override >= 0 ? override : DS,
        base: -1,
        index: -1,
        scale: 0,
        displacement: immediate,
        addressSize,
      };
    }
    if (lock && !(row.lock === true && memory !== null)) return 'undefined';
    const illegal = row.operands.some(
      (o) =>
        (o.kind === 'sreg' && (reg > 5 || (o.access !== 'r' && reg === 1))) ||
        (o.kind === 'creg' && (reg === 1 || reg > 4)),
    );
    if (illegal) return 'undefined';
    if (memory !== null && popMovesFirst(row, memory))
      memory = { ...memory, displacement: (memory.displacement + size / 8) | 0 };
    const isMemory = memory !== null && (canBeMemory(row) || row.operands.some((o) => o.kind === 'moffs'));
    const form = this.table.find(
      row,
      size,
      addressSize,
      isMemory && canBeMemory(row),
      repeat === 0 ? 'none' : repeat === 0xf3 ? 'repe' : 'repne',
    );
    return {
      form,
      length: reader.at - at,
      reg,
      rm,
      memory,
      segment: override >= 0 ? override : DS,
      immediate,
      immediate2,
      lock,
      opcode: ((opcode & 7) << 8) | modrm,
    };
  }
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

/** Reads on past the end (as zeros): the caller compares `at` with the end once. */
class Reader {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, start: number, at: number, end: number) {
    this.bytes = bytes;
    this.start = start;
    this.at = at;
    this.end = end;
  }
  /** A little-endian number of 1, 2 or 4 bytes, unsigned. */
  next(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const at = this.at + i;
      value |= (at < this.end ? this.bytes[at]! : 0) << (8 * i);
    }
    this.at += count;
    return value >>> 0;
  }
  private signed(count: number): number {
    const shift = 32 - 8 * count;
    return (this.next(count) << shift) >> shift;
  }
  /** ModRM with 32-bit addressing (SDM vol. 2, tables 2-2 and 2-3). */
  address32(modrm: number, override: number): MemoryOperand {
    const mod = modrm >> 6;
    let base = modrm & 7,
      index = -1,
      scale = 0;
    if (base === 4) {
      const sib = this.next(1);
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
      displacement = this.signed(4);
    } else if (mod === 1) displacement = this.signed(1);
    else if (mod === 2) displacement = this.signed(4);
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
      displacement = this.next(2);
    } else if (mod === 1) displacement = this.signed(1);
    else if (mod === 2) displacement = this.signed(2);
    const segment = override >= 0 ? override : base === EBP ? SS : DS;
    return { segment, base, index: INDEX_16[form]!, scale: 0, displacement, addressSize: 16 };
  }
}
