/** What the vCPU thread starts with: flags for V8 before all that is to be compiled with them. */
import { parentPort } from 'node:worker_threads';
import { hasGuestFlags, keepCompiled, setGuestFlags } from './guest-code.ts';

if (!hasGuestFlags()) setGuestFlags();
keepCompiled();
parentPort!.postMessage('started');
await import('./vcpu-worker.ts');
