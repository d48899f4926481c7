/**
 * The guest process: its main thread does input and output, its one worker is the processor. It is started by `startGuest`, told what
 * to do over the channel of its parent, and ends with the guest or with its parent.
 */
import { prepareVcpuThread } from './vcpu-thread.ts';

// Both threads load at the same time: each takes about as long as the other.
prepareVcpuThread();
await import('./guest-requests.ts');
