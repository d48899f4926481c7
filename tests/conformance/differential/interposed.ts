/**
 * Stands between compiled code and whoever enters it, from outside: the modules of a translator are remembered, and their instances
 * export, in place of each region, a function of ours that may run the region.
 */
import type { Translator } from '@tomei/paravirt-core';

type Request = Parameters<Translator['request']>[0];
type Place = Parameters<Translator['prepare']>[0];
type Translated = NonNullable<ReturnType<Translator['take']>>;

/** An entry of a region: (left) -> REGION. */
export type Run = (left: number) => number;
/** Where a region is entered, in which mode of the processor. */
export interface RegionPlace {
  readonly linear: number;
  readonly physical: number;
  readonly mode: number;
}
/** What is called instead of `run`. */
export type Wrap = (run: Run, place: RegionPlace) => Run;

/** A region as WebAssembly has it: (left, entrance) -> REGION. The lower bits of the entrance say which of its entries it is. */
type Region = (left: number, entrance: number) => number;
const ENTRIES = 32;

/**
 * A module whose function `r` is what it imports as `e.r`: tables of functions hold those of WebAssembly alone.
 * (module (type (func (param i32 i32) (result i32))) (import "e" "r" (func (type 0))) (export "r" (func 0)))
 */
const THROUGH = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f],
  ...[2, 7, 1, 1, 0x65, 1, 0x72, 0, 0],
  ...[7, 5, 1, 1, 0x72, 0, 0],
);

export class InterposedTranslator implements Translator {
  private readonly inner: Translator;
  private readonly wrap: Wrap;
  private readonly requests = new Map<number, RegionPlace>();
  /** The places of each region's entries. */
  private readonly modules = new WeakMap<WebAssembly.Module, readonly (readonly RegionPlace[])[]>();
  private readonly native = WebAssembly.Instance;
  private readonly through = new WebAssembly.Module(THROUGH);

  /** From now until `close`, instances of `inner`'s modules are ours. */
  constructor(inner: Translator, wrap: Wrap) {
    this.inner = inner;
    this.wrap = wrap;
    WebAssembly.Instance = new Proxy(this.native, {
      construct: (native, [module, imports]: [WebAssembly.Module, WebAssembly.Imports | undefined]) => {
        const instance = new native(module, imports),
          places = this.modules.get(module);
        return places === undefined ? instance : { exports: this.exportsOf(instance, places) };
      },
    });
  }
  prepare(place: Place): void {
    this.inner.prepare(place);
  }
  request(request: Request): void {
    const { linear, physical, mode } = request;
    this.requests.set(request.id, { linear, physical, mode });
    this.inner.request(request);
  }
  send(): void {
    this.inner.send();
  }
  take(): Translated | undefined {
    const taken = this.inner.take();
    if (taken === undefined) return undefined;
    // The exports '0', '1' and so on are the regions in this order.
    const places = taken.regions.map(({ ids }) => ids.map((id) => this.requests.get(id)!));
    for (const { ids } of taken.regions) for (const id of ids) this.requests.delete(id);
    this.modules.set(taken.module, places);
    return taken;
  }
  close(): void {
    WebAssembly.Instance = this.native;
    this.inner.close();
  }

  private exportsOf(
    { exports }: WebAssembly.Instance,
    places: readonly (readonly RegionPlace[])[],
  ): WebAssembly.Exports {
    const wrapped = Object.entries(exports).map(([name, each]) => {
      const entries = places[Number(name)];
      return [name, entries === undefined ? each : this.asWasm(this.wrapped(each as Region, entries))] as const;
    });
    return Object.fromEntries(wrapped);
  }
  private wrapped(region: Region, places: readonly RegionPlace[]): Region {
    // Where there is one, the region does not look which it is.
    const entries = places.map((place, n) => this.wrap((left) => region(left, n), place));
    return (left, entrance) => entries[entries.length === 1 ? 0 : entrance % ENTRIES]!(left);
  }
  private asWasm(r: Region): WebAssembly.Exports[string] {
    return new this.native(this.through, { e: { r } }).exports['r']!;
  }
}
