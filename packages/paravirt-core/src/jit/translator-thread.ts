/** The thread of `ThreadTranslator`: takes what has been asked for, several regions at a time, and posts modules. */
import { flushCompileCache } from 'node:module';
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { decoder } from '../core/processor.ts';
import { tuneForGuests } from '../wasm/v8-flags.ts';
import { yieldToGuest } from './compiler-priority.ts';
import {
  landingsSince,
  translateRequests,
  type TranslationRequest,
  type TranslatorMessage,
  type TranslatorStart,
} from './translator.ts';

/**
 * Regions of one module. The more, the better: each module has pages of machine code of its own, and the host finds its way among
 * hundreds of them far more slowly than among a few.
 */
const MOST_TOGETHER = 64;
/** Milliseconds that requests wait for others: since the last of them, and since the first. */
const GATHERING = { silence: 6, most: 30 } as const;

/** Modules, or milliseconds of silence, after which most of this thread's own code has run. */
const SEASONED = { modules: 32, silence: 250 } as const;

// V8 compiles again what turns out to be worth it. (All at once by the optimising compiler takes ten times as long, and most regions are
// not that hot.)
tuneForGuests();
yieldToGuest();

let modules = 0,
  isKept = false,
  silence: NodeJS.Timeout | undefined;
/** Has Node keep what V8 has compiled of this thread for the next start, which is done once, with what has run by then. */
function keepOwnCode(): void {
  if (isKept) return;
  isKept = true;
  clearTimeout(silence);
  flushCompileCache();
}

/** Serves one processor. */
function serve({ port, posted, place }: TranslatorStart): void {
  const count = new Int32Array(posted);
  let queue: TranslationRequest[] = [];
  let timer: NodeJS.Timeout | undefined;
  /** When the oldest request of the queue came, and when the latest. */
  let oldest = 0,
    latest = 0;

  function receive(requests: readonly TranslationRequest[]): void {
    latest = performance.now();
    if (queue.length === 0) oldest = latest;
    queue.push(...requests);
  }
  /** Milliseconds until the requests that have come need not wait for others any longer. */
  function waitingTime(): number {
    if (queue.length >= MOST_TOGETHER) return 0;
    return Math.min(oldest + GATHERING.most, latest + GATHERING.silence) - performance.now();
  }
  /** Takes the next module's requests out of the queue: what is wanted most first, and a module is for one mode. */
  function nextBatch(): TranslationRequest[] {
    const landings = new Map(queue.map((request) => [request, landingsSince(request, place)]));
    queue.sort((a, b) => landings.get(b)! - landings.get(a)!);
    const { mode } = queue[0]!;
    const batch = queue.filter((request) => request.mode === mode).slice(0, MOST_TOGETHER),
      taken = new Set(batch);
    queue = queue.filter((request) => !taken.has(request));
    return batch;
  }
  function translated(): TranslatorMessage {
    try {
      return translateRequests(nextBatch(), place, decoder());
    } catch (mistake) {
      queue = [];
      return { mistake };
    }
  }
  function work(): void {
    clearTimeout(timer);
    clearTimeout(silence);
    while (queue.length > 0 && waitingTime() <= 0) {
      port.postMessage(translated());
      Atomics.add(count, 0, 1);
      if (++modules === SEASONED.modules) keepOwnCode();
      for (;;) {
        const received = receiveMessageOnPort(port) as { message: TranslationRequest[] } | undefined;
        if (received === undefined) break;
        receive(received.message);
      }
    }
    if (queue.length > 0) timer = setTimeout(work, Math.max(0, waitingTime()));
    else if (!isKept) silence = setTimeout(keepOwnCode, SEASONED.silence);
  }
  port.on('message', (requests: TranslationRequest[]) => {
    receive(requests);
    work();
  });
}

// One for each processor of a guest.
parentPort!.on('message', serve);
