/** The thread of `ThreadTranslator`: takes what has been asked for, several regions at a time, and posts modules. */
import { setFlagsFromString } from 'node:v8';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { decoder } from '../core/processor.ts';
import { tuneForGuests } from '../wasm/v8-flags.ts';
import { yieldToGuest } from './compiler-priority.ts';
import { translateRequests, type TranslationRequest, type TranslatorStart } from './translator.ts';

/** Regions of one module: instantiating is dear, and so is waiting. */
const MOST_TOGETHER = 8;

const { port, posted, place } = workerData as TranslatorStart;
const count = new Int32Array(posted);
// Here and now, by the baseline compiler, and not when the processor's thread first comes by; V8 compiles again what turns out to be worth
// it. (All at once by the optimising compiler takes ten times as long, and most regions are not that hot.)
setFlagsFromString('--no-wasm-lazy-compilation');
// Regions call nothing that could be inlined; only counting the calls costs, each time that one is entered.
setFlagsFromString('--no-wasm-inlining');
tuneForGuests();
yieldToGuest();

const queue: TranslationRequest[] = [];
function work(): void {
  for (;;) {
    for (;;) {
      const received = receiveMessageOnPort(port) as { message: TranslationRequest[] } | undefined;
      if (received === undefined) break;
      queue.push(...received.message);
    }
    const first = queue[0];
    if (first === undefined) return;
    // A module is for one mode.
    const other = queue.findIndex(({ mode }) => mode !== first.mode);
    const batch = queue.splice(0, Math.min(MOST_TOGETHER, other < 0 ? queue.length : other));
    port.postMessage(translateRequests(batch, place, decoder()));
    Atomics.add(count, 0, 1);
  }
}
port.on('message', (requests: TranslationRequest[]) => {
  queue.push(...requests);
  work();
});
