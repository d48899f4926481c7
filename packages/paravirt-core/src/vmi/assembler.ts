/** An assembler with labels over the instruction table: position-independent 32-bit code. */
import {
  FormTable,
  allRows,
  defaultSegment,
  encode,
  type Choice,
  type Form,
  type MemoryOperand,
} from '../isa/index.ts';

/** A general register. */
export const EAX = 0,
  ECX = 1,
  EDX = 2,
  EBX = 3,
  ESP = 4,
  ESI = 6,
  EDI = 7;

const table = new FormTable(allRows);
const rows = new Map(allRows.map((row) => [`${row.mnemonic} ${row.encoding}`, row]));

/** A memory operand: the base register, or -1, and what is added to it. */
export const memory = (base: number, displacement = 0, more: Partial<MemoryOperand> = {}): MemoryOperand => ({
  segment: defaultSegment(base),
  ...{ base, index: -1, scale: 0, displacement, addressSize: 32 as const },
  ...more,
});
/** What an instruction leaves open; `size` is that of its operands, `repeated` puts REP before it. */
export interface Open extends Choice {
  readonly size?: 16 | 32;
  readonly repeated?: true;
}

interface Fixup {
  /** Of the last byte of the distance. */
  readonly end: number;
  readonly bytes: 1 | 4;
  readonly label: string;
}

export class Assembler {
  private readonly bytes: number[] = [];
  private readonly labels = new Map<string, number>();
  private readonly fixups: Fixup[] = [];

  /** Bytes so far: the offset of what comes next. */
  get length(): number {
    return this.bytes.length;
  }
  /** An instruction, by the mnemonic and encoding of its row: `op('mov 89 /r', { reg: EAX, rm: EDX })`. Throws for unknown ones. */
  op(name: string, { size = 32, repeated, ...choice }: Open = {}): this {
    this.bytes.push(...encode(this.form(name, size, choice.memory !== undefined, repeated === true), choice));
    return this;
  }
  private form(name: string, size: 16 | 32, inMemory: boolean, repeated: boolean): Form {
    const row = rows.get(name);
    if (row === undefined) throw new Error(`no row '${name}' in the instruction table`);
    return table.find(row, size, 32, inMemory, repeated ? 'repe' : 'none');
  }
  /** A branch to a label: `name` as for `op`, with a distance of one byte or four. */
  branch(name: string, label: string): this {
    this.op(name);
    this.fixups.push({ end: this.bytes.length, bytes: name.endsWith(' cb') ? 1 : 4, label });
    return this;
  }
  /** Names this place. */
  label(name: string): this {
    this.labels.set(name, this.bytes.length);
    return this;
  }
  /** Zeros up to an offset. Throws when it is behind. */
  padTo(offset: number): this {
    if (this.bytes.length > offset) throw new Error(`${this.bytes.length} bytes do not fit before ${offset}`);
    while (this.bytes.length < offset) this.bytes.push(0);
    return this;
  }
  /** Data. */
  data(...bytes: readonly number[]): this {
    this.bytes.push(...bytes);
    return this;
  }
  /** Where a label lies. Throws for one that was never set. */
  offsetOf(label: string): number {
    const at = this.labels.get(label);
    if (at === undefined) throw new Error(`no label '${label}'`);
    return at;
  }
  /** The finished code. Throws where a branch of one byte does not reach. */
  finish(): Uint8Array {
    const out = Uint8Array.from(this.bytes),
      view = new DataView(out.buffer);
    for (const { end, bytes, label } of this.fixups) {
      const distance = this.offsetOf(label) - end;
      if (bytes === 4) view.setInt32(end - 4, distance, true);
      else if (distance === (distance << 24) >> 24) view.setInt8(end - 1, distance);
      else throw new Error(`'${label}' is too far for a short branch`);
    }
    return out;
  }
}
