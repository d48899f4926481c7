/** Compiled code in address spaces that are left and entered again: jumps lead to what page tables say, or said since the page was forgotten. */
import { expect, it } from 'vitest';
import { playSpaces } from '../core/random-spaces.ts';
import { TestProcessor } from '../core/test-processor.ts';
import { compilingEngine, type CompilingEngine } from './compiler.ts';

let engine: CompilingEngine | undefined;
const t = new TestProcessor({
  engine: (parts) => (engine = compilingEngine(parts, { hotLandings: 1, hotEntries: 2 })),
});

it.each([false, true])('random systems, PAE: %s', (pae) => {
  const regions = engine!.counts.regions;
  let kept = 0;
  for (let seed = 1; seed <= 40; seed++) kept += playSpaces(t, seed, { pae, steps: 250 }).kept;
  expect(kept).toBeGreaterThan(2000);
  expect(engine!.counts.regions - regions).toBeGreaterThan(200);
});
