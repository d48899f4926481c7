/** How compiled code goes back to the dispatch loop behind a handler that it called. */
import { Code } from '../../wasm/module.ts';
import { OFFSET } from '../layout.ts';
import type { Indices } from './chain.ts';
import { REGION, STATUS } from './record.ts';
import { Locals } from './value.ts';

export const HANDLED_SIGNATURE = 'iiii:i';

/**
 * (left, eip, length, status) -> REGION: a handler was called for the instruction at `eip`, and something is to be looked at. Where only
 * control or the mode has changed, goes on in compiled code if there is some.
 */
export function handledFunction({ cpuGlobal }: Indices, chain: number): { locals: Locals['types']; code: Code } {
  const [left, eip, length, status] = [0, 1, 2, 3];
  const locals = new Locals(4);
  const cpu = locals.fixed('i');
  const code = new Code();
  code.globalGet(cpuGlobal).set(cpu);
  const store = (): Code => {
    code.get(cpu).get(eip).memory('i32.store', OFFSET.eip);
    return code.get(cpu).get(left).memory('i32.store', OFFSET.instructionsLeft);
  };
  code.get(status).i32(STATUS.fault).op('i32.eq').ifSeldom();
  store().i32(REGION.fault).return().end();
  code.get(status).i32(STATUS.restart).op('i32.eq').ifSeldom();
  store().i32(REGION.restart).return().end();
  code.get(left).i32(1).op('i32.sub').set(left);
  code.get(cpu).memory('i32.load', OFFSET.eip).get(eip).get(length).op('i32.add');
  code.get(status).i32(STATUS.jump).op('i32.eq').select().set(eip);
  code.get(cpu).memory('i32.load', OFFSET.exit).ifSeldom();
  store().i32(REGION.next).return().end();
  code.get(eip).get(left).returnCall(chain);
  return { locals: locals.types, code };
}
