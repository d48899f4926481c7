/**
 * The thread of `ThreadTranslator`, from outside: it takes so long to load that it is started before there is a processor to translate
 * for.
 */
import { Worker } from 'node:worker_threads';

let prepared: Worker | undefined;

function started(): Worker {
  const worker = new Worker(new URL('./translator-thread.ts', import.meta.url));
  // Nobody waits for it.
  worker.unref();
  return worker;
}
/** Has a thread load what translating needs, for the next `translatorWorker`. */
export function prepareTranslator(): void {
  prepared ??= started();
}
/** A thread that serves who posts it a `TranslatorStart`. */
export function translatorWorker(): Worker {
  const worker = prepared ?? started();
  prepared = undefined;
  return worker;
}
/** Ends the thread that was prepared, where nobody has taken it: not all guests are translated. */
export function dismissTranslator(): void {
  void prepared?.terminate();
  prepared = undefined;
}
