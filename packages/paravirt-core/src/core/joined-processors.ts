/** Processors of one memory: each decodes code for itself, and forgets it whoever writes there. */
import type { Processor } from './processor.ts';
import type { CodeWatcher } from './watchers.ts';

/** Has each of them hear of what the others write, and watch what the others execute. A single one needs nothing. */
export function joinProcessors(processors: readonly Processor[]): void {
  if (processors.length === 1) return;
  const codes = processors.map(({ code }) => code);
  const all: CodeWatcher = {
    hasCode: (address) => codes.some((code) => code.hasCode(address)),
    written: (address, length) => codes.forEach((code) => code.written(address, length)),
  };
  for (const { mmu, code } of processors) {
    mmu.code = all;
    code.watchWrites = (physicalPage) => processors.forEach((each) => each.mmu.protectCode(physicalPage));
  }
}
