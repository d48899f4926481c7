/** The vCPU thread, from outside: it can be started before its guest is known, so that it is prepared when the guest comes. */
import { Worker } from 'node:worker_threads';
import type { VcpuStart } from './protocol.ts';

const CODE = new URL('./vcpu-worker.ts', import.meta.url);
let prepared: Worker | undefined;

/** Has a thread load what every guest needs, for the next `startVcpuThread`. */
export function prepareVcpuThread(): void {
  prepared ??= new Worker(CODE);
}
/** The thread of a guest, which sends `VcpuMessage`s. */
export function startVcpuThread(start: VcpuStart): Worker {
  const worker = prepared;
  if (worker === undefined) return new Worker(CODE, { workerData: start });
  prepared = undefined;
  worker.postMessage(start);
  return worker;
}
