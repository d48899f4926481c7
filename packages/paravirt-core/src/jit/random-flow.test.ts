/** Compiled code does what the interpreter does: on random programs that loop, fault, patch themselves and are interrupted. */
import { describe, expect, it } from 'vitest';
import { TestProcessor } from '../core/test-processor.ts';
import { compilingEngine, type CompilingEngine } from './compiler.ts';
import { GatheringTranslator } from './gathering-translator.ts';
import { FLOW, INTERRUPT, Seeded, randomFlow } from './random-flow.ts';

/** A program that has done so much is one that does not end: a mistake of the generator. */
const LIMIT = 2_000_000;

interface End {
  readonly registers: readonly number[];
  readonly flags: number;
  readonly instructions: number;
  readonly faults: number;
  readonly memory: string;
}

/** Runs a program in slices of random size, with an interrupt now and then. */
function play(t: TestProcessor, seed: number, interrupts: boolean): { end: End; interrupted: number } {
  t.reset();
  randomFlow(seed, t);
  const random = new Seeded(seed ^ 0x5eed),
    { processor, cpu } = t;
  const before = processor.instructions;
  let requested = 0;
  t.bus.onAcknowledge = () => processor.setInterruptRequest(false);
  for (;;) {
    const how = processor.run(interrupts ? 1 + random.below(40) : LIMIT);
    if (how === 'halted') break;
    if (how !== 'budget' || processor.instructions - before > LIMIT) throw new Error(`seed ${seed} ended by ${how}`);
    if (interrupts && cpu.get('interruptPending') === 0) {
      requested++;
      t.bus.vectors.push(INTERRUPT);
      processor.setInterruptRequest(true);
    }
  }
  processor.setInterruptRequest(false);
  const interrupted = t.u32(FLOW.interrupts);
  t.view.setUint32(FLOW.interrupts, 0, true);
  // What the handler of interrupts left below the stack does not count.
  const memory = Buffer.from(t.ram.subarray(FLOW.code, FLOW.code + 0x10000)).toString('base64');
  const end = {
    registers: [0, 1, 2, 3, 4, 5, 6, 7].map((n) => t.register(n)),
    flags: cpu.eflags,
    instructions: processor.instructions - before,
    faults: t.u32(FLOW.faults),
    memory,
  };
  return { end, interrupted: Math.min(interrupted, requested) };
}

const gathering = new GatheringTranslator(6);
describe.each([
  ['narrow regions', {}],
  ['wide regions', { hotEntries: 1 }],
  ['regions of several entries', { translator: gathering }],
])('random programs in %s', (_, options) => {
  const interpreter = new TestProcessor();
  let engine: CompilingEngine | undefined;
  const compiled = new TestProcessor({
    engine: (parts) => (engine = compilingEngine(parts, { hotLandings: 2, ...options })),
  });

  it.each([false, true])('end the same, interrupted: %s', (interrupts) => {
    let interrupted = 0;
    const regions = engine!.counts.regions;
    for (let seed = 1; seed <= 50; seed++) {
      const plain = play(interpreter, seed, false).end;
      const other = play(compiled, seed, interrupts);
      interrupted += other.interrupted;
      // The handler's instructions count as well.
      const { instructions } = interrupts ? other.end : plain;
      expect(other.end, `seed ${seed}`).toEqual({ ...plain, instructions });
    }
    expect(engine!.counts.regions - regions).toBeGreaterThan(200);
    if ('translator' in options) expect(gathering.joined).toBeGreaterThan(50);
    if (interrupts) expect(interrupted).toBeGreaterThan(200);
  });
});
