/** A running guest: one child process with an I/O thread and a processor thread. */
export {
  startGuest,
  type Ended,
  type Guest,
  type GuestEvents,
  type Screenshot,
  type StartOptions,
} from './guest-process.ts';
export { prepareGuest, type PreparedGuest } from './fork-guest.ts';
export type { ConsoleOptions, DebuggerOptions, GuestEnd, InputEvent, RemoteGuest, Timing } from './protocol.ts';
export type { TraceRequest } from './trace/trace-plan.ts';
export type { Profile, ProfiledStack } from './perf/profile.ts';
export { functionOf, readSymbols, type Symbols } from './trace/symbols.ts';
export { fetchPoolFile, openRemoteDisk } from './pool.ts';
export type { RemoteDisk, RemoteDiskOptions } from './remote/remote-disk.ts';
export {
  EXIT_CAUSES,
  TIME_USES,
  VIRTUALIZATION_WORK,
  overheadOf,
  type ExitCause,
  type GuestStats,
  type TimeUse,
  type VirtualizationWork,
} from './stats/guest-stats.ts';
