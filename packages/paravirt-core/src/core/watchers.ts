/** Who is told of what the MMU does. */
import type { KeptCode } from './address-spaces.ts';

/** Who is told when memory that holds decoded code is written. */
export interface CodeWatcher {
  /** Whether decoded code lies in this guest-physical page. */
  hasCode(address: number): boolean;
  /** Bytes were written: drop what was decoded from them. */
  written(address: number, length: number): void;
}

/** Who knows more of linear pages than their translations, and forgets it when those are forgotten (core/code-tlb.ts). */
export interface TranslationWatcher {
  /** Translations were forgotten: those of global pages only when `all`. */
  flush(all: boolean): void;
  /** The translations of `pages` pages from a linear page on were forgotten, or lead elsewhere from now on. */
  invalidate(page: number, pages: number): void;
  /** A linear page is known as a global one from now on. */
  madeGlobal(page: number): void;
  /** An address space is about to be left: what is not global goes, into `kept`. */
  leaveSpace(kept: KeptCode): void;
  /** An address space has been entered, with the translations that hold: what holds of `kept` is back. */
  enterSpace(kept: KeptCode): void;
}
export const NOBODY: TranslationWatcher = {
  flush: () => {},
  invalidate: () => {},
  madeGlobal: () => {},
  leaveSpace: () => {},
  enterSpace: () => {},
};

/** Who is told of data accesses to certain pages (core/debug-registers.ts). */
export interface DataWatcher {
  /** The TLB bits that the page of a linear address may have. */
  rightsOf(linear: number): number;
  accessed(linear: number, bytes: number, write: boolean): void;
}

/** Who is asked before an instruction runs (core/debug-registers.ts). */
export interface CodeStops {
  /** Whether some instruction in the page of a linear address is watched. */
  hasCode(linear: number): boolean;
  /** Raises when it is the one at `linear`; those of the guest count when `guests`. */
  check(linear: number, guests: boolean): void;
}
