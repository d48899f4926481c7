/** Who makes modules out of regions: this thread at once, or another one meanwhile. */
import { MessageChannel, receiveMessageOnPort, type MessagePort, type Worker } from 'node:worker_threads';
import type { ServiceImport } from '../core/interpreter/generate.ts';
import type { Decoder } from '../isa/decode.ts';
import { COMPILED, JUMP_TARGETS, TLB, jumpSite } from '../core/layout.ts';
import { PSEUDO, RECORD } from '../core/interpreter/record.ts';
import { optimisersYieldToGuest } from './compiler-priority.ts';
import { entriesOf, findRegion, type CodePage, type CodeSource, type Region, type Width } from './region.ts';
import { translate } from './translate.ts';
import { translatorWorker } from './translator-worker.ts';

/** Landings of a place that is worth a comparison. */
const MANY_LANDINGS = 64;

/** Where a region is wanted, and for which mode of COMPILED. */
export interface TranslationRequest {
  readonly id: number;
  readonly mode: number;
  /** The entry's address: linear, guest-physical, and in linear memory. */
  readonly linear: number;
  readonly physical: number;
  readonly host: number;
  readonly width: Width;
  /** See `Region`. */
  readonly isCareful: boolean;
}
/**
 * A region that is ready: the requests that its entries answer, in their order, the guest-physical pages it is made from, what was known of
 * them (`CodeCache.directory`), and where in linear memory their bytes were read.
 */
export interface ReadyRegion {
  readonly ids: readonly [number, ...number[]];
  readonly pages: readonly { readonly page: number; readonly generation: number; readonly host: number }[];
  /** Bytes of its function. */
  readonly bytes: number;
  /** Whether it would be larger if it were asked for as a wide one. */
  readonly mayWiden: boolean;
}
/** A module with the regions of some requests: function '0' is the first one's. */
export interface Translated {
  readonly regions: readonly ReadyRegion[];
  readonly module: WebAssembly.Module;
  readonly imports: readonly ServiceImport[];
  readonly bytes: number;
  /** Processor time of it, in milliseconds. */
  readonly milliseconds: number;
}
/** What a translating thread posts: a module, or the mistake in it that has kept it from making one. */
export type TranslatorMessage = Translated | { readonly mistake: unknown };
/** The processor that is translated for. All of it is shared memory, which the processor goes on changing. */
export interface TranslationPlace {
  readonly memory: WebAssembly.Memory;
  readonly cpuBase: number;
  readonly tlb: number;
  /** See `Target`. */
  readonly jumpSites: number;
  /** See `CodeSource`. */
  readonly fewestLandings: number;
  /** How often control has to land somewhere until compiled code is asked for. */
  readonly hotLandings: number;
  /** The first handler number of those that can be called. */
  readonly firstHandler: number;
  /** Guest-physical pages of TLB entries. */
  readonly frames: Uint32Array;
  readonly directory: { readonly maps: Uint32Array; readonly generations: Uint32Array };
}

export interface Translator {
  /** Comes first: all requests are for this processor. */
  prepare(place: TranslationPlace): void;
  /** Asks for a region, at the latest when `send` is called. */
  request(request: TranslationRequest): void;
  send(): void;
  /** What has become ready, one module at a time. */
  take(): Translated | undefined;
  /** Ends what it has started. */
  close(): void;
}

/**
 * The region around a request's entry, from what memory and TLB hold now. They may change meanwhile: pages that are not what they
 * were are noticed when the region is taken into use, and each way into another page is guarded.
 */
function regionOf(
  request: TranslationRequest,
  place: TranslationPlace,
  decoder: Decoder,
  isWanted: CodeSource['isWanted'],
): Region | undefined {
  const { memory, frames, directory } = place,
    u8 = new Uint8Array(memory.buffer),
    u32 = new Uint32Array(memory.buffer),
    data = new DataView(memory.buffer);
  const right = (request.mode & COMPILED.user) !== 0 ? TLB.userRead : TLB.supervisorRead;
  const entryPage = request.linear >>> 12;
  const landingsOf = (physical: number): number => {
    const map = directory.maps[physical >>> 12]!,
      record = map === 0 ? 0 : u32[(map >> 2) + (physical & 0xfff)]!;
    if (record === 0) return -1;
    // Where a region begins control has landed often enough.
    const isRegion = data.getUint16(record + RECORD.handler, true) === PSEUDO.region;
    return isRegion ? Infinity : data.getUint16(record + RECORD.landings, true);
  };
  return findRegion(
    request.linear,
    decoder,
    {
      page: (linear) => {
        const page = linear >>> 12;
        const entry = u32[(place.tlb >> 2) + page]!;
        const isEntry = page === entryPage;
        if (!isEntry && ((entry & right) === 0 || (entry & TLB.noExecute) !== 0)) return undefined;
        const physical = isEntry ? (request.physical & ~0xfff) >>> 0 : frames[page]! * 4096,
          host = isEntry ? (request.host & ~0xfff) >>> 0 : ((entry & ~0xfff) + page * 4096) >>> 0;
        if (directory.maps[physical >>> 12] === 0 || host + 4096 > u8.length) return undefined;
        // In this order: whatever of the bytes is written after the map was taken makes another generation of what was decoded by then.
        const generation = Atomics.load(directory.generations, physical >>> 12),
          first = directory.maps[physical >>> 12]! >> 2,
          records = u32.slice(first, first + 4096);
        const bytes = u8.slice(host, host + 4096);
        const handlerAt = (offset: number): ReturnType<CodePage['handlerAt']> => {
          const record = records[offset]!;
          const handler = record === 0 ? 0 : data.getUint16(record + RECORD.handler, true) - place.firstHandler;
          return handler < 0 || record === 0 ? undefined : { record, handler };
        };
        const crossingAt = (offset: number): ReturnType<CodePage['crossingAt']> => {
          const record = records[offset]!,
            mark = record === 0 ? 0 : Atomics.load(u32, (record + RECORD.immediate2) >> 2);
          const isCrossing = mark !== 0 && data.getUint16(record + RECORD.handler, true) === PSEUDO.cross;
          if (!isCrossing) return undefined;
          return { physical: data.getUint32(record + RECORD.immediate, true) * 4096, generation: (mark - 1) >>> 0 };
        };
        return {
          physical,
          host,
          bytes,
          generation,
          isDecoded: (offset) => records[offset] !== 0,
          handlerAt,
          crossingAt,
        };
      },
      fewestLandings: place.fewestLandings,
      word: (linear) => {
        const entry = u32[(place.tlb >> 2) + (linear >>> 12)]!,
          host = ((entry & ~0xfff) + linear) >>> 0;
        return (entry & right) === 0 || (linear & 0xfff) > 4092 || host + 4 > u8.length
          ? undefined
          : data.getUint32(host, true);
      },
      landed: (physical) => {
        const map = directory.maps[physical >>> 12]!,
          found: { offset: number; landings: number }[] = [];
        if (map === 0) return [];
        for (let offset = 0; offset < 4096; offset++) {
          if (u32[(map >> 2) + offset] === 0) continue;
          const landings = landingsOf(physical - (physical & 0xfff) + offset);
          if (landings >= MANY_LANDINGS) found.push({ offset, landings });
        }
        return found.sort((a, b) => b.landings - a.landings).map(({ offset }) => offset);
      },
      landings: landingsOf,
      jumped: (physical) => {
        const first = (place.jumpSites + jumpSite(physical)) >> 2,
          times = new Map<number, number>();
        for (const target of u32.slice(first, first + JUMP_TARGETS))
          if (target !== 0) times.set(target, (times.get(target) ?? 0) + 1);
        return [...times].sort(([, a], [, b]) => b - a).map(([target]) => target);
      },
      isEntry: (physical) => landingsOf(physical) >= place.hotLandings,
      isWanted,
    },
    request.width,
  );
}
/** How often control has landed where compiled code is wanted since it was asked for, modulo 2^16. */
export function landingsSince({ physical }: TranslationRequest, place: TranslationPlace): number {
  const map = place.directory.maps[physical >>> 12]!;
  if (map === 0) return 0;
  const data = new DataView(place.memory.buffer),
    record = data.getUint32(map + (physical & 0xfff) * 4, true);
  return record === 0 ? 0 : (data.getUint16(record + RECORD.landings, true) - place.hotLandings) & 0xffff;
}
/** A region, or that there is none, with the requests that it answers. */
interface Found {
  readonly ids: [number, ...number[]];
  readonly isCareful: boolean;
  readonly region: Region | undefined;
}
/** The regions around requests of one mode: a narrow one takes in others that lie close by. */
function regionsOf(requests: readonly TranslationRequest[], place: TranslationPlace, decoder: Decoder): Found[] {
  const open = new Map<number, TranslationRequest>();
  for (const request of requests) if (request.width === 'narrow') open.set(request.physical, request);
  const answered = new Set<number>();
  return requests.flatMap((request): Found[] => {
    const { id, isCareful, physical } = request;
    if (answered.has(id)) return [];
    if (open.get(physical) === request) open.delete(physical);
    const region = regionOf(request, place, decoder, (other) => open.get(other)?.isCareful === isCareful),
      ids: Found['ids'] = [id];
    for (const other of region === undefined ? [] : entriesOf(region).slice(1)) {
      ids.push(open.get(other)!.id);
      open.delete(other);
    }
    for (const each of ids) answered.add(each);
    return [{ ids, isCareful, region }];
  });
}
/** Translates and compiles requests of one mode. Those whose code is no code any more come back with no pages. */
export function translateRequests(
  requests: readonly TranslationRequest[],
  place: TranslationPlace,
  decoder: Decoder,
): Translated {
  const began = performance.now();
  const found = regionsOf(requests, place, decoder);
  const { bytes, imports, sizes } = translate(
    found.flatMap(({ ids, region, isCareful }) => (region === undefined ? [] : [{ ...region, isCareful, id: ids[0] }])),
    { cpuBase: place.cpuBase, tlb: place.tlb, jumpSites: place.jumpSites, mode: requests[0]!.mode },
  );
  // Those that have a function come first, in its order.
  const ready = found
    .filter(({ region }) => region !== undefined)
    .concat(found.filter((each) => each.region === undefined));
  return {
    regions: ready.map(({ ids, region }, i) => ({
      ids,
      bytes: sizes[i] ?? 0,
      mayWiden: region?.mayWiden ?? false,
      pages: [...(region?.pages.values() ?? [])].map(({ physical, generation, host }) => ({
        page: physical >>> 12,
        generation,
        host,
      })),
    })),
    module: new WebAssembly.Module(bytes),
    imports,
    bytes: bytes.length,
    milliseconds: performance.now() - began,
  };
}

/** Translates when asked: for tests, and where one waits anyway. */
export class DirectTranslator implements Translator {
  private readonly decoder: Decoder;
  private readonly done: Translated[] = [];
  protected place!: TranslationPlace;

  constructor(decoder: Decoder) {
    this.decoder = decoder;
  }
  prepare(place: TranslationPlace): void {
    this.place = place;
  }
  request(request: TranslationRequest): void {
    this.translate([request]);
  }
  /** Requests of one mode, in one module. */
  protected translate(requests: readonly TranslationRequest[]): void {
    this.done.push(translateRequests(requests, this.place, this.decoder));
  }
  send(): void {
    // Nothing waits.
  }
  take(): Translated | undefined {
    return this.done.shift();
  }
  close(): void {
    // Nothing was started.
  }
}

/** What a translating thread is told to begin with a processor. */
export interface TranslatorStart {
  readonly port: MessagePort;
  /** One word: how many modules have been posted. */
  readonly posted: SharedArrayBuffer;
  readonly place: TranslationPlace;
}

/** Translates for one processor in a thread of its own, or in that of another processor's. */
export class ThreadTranslator implements Translator {
  private readonly posted = new Int32Array(new SharedArrayBuffer(4));
  private seen = 0;
  /** Asked for and not sent yet. */
  private asked: TranslationRequest[] = [];
  private thread: { readonly worker: Worker; readonly port: MessagePort } | undefined;
  private readonly host: ThreadTranslator | undefined;

  /** With `host`, which comes first and closes the thread, it has none of its own. */
  constructor(host?: ThreadTranslator) {
    this.host = host;
  }
  prepare(place: TranslationPlace): void {
    this.thread ??= this.start(place);
  }
  request(request: TranslationRequest): void {
    this.asked.push(request);
  }
  send(): void {
    // Together: a message costs as much as thousands of instructions.
    if (this.asked.length === 0) return;
    this.thread!.port.postMessage(this.asked);
    this.asked = [];
  }
  take(): Translated | undefined {
    if (Atomics.load(this.posted, 0) === this.seen) return undefined;
    const received = receiveMessageOnPort(this.thread!.port) as { message: TranslatorMessage } | undefined;
    if (received === undefined) return undefined;
    this.seen = (this.seen + 1) | 0;
    const { message } = received;
    // Interpreting on without a word would hide it.
    if ('mistake' in message) throw new Error("translating a guest's code failed", { cause: message.mistake });
    return message;
  }
  close(): void {
    this.thread?.port.close();
    if (this.host === undefined) void this.thread?.worker.terminate();
    this.thread = undefined;
  }
  private start(place: TranslationPlace): { readonly worker: Worker; readonly port: MessagePort } {
    const { port1, port2 } = new MessageChannel();
    port1.unref();
    const start: TranslatorStart = { port: port2, posted: this.posted.buffer as SharedArrayBuffer, place };
    const running = this.host?.thread?.worker;
    if (running === undefined) optimisersYieldToGuest();
    const worker = running ?? translatorWorker();
    worker.postMessage(start, [port2]);
    return { worker, port: port1 };
  }
}
