/** Rows times what the decoder settles: operand size, address size, register or memory, repeat prefix. Each is one handler. */
import type { Form, OperandSpec, Row } from './model.ts';

/** Operands that ModRM.rm makes a register or memory. */
export const EITHER = new Set<OperandSpec['kind']>(['rm', 'mmrm', 'xmmrm']);
/** Whether the operand takes ModRM.rm. */
export const usesRm = (o: OperandSpec): boolean =>
  EITHER.has(o.kind) ||
  o.kind === 'mem' ||
  o.kind === 'rmreg' ||
  o.kind === 'mmreg' ||
  o.kind === 'xmmreg' ||
  o.kind === 'st';

export const isSized = (row: Row): boolean => row.operandSized === true || row.operands.some((o) => o.size === 'v');
export const canBeMemory = (row: Row): boolean => row.operands.some((o) => EITHER.has(o.kind) || o.kind === 'mem');
export const canBeRegister = (row: Row): boolean => !row.operands.some((o) => o.kind === 'mem');

/** Whether the x87 unit remembers this instruction, and its memory operand if it has one (SDM vol. 1, 8.1.8). */
export const recordsPointers = (row: Row): boolean => row.unit === 'x87' && row.keepsPointers !== true;

/** The forms of one row, and which attributes matter to it. */
export interface RowForms {
  readonly sized: boolean;
  readonly addressSized: boolean;
  readonly repeats: 'never' | Exclude<Row['repeat'], undefined>;
  /** By `placeOf`. */
  readonly forms: (Form | undefined)[];
}
const placeOf = (size: 16 | 32, addressSize: 16 | 32, memory: boolean, repeat: Form['repeat']): number =>
  (size === 16 ? 1 : 0) +
  (addressSize === 16 ? 2 : 0) +
  (memory ? 4 : 0) +
  (repeat === 'none' ? 0 : repeat === 'repe' ? 8 : 16);

/** The form for what was decoded; attributes that do not matter to the row are ignored. */
export function formOf(
  { sized, addressSized, repeats, forms }: RowForms,
  size: 16 | 32,
  addressSize: 16 | 32,
  memory: boolean,
  repeat: Form['repeat'],
): Form | undefined {
  const p = repeats === 'never' || repeat === 'none' ? 'none' : repeats === 'rep' ? 'repe' : repeat;
  return forms[placeOf(sized ? size : 32, addressSized ? addressSize : 32, memory, p)];
}

/** The forms of a table, in a stable order; `index` is the position. */
export class FormTable {
  readonly rows: readonly Row[];
  readonly forms: readonly Form[];
  private readonly byRow = new Map<Row, RowForms>();

  constructor(rows: readonly Row[]) {
    this.rows = rows;
    const forms: Form[] = [];
    for (const row of rows) {
      const mine: RowForms = {
        sized: isSized(row),
        addressSized: row.addressSized === true,
        repeats: row.repeat ?? 'never',
        forms: [],
      };
      const sizes = isSized(row) ? ([32, 16] as const) : ([32] as const);
      const addressSizes = row.addressSized === true ? ([32, 16] as const) : ([32] as const);
      const repeats =
        row.repeat === undefined
          ? (['none'] as const)
          : row.repeat === 'rep'
            ? (['none', 'repe'] as const)
            : (['none', 'repe', 'repne'] as const);
      const memories = [...(canBeRegister(row) ? [false] : []), ...(canBeMemory(row) ? [true] : [])];
      for (const size of sizes)
        for (const addressSize of addressSizes)
          for (const memory of memories)
            for (const repeat of repeats) {
              const form: Form = { row, index: forms.length, size, addressSize, memory, repeat };
              forms.push(form);
              mine.forms[placeOf(size, addressSize, memory, repeat)] = form;
            }
      this.byRow.set(row, mine);
    }
    this.forms = forms;
  }

  /** Throws for a row that is not of this table. */
  formsOf(row: Row): RowForms {
    const mine = this.byRow.get(row);
    if (mine === undefined) throw new Error(`no form of ${row.mnemonic} ${row.encoding}`);
    return mine;
  }
  /** See `formOf`. Throws where there is none. */
  find(row: Row, size: 16 | 32, addressSize: 16 | 32, memory: boolean, repeat: Form['repeat']): Form {
    const form = formOf(this.formsOf(row), size, addressSize, memory, repeat);
    if (form === undefined) throw new Error(`no form of ${row.mnemonic} ${row.encoding}`);
    return form;
  }
}

/** Bits of one element of a string instruction: its rows for bytes have no size attribute. */
export const elementSizeOf = (form: Form): 8 | 16 | 32 => (form.row.operandSized === true ? form.size : 8);
