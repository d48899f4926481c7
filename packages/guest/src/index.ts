/** A running guest: one child process with an I/O thread and a processor thread. */
export {
  startGuest,
  type Ended,
  type Guest,
  type GuestEvents,
  type Screenshot,
  type StartOptions,
} from './guest-process.ts';
export type { ConsoleOptions, GuestEnd, GuestStats, InputEvent, RemoteGuest } from './protocol.ts';
export { fetchPoolFile, openRemoteDisk } from './pool.ts';
export type { RemoteDisk, RemoteDiskOptions } from './remote/remote-disk.ts';
