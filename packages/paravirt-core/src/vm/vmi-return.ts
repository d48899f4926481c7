/** Which of a guest's instructions a fault of its VMI ROM's IRET belongs to. */
import { CS, ESP, SS } from '../isa/build.ts';
import { MachineDebugger } from './machine-debugger.ts';
import type { Machine } from './machine.ts';

/** CALL rel32. */
const CALL = 0xe8,
  CALL_BYTES = 5;

/**
 * The near call to `target` whose return address lies just below the stack pointer, as an offset in CS: kernels have exception table
 * entries for their own code alone. Undefined where there is no such call. Reads guest memory as a debugger does, without a trace.
 */
export function callBelowStack(machine: Machine, target: number): number | undefined {
  const { cpu } = machine.processor,
    debug = new MachineDebugger(machine);
  const read = (segment: number, offset: number, bytes: number): DataView | undefined => {
    const found = debug.readMemory((cpu.segment(segment, 'base') + offset) >>> 0, bytes);
    return found.length < bytes ? undefined : new DataView(found.buffer, found.byteOffset, bytes);
  };
  const back = read(SS, cpu.getRegister(ESP) - 4, 4)?.getUint32(0, true);
  if (back === undefined) return undefined;
  const site = (back - CALL_BYTES) >>> 0,
    code = read(CS, site, CALL_BYTES);
  if (code?.getUint8(0) !== CALL) return undefined;
  return (back + code.getInt32(1, true)) >>> 0 === target ? site : undefined;
}
