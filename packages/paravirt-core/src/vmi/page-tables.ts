/** Which pages a guest has announced as page tables (AllocatePage, ReleasePage), and what is wrong with an announcement. */
import { PAGE } from './interface.ts';

const ENTRIES = 1024,
  ENTRIES_PAE = 512;

export interface Announcement {
  readonly page: number;
  readonly flags: number;
  readonly source: number;
  readonly first: number;
  readonly count: number;
}

export class PageTables {
  private readonly pages: number[];
  private readonly places = new Map<number, number>();
  private readonly ramPages: number;

  /** `pages` is the state: page frame numbers in no order. RAM begins at page 0. */
  constructor(pages: number[], ramPages: number) {
    this.pages = pages;
    this.ramPages = ramPages;
    pages.forEach((page, i) => this.places.set(page, i));
  }
  has(page: number): boolean {
    return this.places.has(page);
  }
  /** Answers what is wrong, for a person; undefined when nothing is. What is wrong has no effect. Announcing twice is allowed. */
  allocate({ page, flags, source, first, count }: Announcement): string | undefined {
    if (page >= this.ramPages) return `announces page ${hex(page)} as a page table, which is not in RAM`;
    if ((flags & PAGE.CLONE) !== 0) {
      if (!this.has(source)) return `announces a copy of page ${hex(source)}, which is no page table of its own`;
      if (first + count > ((flags & PAGE.PAE) !== 0 ? ENTRIES_PAE : ENTRIES))
        return `announces a copy of ${count} entries from ${first} on, which are more than a page table has`;
    }
    if (this.has(page)) return undefined;
    this.places.set(page, this.pages.length);
    this.pages.push(page);
    return undefined;
  }
  /** As `allocate`; `roots` are the pages that CR3 names, which are given up nevertheless: processors go by memory, not by announcements. */
  release(page: number, roots: readonly number[]): string | undefined {
    const at = this.places.get(page);
    if (at === undefined) return `releases page ${hex(page)}, which it has not announced as a page table`;
    const last = this.pages.pop()!;
    this.places.delete(page);
    if (last !== page) {
      this.pages[at] = last;
      this.places.set(last, at);
    }
    return roots.includes(page)
      ? `releases page ${hex(page)}, the root of the address space that is in use`
      : undefined;
  }
}

const hex = (n: number): string => `${n.toString(16)}h`;
