/** What the guest process tells its parent. */
import type { GuestReport } from './protocol.ts';

/** `sent` is called when the message is on its way, or when there is nobody to tell. */
export function report(message: GuestReport, sent: () => void = () => undefined): void {
  if (process.connected) process.send!(message, undefined, undefined, () => sent());
  else sent();
}
export const warn = (text: string): void => report({ kind: 'warning', text });

/** Ends the process when its last message has been passed on. */
export function leave(code: number): void {
  process.exitCode = code;
  if (process.connected) process.disconnect();
  setImmediate(() => process.exit(code));
}
