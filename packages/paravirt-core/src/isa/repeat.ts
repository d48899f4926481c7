/**
 * REP, REPE and REPNE: one statement of the loop for every string instruction and every engine (SDM vol. 2, REP).
 * After each iteration the registers hold an exact intermediate state, so that a fault or an interrupt restarts the rest.
 */
import { ECX, EDX, type Build } from './build.ts';
import type { Form } from './model.ts';
import { eqz, gtU, sub } from './ops.ts';

/** From this many repetitions on, asking the core to move whole runs pays. */
const BULK_THRESHOLD = 8;

/** Runs `iteration` as the form's prefix says; without a prefix, once. */
export function repeated<V>(b: Build<V>, form: Form, elementSize: number, iteration: () => void): void {
  if (form.repeat === 'none') {
    iteration();
    return;
  }
  const n = form.addressSize;
  const { bulk } = form.row;
  if (form.row.port === true) b.service('checkPort', b.getRegister(16, EDX), b.imm(elementSize / 8));
  // A comparison that faults shows the flags from before the instruction, whatever others have found (SDM vol. 2, REP).
  const restoreFlags = form.row.repeat === 'repz' ? b.keepFlags() : () => undefined;
  b.loop((leave) => {
    leave(eqz(b, b.getRegister(n, ECX)));
    if (bulk !== undefined && n === 32) {
      b.if(gtU(b, b.getRegister(n, ECX), b.imm(BULK_THRESHOLD)), () => {
        if (bulk === 'movs') b.service('bulkMove', b.imm(elementSize / 8), b.segmentAddress());
        else b.service('bulkStore', b.imm(elementSize / 8));
      });
      leave(eqz(b, b.getRegister(n, ECX)));
    }
    if (form.row.port === true) {
      const bytes = b.imm(elementSize / 8);
      b.if(gtU(b, b.getRegister(n, ECX), b.imm(BULK_THRESHOLD)), () => {
        if (form.row.mnemonic === 'ins') b.service('bulkIn', bytes, b.imm(n));
        else b.service('bulkOut', bytes, b.imm(n), b.segmentAddress());
      });
      leave(eqz(b, b.getRegister(n, ECX)));
    }
    restoreFlags();
    iteration();
    b.setRegister(n, ECX, sub(b, b.getRegister(n, ECX), b.imm(1)));
    if (form.row.repeat === 'repz') {
      const zero = b.flag('Z');
      leave(form.repeat === 'repe' ? eqz(b, zero) : zero);
    }
    leave(eqz(b, b.getRegister(n, ECX)));
    b.poll();
  });
}
