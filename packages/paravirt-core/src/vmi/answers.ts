/** Which calls are worth a call on this engine: what GetRelocationInfo answers. `docs/bench/vmi.md` has the figures. */
import { CALL_NAMES, type CallName, type Relocation } from './interface.ts';

export type Answers = Readonly<Record<CallName, Relocation>>;

const all = (relocation: Relocation): Answers =>
  Object.fromEntries(CALL_NAMES.map((name) => [name, relocation])) as Answers;

/** Each call as a call: what tests and measurements want. */
export const EVERY_CALL: Answers = all('CALL');
/** What guests get. Native code, unless something else is better, or has to be. */
export const ANSWERS: Answers = {
  ...all('NONE'),
  // Patched in place: one call is less than what stands there otherwise, an indirect one between pushes and pops.
  EnableInterrupts: 'CALL',
  DisableInterrupts: 'CALL',
  GetInterruptMask: 'CALL',
  SetInterruptMask: 'CALL',
  // A hypercall is half of an access to a device's memory.
  APICWrite: 'CALL',
  APICRead: 'CALL',
  // Guests refuse to do these two by themselves. IRET is called, so that what goes wrong in it is known to be the caller's.
  IRET: 'CALL',
  SYSEXIT: 'JUMP',
  Halt: 'CALL',
  Reboot: 'CALL',
  Shutdown: 'CALL',
  // Seldom enough to be told of, and so to warn of what is no page table.
  AllocatePage: 'CALL',
  ReleasePage: 'CALL',
  SetInitialAPState: 'CALL',
  IODelay: 'NOP',
  // The clock is one set: who offers its frequency has to offer all of it.
  GetCycleFrequency: 'CALL',
  GetCycleCounter: 'CALL',
  SetAlarm: 'CALL',
  CancelAlarm: 'CALL',
  GetWallclockTime: 'CALL',
  WallclockUpdated: 'CALL',
};
