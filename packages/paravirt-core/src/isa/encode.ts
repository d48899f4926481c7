/** Instructions to bytes: the decoder's inverse, for tests and random programs (SDM vol. 2, chapter 2). */
import { DS, EBP, EBX, EDI, ESI, ESP, SS } from './build.ts';
import { popMovesFirst, type MemoryOperand } from './decode.ts';
import { isSized } from './forms.ts';
import type { Form, Row } from './model.ts';

/** What the form leaves open. Whatever the row does not use is ignored; missing numbers are 0. */
export interface Choice {
  /** ModRM.reg, or the register in the opcode. */
  readonly reg?: number;
  /** ModRM.rm as a register. */
  readonly rm?: number;
  /** ModRM.rm as memory, or where MOV moffs goes (base and index -1). Its address size becomes the prefix. */
  readonly memory?: MemoryOperand;
  /** The segment of string instructions and XLAT. */
  readonly segment?: number;
  readonly immediate?: number;
  readonly immediate2?: number;
  readonly lock?: boolean;
  /** CS.D; true when missing. */
  readonly big?: boolean;
}

/** Override prefixes by segment register. */
const SEGMENT_PREFIX = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65] as const;
/** ModRM.rm of 16-bit addressing by base and index (SDM vol. 2, table 2-1). */
const RM_16: readonly (readonly [base: number, index: number])[] = [
  [EBX, ESI],
  [EBX, EDI],
  [EBP, ESI],
  [EBP, EDI],
  [ESI, -1],
  [EDI, -1],
  [EBP, -1],
  [EBX, -1],
];

/** The segment of an effective address without a prefix. */
export const defaultSegment = (base: number): number => (base === ESP || base === EBP ? SS : DS);

/** The shortest ordinary encoding of one instruction. Throws RangeError when the form cannot take the choice. */
export function encode(form: Form, choice: Choice = {}): Uint8Array {
  const { row } = form,
    { parsed } = row;
  const big = choice.big ?? true,
    usual = big ? 32 : 16;
  const memory = form.memory || hasOffset(row) ? addressed(form, choice) : undefined;
  const addressSize = memory?.addressSize ?? (row.addressSized === true ? form.addressSize : usual);
  const bytes: number[] = [];
  if (choice.lock === true) bytes.push(0xf0);
  const segment = memory?.segment ?? choice.segment ?? DS;
  if (segment !== (memory === undefined ? DS : defaultSegment(memory.base))) bytes.push(SEGMENT_PREFIX[segment]!);
  if (addressSize !== usual) bytes.push(0x67);
  if (parsed.mandatory === 0x66 || (isSized(row) && form.size !== usual)) bytes.push(0x66);
  if (typeof parsed.mandatory === 'number' && parsed.mandatory !== 0x66) bytes.push(parsed.mandatory);
  else if (form.repeat !== 'none') bytes.push(form.repeat === 'repe' ? 0xf3 : 0xf2);
  bytes.push(
    ...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][parsed.map]!,
    parsed.opcode + (parsed.plusRegister ? (choice.reg ?? 0) & 7 : 0),
  );
  if (parsed.modrm.kind !== 'none') {
    const reg = parsed.modrm.kind === 'digit' ? parsed.modrm.digit : (choice.reg ?? 0) & 7;
    if (parsed.modrm.kind === 'exact')
      bytes.push(parsed.modrm.first + (parsed.modrm.last > parsed.modrm.first ? (choice.rm ?? 0) & 7 : 0));
    else if (memory !== undefined)
      bytes.push(...(addressSize === 32 ? address32(reg, memory) : address16(reg, memory)));
    else bytes.push(0xc0 | (reg << 3) | ((choice.rm ?? 0) & 7));
  }
  parsed.immediates.forEach((kind, n) => {
    const value = kind === 'mo' ? memory!.displacement : n === 0 ? (choice.immediate ?? 0) : (choice.immediate2 ?? 0);
    const length =
      kind === 'ib' || kind === 'cb'
        ? 1
        : kind === 'iw'
          ? 2
          : kind === 'mo'
            ? addressSize / 8
            : kind === 'iv' || kind === 'cv'
              ? form.size / 8
              : 4;
    bytes.push(...little(value, length));
  });
  return Uint8Array.from(bytes);
}

const hasOffset = (row: Row): boolean => row.operands.some((o) => o.kind === 'moffs');

function addressed({ row, addressSize, size }: Form, { memory }: Choice): MemoryOperand {
  if (memory === undefined) throw new RangeError(`${row.mnemonic} ${row.encoding} needs a memory operand`);
  if (row.addressSized === true && memory.addressSize !== addressSize)
    throw new RangeError(`${row.mnemonic}: address size ${memory.addressSize} is another form`);
  return popMovesFirst(row, memory) ? { ...memory, displacement: (memory.displacement - size / 8) | 0 } : memory;
}

const fitsByte = (n: number): boolean => n >= -128 && n <= 127;
const little = (value: number, length: number): number[] =>
  Array.from({ length }, (_, i) => (value >>> (8 * i)) & 0xff);

/** ModRM, SIB and displacement (SDM vol. 2, tables 2-2 and 2-3). */
function address32(reg: number, { base, index, scale, displacement }: MemoryOperand): number[] {
  if (index === ESP) throw new RangeError('ESP cannot be an index');
  const d = displacement | 0;
  const sib = index >= 0 || base === ESP;
  if (base < 0) {
    // Without a base the displacement has 32 bits; a lone index needs SIB.
    return index < 0
      ? [(reg << 3) | 5, ...little(d, 4)]
      : [(reg << 3) | 4, (scale << 6) | (index << 3) | 5, ...little(d, 4)];
  }
  const mod = d === 0 && base !== EBP ? 0 : fitsByte(d) ? 1 : 2;
  const head = [(mod << 6) | (reg << 3) | (sib ? 4 : base)];
  if (sib) head.push((index < 0 ? 0 : scale << 6) | ((index < 0 ? 4 : index) << 3) | base);
  return [...head, ...little(d, mod === 0 ? 0 : mod === 1 ? 1 : 4)];
}

/** ModRM and displacement (SDM vol. 2, table 2-1). */
function address16(reg: number, { base, index, displacement }: MemoryOperand): number[] {
  if (base < 0 && index < 0) return [(reg << 3) | 6, ...little(displacement, 2)];
  const rm = RM_16.findIndex(([b, i]) => b === base && i === index);
  if (rm < 0) throw new RangeError(`no 16-bit address of base ${base} and index ${index}`);
  const mod = displacement === 0 && rm !== 6 ? 0 : fitsByte(displacement) ? 1 : 2;
  return [(mod << 6) | (reg << 3) | rm, ...little(displacement, mod)];
}
