/** The vCPU thread, from outside: it can be started before its guest is known, so that it is prepared when the guest comes. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { VcpuStart } from './protocol.ts';

const CODE = new URL('./vcpu-start.ts', import.meta.url);
let prepared: Worker | undefined;

/** Has a thread load what every guest needs, for the next `startVcpuThread`. Fulfilled when it begins to: V8 has its flags. */
export async function prepareVcpuThread(): Promise<void> {
  prepared = new Worker(CODE);
  await once(prepared, 'message');
}
/** The thread of a guest, which sends `VcpuMessage`s. */
export function startVcpuThread(start: VcpuStart): Worker {
  const worker = prepared;
  if (worker === undefined) throw new Error('the thread of a guest is to be prepared first');
  prepared = undefined;
  worker.postMessage(start);
  return worker;
}
