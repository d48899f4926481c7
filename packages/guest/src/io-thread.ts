/**
 * The guest process: its main thread does input and output, its one worker is the processor. It is started by `startGuest`, told what
 * to do over the channel of its parent, and ends with the guest or with its parent.
 */
import { hasGuestFlags, keepCompiled } from './guest-code.ts';
import { prepareVcpuThread } from './vcpu-thread.ts';

const started = prepareVcpuThread();
if (!hasGuestFlags()) {
  // Node's own modules while it has them compiled (guest-code.ts), and while this thread waits anyway.
  for (const name of ['crypto', 'fs/promises', 'net', 'zlib']) process.getBuiltinModule(name);
  await started;
}
keepCompiled();
// Both threads load at the same time: each takes about as long as the other.
await import('./engine-ahead.ts');
await import('./guest-requests.ts');
