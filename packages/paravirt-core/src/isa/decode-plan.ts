/** What the decoder has to know of a row, settled when the table is made and not for each instruction. */
import { canBeMemory, type FormTable, type RowForms } from './forms.ts';
import type { Encoding, Row } from './model.ts';

/** Bytes of an immediate where they depend on the operand or address size attribute. */
export const BY_OPERAND_SIZE = -1,
  BY_ADDRESS_SIZE = -2;
const BYTES: Readonly<Record<Encoding['immediates'][number], number>> = {
  ib: 1,
  cb: 1,
  iw: 2,
  id: 4,
  cd: 4,
  iv: BY_OPERAND_SIZE,
  cv: BY_OPERAND_SIZE,
  mo: BY_ADDRESS_SIZE,
};

export interface DecodePlan {
  readonly row: Row;
  readonly forms: RowForms;
  /** A ModRM byte follows the opcode. */
  readonly modrm: boolean;
  /** ModRM below C0 makes an effective address. */
  readonly addresses: boolean;
  /** A form for memory is wanted then. */
  readonly memory: boolean;
  readonly plusRegister: boolean;
  /** How many immediates follow; bytes and sign of the first and of the second. */
  readonly immediates: number;
  readonly bytes: number;
  readonly signed: boolean;
  readonly bytes2: number;
  readonly signed2: boolean;
  /** The first immediate is an operand of the size attribute. */
  readonly extends: boolean;
  /** The first immediate is an offset in memory. */
  readonly offset: boolean;
  /** LOCK is legal, with memory. */
  readonly lock: boolean;
  /** ModRM.reg is a segment register, is one that may be written, is a control register. */
  readonly segment: boolean;
  readonly segmentWritten: boolean;
  readonly control: boolean;
  readonly pops: boolean;
}

export function planOf(row: Row, table: FormTable): DecodePlan {
  const { parsed, operands } = row,
    { immediates } = parsed;
  const has = (...kinds: Row['operands'][number]['kind'][]): boolean => operands.some((o) => kinds.includes(o.kind));
  const isSigned = (n: number): boolean => ['cb', 'cv', 'cd'].includes(immediates[n] ?? '') || has('simm');
  const bytesOf = (n: number): number => (immediates[n] === undefined ? 0 : BYTES[immediates[n]]);
  return {
    row,
    forms: table.formsOf(row),
    modrm: parsed.modrm.kind !== 'none',
    addresses: !has('creg', 'dreg') && parsed.modrm.kind !== 'exact',
    memory: canBeMemory(row),
    plusRegister: parsed.plusRegister,
    immediates: immediates.length,
    bytes: bytesOf(0),
    signed: isSigned(0),
    bytes2: bytesOf(1),
    signed2: isSigned(1),
    extends: has('simm'),
    offset: has('moffs'),
    lock: row.lock === true,
    segment: has('sreg'),
    segmentWritten: operands.some((o) => o.kind === 'sreg' && o.access !== 'r'),
    control: has('creg'),
    pops: row.mnemonic === 'pop',
  };
}
