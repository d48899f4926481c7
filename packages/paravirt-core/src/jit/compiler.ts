/** Makes compiled code where control lands often, and forgets it when its pages change. */
import type { RegionEntry } from '../core/compiled-code.ts';
import { importName, type ServiceImport } from '../core/interpreter/generate.ts';
import {
  compileInterpreter,
  instantiateInterpreter,
  type Engine,
  type Interpreter,
  type Leaf,
} from '../core/interpreter/engine.ts';
import { COMPILED } from '../core/layout.ts';
import { ENTRY_BITS, PSEUDO_COUNT, RECORD, entranceOf } from '../core/interpreter/record.ts';
import { decoder, type EngineParts } from '../core/processor.ts';
import {
  DirectTranslator,
  type ReadyRegion,
  type Translated,
  type TranslationPlace,
  type TranslationRequest,
  type Translator,
} from './translator.ts';

/**
 * Bytes of WebAssembly in use; a quarter, the oldest, goes when there are more. The host's machine code is about five times as large.
 */
export const MOST_BYTES = 32 << 20;
/** Requests under way, of which those are served first where control lands most; what gets hot meanwhile asks again. */
const MOST_REQUESTS = 1024;
/** Milliseconds for taking regions into use, between two slices; the one that is under way is finished. */
const MOST_PAUSE_MS = 3;
/** Landings after which code is compiled: often enough to pay for it. */
const HOT_LANDINGS = 512;
/** Counted entries after which a region is made wider. One in 32 is counted where it comes from other compiled code. */
const HOT_ENTRIES = 2048;
/** Entries after which one that cannot be made wider is looked at again: as many as can be counted. */
const MOST_ENTRIES = 0xffff;

/** How often, within so many milliseconds, a region is left for odd numbers until it is made anew, to look at each operation by itself. */
const MOST_ODD = 256,
  ODD_PERIOD_MS = 1000;
/** Milliseconds until a careful region is tried as a careless one again; each time twice as many. Numbers get tiny and then 0, or start so. */
const FIRST_CAREFUL_MS = 50;

/** A place where regions have been left for odd numbers too often. */
interface Careful {
  period: number;
  until: number;
  isActive: boolean;
}

/** A function in use, as long as one of its entries is. */
interface Together {
  readonly id: number;
  readonly entries: Set<Compiled>;
  /** How often it was left for odd numbers, and since when they are counted. */
  odd: number;
  oddSince: number;
}
/** A region in use, by one of its entries. */
interface Compiled {
  readonly request: TranslationRequest;
  readonly entry: RegionEntry;
  /** Its place in the table. */
  readonly index: number;
  /** Guest-physical pages that it is made from. */
  readonly pages: readonly number[];
  readonly bytes: number;
  readonly mayWiden: boolean;
  readonly together: Together;
}

/** What has been compiled, for --stats. */
export interface CompilerCounts {
  /** Regions compiled, and those forgotten since. */
  regions: number;
  dropped: number;
  /** Bytes of WebAssembly. */
  bytes: number;
  /** Milliseconds of the translating thread, and of the processor's own for taking regions into use. */
  translatingMs: number;
  ownMs: number;
  /** The longest that the processor stood still for regions that were ready, in milliseconds. */
  longestMs: number;
}

export interface CompilingOptions {
  /** Landings after which code is compiled. */
  readonly hotLandings?: number;
  /** Counted entries, less than 2^16, after which a region is made wider. */
  readonly hotEntries?: number;
  /** Bytes of WebAssembly that are kept. */
  readonly mostBytes?: number;
  /** Regions are careful from the start (`Region.isCareful`). */
  readonly isCareful?: boolean;
  /** Who translates; this thread, at once, when missing. Whoever made it closes it. */
  readonly translator?: Translator;
}

const MODES = (COMPILED.flat | COMPILED.user) + 1;
/** What a request asks for, as a number: the same code, for the same mode, as wide, and as careful. */
const kindOf = ({ physical, mode, width, isCareful }: TranslationRequest): number =>
  (physical * MODES + mode) * 4 + (width === 'wide' ? 2 : 0) + (isCareful ? 1 : 0);

/** A module, the first of its regions that has not been taken into use, and its functions once one of them was wanted. */
interface Taking {
  readonly module: Translated;
  next: number;
  exports: WebAssembly.Exports | undefined;
}

class RegionCompiler {
  readonly table = new WebAssembly.Table({ element: 'anyfunc', initial: 1024 });
  readonly counts: CompilerCounts = { regions: 0, dropped: 0, bytes: 0, translatingMs: 0, ownMs: 0, longestMs: 0 };
  private readonly parts: EngineParts;
  private readonly translator: Translator;
  private readonly mostBytes: number;
  private liveBytes = 0;
  /** Whether it has come to be more than is kept, and is not much less yet. */
  private isFull = false;
  /** The module whose regions are being taken into use. */
  private taking: Taking | undefined;
  private interpreter!: Interpreter;
  private readonly place: TranslationPlace;
  private readonly byPage = new Map<number, Set<Compiled>>();
  private readonly requested = new Map<number, TranslationRequest>();
  /** The same by what is asked for. */
  private readonly underWay = new Set<number>();
  private readonly hotLandings: number;
  private readonly hotEntries: number;
  private readonly isCareful: boolean;
  /** By guest-physical addresses. */
  private readonly careful = new Map<number, Careful>();
  /** When the first of those that are active is due, of `performance`'s clock. */
  private nextCareless = Infinity;
  /** By their place in the table. */
  private readonly byIndex: (Compiled | undefined)[] = [];
  /** By what they call themselves. */
  private readonly byId = new Map<number, Together>();
  /** In use, oldest first. */
  private readonly live = new Set<Compiled>();
  private readonly free: number[] = [];
  private used = 1;
  private nextId = 0;

  constructor(parts: EngineParts, translator: Translator, options: CompilingOptions) {
    const { hotLandings = HOT_LANDINGS, hotEntries = HOT_ENTRIES, mostBytes = MOST_BYTES } = options;
    this.isCareful = options.isCareful ?? false;
    this.mostBytes = mostBytes;
    this.hotLandings = hotLandings;
    this.hotEntries = hotEntries;
    this.parts = parts;
    this.translator = translator;
    parts.code.compiled = { dropped: (page) => this.dropped(page) };
    const { cpu, mmu, code } = parts;
    const { memory, base: cpuBase } = cpu,
      firstHandler = PSEUDO_COUNT + compileInterpreter(decoder().table).generated.inlineCount;
    this.place = {
      memory,
      cpuBase,
      tlb: cpu.get('tlb'),
      jumpSites: code.plan.jumpSites,
      frames: mmu.frames,
      directory: code.directory,
      firstHandler,
      fewestLandings: hotLandings >> 4,
      hotLandings,
    };
  }
  start(interpreter: Interpreter): void {
    this.interpreter = interpreter;
    this.translator.prepare(this.place);
  }

  /** Control has landed often on a record: the record to go on with. */
  hot(record: number): number {
    const { code, cpu } = this.parts;
    const narrow = this.compiledBy(record);
    if (narrow?.mayWiden === false) {
      code.countEntries(narrow.entry, MOST_ENTRIES, this.hotLandings);
      return record;
    }
    if (this.requested.size >= MOST_REQUESTS) {
      if (narrow === undefined) cpu.data.setUint16(record + RECORD.landings, 0, true);
      else code.countEntries(narrow.entry, this.hotEntries, this.hotLandings);
      return record;
    }
    const mode = cpu.get('compiledMode'),
      physical = mode === 0 ? -1 : code.addressOf(record);
    if (physical < 0) return record;
    const linear = (cpu.get('pageEip') + (physical & 0xfff)) >>> 0,
      host = cpu.physical.hostPage(physical) + (physical & 0xfff);
    const id = this.nextId++;
    const width = narrow === undefined ? 'narrow' : 'wide',
      isCareful = this.wantsCareful(physical);
    if (!this.request({ id, mode, linear, physical, host, width, isCareful })) return record;
    this.takeReady();
    return code.recordAt(physical) ?? record;
  }
  /** False where the same is under way: landings are counted modulo 2^16, and what is waited for long gets hot once more. */
  private request(request: TranslationRequest): boolean {
    const kind = kindOf(request);
    if (this.underWay.has(kind)) return false;
    this.underWay.add(kind);
    this.requested.set(request.id, request);
    this.translator.request(request);
    return true;
  }
  /** A region was left for an odd number. It is running. */
  private odd(id: number): void {
    const together = this.byId.get(id);
    if (together === undefined) return;
    const now = performance.now();
    if (now - together.oddSince > ODD_PERIOD_MS) {
      together.odd = 0;
      together.oddSince = now;
    }
    if (++together.odd < MOST_ODD || this.requested.size >= MOST_REQUESTS) return;
    // Once is enough.
    together.odd = -Infinity;
    for (const { request } of together.entries) {
      const period = 2 * (this.careful.get(request.physical)?.period ?? FIRST_CAREFUL_MS / 2);
      this.careful.set(request.physical, { period, until: now + period, isActive: true });
      this.nextCareless = Math.min(this.nextCareless, now + period);
      this.request({ ...request, id: this.nextId++, isCareful: true });
    }
  }
  private wantsCareful(physical: number): boolean {
    return this.isCareful || this.careful.get(physical)?.isActive === true;
  }
  /** Asks for careless regions where it is time to. */
  private tryCareless(): void {
    const now = performance.now();
    if (now < this.nextCareless) return;
    this.nextCareless = Infinity;
    for (const [physical, each] of this.careful) {
      if (!each.isActive) continue;
      if (now < each.until) {
        this.nextCareless = Math.min(this.nextCareless, each.until);
        continue;
      }
      each.isActive = false;
      const compiled = this.compiledAt(physical);
      if (compiled?.request.isCareful === true)
        this.request({ ...compiled.request, id: this.nextId++, isCareful: false });
    }
  }

  /** The engine is about to run. */
  begin(): void {
    if (this.nextCareless < Infinity) this.tryCareless();
    this.translator.send();
    this.takeReady();
  }
  /**
   * Takes into use what has been translated, a region at a time, and forgets the oldest where there is too much; what does not fit into the
   * time for it waits for the next look.
   */
  private takeReady(): void {
    if (!this.findWork()) return;
    const began = performance.now();
    let spent: number;
    do {
      if (this.isFull) this.forgetOldest();
      else this.takeRegion(this.taking!);
      spent = performance.now() - began;
    } while (spent < MOST_PAUSE_MS && this.findWork());
    this.counts.ownMs += spent;
    this.counts.longestMs = Math.max(this.counts.longestMs, spent);
  }
  /** Whether there is something to forget or to take; begins the next module where the one before is in use. */
  private findWork(): boolean {
    if (this.isFull || this.taking !== undefined) return true;
    const module = this.translator.take();
    if (module === undefined) return false;
    this.counts.bytes += module.bytes;
    this.counts.translatingMs += module.milliseconds;
    this.taking = { module, next: 0, exports: undefined };
    return true;
  }
  /** Down to a quarter below the bound: jumps are looked up anew after it, and not after each region that comes. */
  private forgetOldest(): void {
    const [oldest] = this.live;
    if (oldest !== undefined) this.forget(oldest);
    this.isFull = this.live.size > 0 && this.liveBytes > this.mostBytes * 0.75;
  }
  /** The next region of a module. */
  private takeRegion(taking: Taking): void {
    const { module, imports, regions } = taking.module,
      number = taking.next++,
      region = regions[number]!;
    const isValid = region.pages.length > 0 && region.pages.every((page) => this.isAsItWas(page)),
      together: Together = { id: region.ids[0], entries: new Set(), odd: 0, oddSince: 0 };
    region.ids.forEach((id, entry) => {
      const request = this.requested.get(id)!;
      this.requested.delete(id);
      this.underWay.delete(kindOf(request));
      if (!isValid) return this.mayAskAgain(request.physical);
      const place = this.placeFor(request, entry, region.ids.length === 1);
      if (place === undefined) return;
      taking.exports ??= this.instantiate(module, imports);
      this.use(request, place, region, together, taking.exports[String(number)] as () => number);
    });
    if (together.entries.size > 0) {
      this.byId.set(together.id, together);
      this.counts.regions++;
    }
    if (taking.next === regions.length) this.taking = undefined;
    this.isFull = this.liveBytes > this.mostBytes;
  }
  /** Where what was asked for begins, as an entry of a function; undefined when it is not wanted any more. */
  private placeFor(
    { physical, mode, width, isCareful }: TranslationRequest,
    number: number,
    isOnly: boolean,
  ): Pick<Compiled, 'entry' | 'index'> | undefined {
    const current = this.compiledAt(physical);
    // It was asked for before numbers were found to be odd, or not to be.
    if (current !== undefined && isCareful !== this.wantsCareful(physical)) return undefined;
    const old = width === 'wide' || current?.request.isCareful !== isCareful ? current : undefined;
    // Jumps that are known to lead to an entry name it by its number, which a function with one entry does not look at.
    return isOnly && old?.request.mode === mode ? this.handOver(old) : this.enter(physical, mode, number, old);
  }
  private use(
    request: TranslationRequest,
    { entry, index }: Pick<Compiled, 'entry' | 'index'>,
    { ids, pages, bytes, mayWiden }: ReadyRegion,
    together: Together,
    run: () => number,
  ): void {
    if (index >= this.table.length) this.table.grow(1024);
    this.table.set(index, run);
    const compiled: Compiled = {
      request,
      entry,
      index,
      pages: pages.map(({ page }) => page),
      bytes: bytes / ids.length,
      mayWiden,
      together,
    };
    together.entries.add(compiled);
    this.byIndex[index] = compiled;
    this.parts.code.countEntries(entry, mayWiden ? this.hotEntries : MOST_ENTRIES, this.hotLandings);
    this.liveBytes += compiled.bytes;
    this.live.add(compiled);
    for (const page of compiled.pages) {
      const known = this.byPage.get(page);
      if (known === undefined) this.byPage.set(page, new Set([compiled]));
      else known.add(compiled);
    }
  }
  /** Whether a page holds the code that was translated. Where it lay was read while another address space may have come. */
  private isAsItWas({ page, generation, host }: ReadyRegion['pages'][number]): boolean {
    const { code, cpu } = this.parts;
    return code.directory.generations[page] === generation && cpu.physical.hostPage(page * 4096) === host;
  }
  /** What lies there now was not what was asked for, and has landed as often meanwhile. */
  private mayAskAgain(physical: number): void {
    const { code, cpu } = this.parts;
    const record = code.recordAt(physical);
    if (record !== undefined && record !== 0 && code.regionOf(record) === undefined)
      cpu.data.setUint16(record + RECORD.landings, 0, true);
  }
  private instantiate(module: WebAssembly.Module, imports: readonly ServiceImport[]): WebAssembly.Exports {
    const { cpu, mmu } = this.parts;
    const env: Record<string, unknown> = {
      memory: cpu.memory,
      look: (linear: number, how: number) => mmu.look(linear, how),
      loadSegment: this.interpreter.loadSegment,
      odd: (id: number) => this.odd(id),
      chain: this.interpreter.chain,
      handled: this.interpreter.handled,
      handlers: this.interpreter.handlers,
      regions: this.table,
    };
    for (const each of imports) env[importName(each)] = this.imported(each);
    return new WebAssembly.Instance(module, { env }).exports;
  }
  private imported({ kind, name }: ServiceImport): unknown {
    const leaf: Leaf | undefined = kind === 'leaf' ? this.parts.leaves[name] : undefined;
    if (leaf !== undefined) return leaf;
    const service = this.parts.services[name];
    if (service === undefined) throw new Error(`the core has no ${kind} '${name}'`);
    return () => service(0, 0, 0, 0) ?? 0;
  }

  private dropped(page: number): void {
    const pages = page < 0 ? [...this.byPage.keys()] : [page];
    for (const each of pages) for (const compiled of this.byPage.get(each) ?? []) this.forget(compiled);
  }
  /** Compiled code that begins at a guest-physical address. */
  private compiledAt(physical: number): Compiled | undefined {
    const { code } = this.parts;
    const record = code.recordAt(physical);
    return record === undefined ? undefined : this.compiledBy(record);
  }
  /** Compiled code that a record leads to. */
  private compiledBy(record: number): Compiled | undefined {
    const entrance = this.parts.code.regionOf(record);
    return entrance === undefined ? undefined : this.byIndex[entrance >> ENTRY_BITS];
  }
  /** Where a region begins that takes the place of another one: jumps that are known to lead there lead to the new one. */
  private handOver(old: Compiled): Pick<Compiled, 'entry' | 'index'> {
    this.unlist(old);
    return old;
  }
  /** Where a region begins; undefined when there is no such code any more. */
  private enter(
    physical: number,
    mode: number,
    number: number,
    old: Compiled | undefined,
  ): Pick<Compiled, 'entry' | 'index'> | undefined {
    if (old !== undefined) this.forget(old);
    const index = this.free.pop() ?? this.used++,
      entry = this.parts.code.enterRegion(physical, entranceOf(index, number), mode);
    if (entry !== undefined) return { entry, index };
    this.free.push(index);
    return undefined;
  }
  private unlist(compiled: Compiled): void {
    for (const page of compiled.pages) {
      const known = this.byPage.get(page);
      if (known?.delete(compiled) === true && known.size === 0) this.byPage.delete(page);
    }
    const { together } = compiled;
    together.entries.delete(compiled);
    if (together.entries.size === 0) this.byId.delete(together.id);
    this.live.delete(compiled);
    this.liveBytes -= compiled.bytes;
    this.counts.dropped++;
  }
  private forget(compiled: Compiled): void {
    this.unlist(compiled);
    this.parts.code.leaveRegion(compiled.entry);
    // It may be what is running.
    this.parts.cpu.set('exit', 1);
    this.parts.code.forgetJumps();
    this.table.set(compiled.index, null);
    this.byIndex[compiled.index] = undefined;
    this.free.push(compiled.index);
  }
}

export interface CompilingEngine extends Engine {
  readonly counts: Readonly<CompilerCounts>;
}

/** The interpreter, with compiled code for what runs often. */
export function compilingEngine(parts: EngineParts, options: CompilingOptions = {}): CompilingEngine {
  const { hotLandings = HOT_LANDINGS } = options;
  const compiler = new RegionCompiler(parts, options.translator ?? new DirectTranslator(decoder()), options);
  const interpreter = instantiateInterpreter(
    compileInterpreter(decoder().table),
    parts.cpu,
    parts.services,
    parts.leaves,
    {
      table: compiler.table,
      hotLandings,
      hot: (record) => compiler.hot(record),
    },
  );
  compiler.start(interpreter);
  return {
    deliver: interpreter.deliver,
    run: (entry, budget) => {
      compiler.begin();
      return interpreter.run(entry, budget);
    },
    counts: compiler.counts,
  };
}
