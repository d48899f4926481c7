/** What every kind of operand starts from, in each engine. */
import type { Operand } from './build.ts';
import type { Row } from './model.ts';

/** An operand that can be read, and written where `write` is given. Anything else a row asks of it is a bug in the row. */
export function plainOperand<V>(row: Row, read: () => V, write?: (value: V) => void): Operand<V> {
  const never = (): never => {
    throw new Error(`${row.mnemonic} ${row.encoding}: no such access to this operand`);
  };
  return {
    isMemory: false,
    read,
    write: write ?? never,
    offset: never,
    load: never,
    store: never,
    moved: never,
    number: never,
    address: never,
  };
}
