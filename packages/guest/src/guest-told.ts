/** Which guest a vCPU thread is for. */
import { parentPort, workerData } from 'node:worker_threads';
import { prepareEngine, prepareTranslator } from '@tomei/paravirt-core';
import type { VcpuStart } from './protocol.ts';

/** Known already, or told once this thread is prepared for any. */
export async function guestTold(): Promise<VcpuStart> {
  if (workerData !== undefined) return workerData as VcpuStart;
  const told = new Promise<VcpuStart>((resolve) => parentPort!.once('message', resolve));
  // In this order: the other thread takes as long to load as this one has left.
  prepareTranslator();
  prepareEngine();
  return told;
}
