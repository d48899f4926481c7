/**
 * What a stretch of guest code writes, by whole pages of memory: TLB entries lose the right to write, so that the first write to each
 * page comes to the page walk, and the page is copied before it.
 */
import type { Processor } from '@tomei/paravirt-core';

const PAGE = 4096;
/** The bits of a TLB entry that allow writing (core/layout.ts). */
const WRITABLE = 2 | 8;

/** Copies of pages by their address in linear memory. */
export type PageCopies = Map<number, Uint8Array>;

export class WrittenPages {
  private readonly processor: Processor;
  /** The index of the TLB in `cpu.i32`. */
  private readonly tlb: number;
  /** Linear pages whose TLB entry may allow writing. */
  private readonly open = new Set<number>();
  /** Those whose entry was filled since `begin`. */
  private readonly filled = new Set<number>();
  private copies: PageCopies | undefined;
  private readonly free: Uint8Array[] = [];
  /** The guest-physical address of each page that was ever copied, by its address in linear memory. */
  private readonly physical = new Map<number, number>();

  constructor(processor: Processor) {
    const { mmu, cpu } = (this.processor = processor);
    this.tlb = cpu.get('tlb') >> 2;
    const translate = mmu.translate.bind(mmu);
    mmu.translate = (linear, write, user, fetch) => {
      const physical = translate(linear, write, user, fetch);
      if (physical >= 0) this.translated(linear >>> 12, physical, write);
      return physical;
    };
    const load = mmu.loadPageTables.bind(mmu);
    mmu.loadPageTables = (cr3) => {
      load(cr3);
      for (const page of mmu.keptPages()) this.restored(page);
    };
  }

  /** Copies are taken from now on. */
  begin(): void {
    this.close();
    this.filled.clear();
    this.copies = new Map();
  }
  /** The pages that were written, or were about to be, since `begin`, as they were then. No more copies are taken. */
  end(): PageCopies {
    const copies = this.copies ?? new Map<number, Uint8Array>();
    this.copies = undefined;
    return copies;
  }
  /** Copies of the same pages as they are now. */
  copyOf(pages: PageCopies): PageCopies {
    return new Map([...pages.keys()].map((host) => [host, this.copy(host)]));
  }
  /**
   * Puts pages back. What was translated since `begin` is forgotten: entries of page tables may be other ones again, or not marked as
   * accessed any more. So is what was decoded from bytes that change.
   */
  putBack(pages: PageCopies): void {
    const { i32, u8 } = this.processor.cpu,
      { code } = this.processor.mmu;
    for (const [host, bytes] of pages) {
      const physical = this.physical.get(host)!;
      const changed = code.hasCode(physical) ? spansOf(u8.subarray(host, host + PAGE), bytes) : [];
      u8.set(bytes, host);
      for (const [from, to] of changed) code.written(physical + from, to - from);
    }
    for (const page of this.filled) i32[this.tlb + page] = 0;
    this.filled.clear();
  }
  /** Copies that nobody needs any more. */
  release(pages: PageCopies): void {
    for (const bytes of pages.values()) this.free.push(bytes);
    pages.clear();
  }

  private translated(page: number, physical: number, write: boolean): void {
    const { cpu } = this.processor,
      entry = cpu.i32[this.tlb + page]!;
    if (this.copies === undefined) {
      if ((entry & WRITABLE) !== 0) this.open.add(page);
      return;
    }
    this.filled.add(page);
    // A window of compiled code may be looked up by a read and be written then: what may be written counts as if it were.
    if (!write && (entry & WRITABLE) === 0) return;
    this.open.add(page);
    const host = cpu.physical.hostPage(physical);
    // What is no memory is a device's.
    if (host === 0 || this.copies.has(host)) return;
    this.copies.set(host, this.copy(host));
    this.physical.set(host, (physical & ~0xfff) >>> 0);
  }
  /** A load of CR3 has found a page again: it comes to the page walk before it is written. */
  private restored(page: number): void {
    const { i32 } = this.processor.cpu;
    i32[this.tlb + page] = i32[this.tlb + page]! & ~WRITABLE;
    if (this.copies !== undefined) this.filled.add(page);
  }
  /** Takes the right to write from all pages. */
  private close(): void {
    const { i32 } = this.processor.cpu;
    for (const page of this.open) i32[this.tlb + page] = i32[this.tlb + page]! & ~WRITABLE;
    this.open.clear();
  }
  private copy(host: number): Uint8Array {
    const bytes = this.free.pop() ?? new Uint8Array(PAGE);
    bytes.set(this.processor.cpu.u8.subarray(host, host + PAGE));
    return bytes;
  }
}

/** Where two pages differ: from and to, in order. */
function spansOf(a: Uint8Array, b: Uint8Array): [number, number][] {
  const spans: [number, number][] = [];
  for (let i = 0; i < PAGE; i++) {
    if (a[i] === b[i]) continue;
    const from = i;
    while (i < PAGE && a[i] !== b[i]) i++;
    spans.push([from, i]);
  }
  return spans;
}
