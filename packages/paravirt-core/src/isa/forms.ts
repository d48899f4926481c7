/** Rows times what the decoder settles: operand size, address size, register or memory, repeat prefix. Each is one handler. */
import type { Form, OperandSpec, Row } from './model.ts';

/** Operands that ModRM.rm makes a register or memory. */
export const EITHER = new Set<OperandSpec['kind']>(['rm', 'mmrm', 'xmmrm']);
/** Whether the operand takes ModRM.rm. */
export const usesRm = (o: OperandSpec): boolean => EITHER.has(o.kind) || o.kind === 'mem' || o.kind === 'rmreg' || o.kind === 'mmreg' || o.kind === 'xmmreg' || o.kind === 'st';

export const isSized = (row: Row): boolean => row.operandSized === true || row.operands.some((o) => o.size === 'v');
export const canBeMemory = (row: Row): boolean => row.operands.some((o) => EITHER.has(o.kind) || o.kind === 'mem');
export const canBeRegister = (row: Row): boolean => !row.operands.some((o) => o.kind === 'mem');

/** The forms of a table, in a stable order; `index` is the position. */
export class FormTable {
  readonly forms: readonly Form[];
  private readonly byRow = new Map<Row, Map<string, Form>>();

  constructor(rows: readonly Row[]) {
    const forms: Form[] = [];
    for (const row of rows) {
      const mine = new Map<string, Form>();
      const sizes = isSized(row) ? ([32, 16] as const) : ([32] as const);
      const addressSizes = row.addressSized === true ? ([32, 16] as const) : ([32] as const);
      const repeats = row.repeat === undefined ? (['none'] as const) : row.repeat === 'rep' ? (['none', 'repe'] as const) : (['none', 'repe', 'repne'] as const);
      const memories = [...(canBeRegister(row) ? [false] : []), ...(canBeMemory(row) ? [true] : [])];
      for (const size of sizes) for (const addressSize of addressSizes) for (const memory of memories) for (const repeat of repeats) {
        const form: Form = { row, index: forms.length, size, addressSize, memory, repeat };
        forms.push(form);
        mine.set(`${size} ${addressSize} ${memory} ${repeat}`, form);
      }
      this.byRow.set(row, mine);
    }
    this.forms = forms;
  }

  /** The form of a row for what was decoded; attributes that do not matter to the row are ignored. */
  find(row: Row, size: 16 | 32, addressSize: 16 | 32, memory: boolean, repeat: Form['repeat']): Form {
    const s = isSized(row) ? size : 32;
    const a = row.addressSized === true ? addressSize : 32;
    const p = row.repeat === undefined ? 'none' : row.repeat === 'rep' && repeat !== 'none' ? 'repe' : repeat;
    const form = this.byRow.get(row)?.get(`${s} ${a} ${memory} ${p}`);
    if (form === undefined) throw new Error(`no form of ${row.mnemonic} ${row.encoding}`);
    return form;
  }
}

/** Bits of one element of a string instruction: its rows for bytes have no size attribute. */
export const elementSizeOf = (form: Form): 8 | 16 | 32 => (form.row.operandSized === true ? form.size : 8);
