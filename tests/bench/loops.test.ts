import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Assembler } from './assembler.ts';
import { LoopMachine } from './loop-machine.ts';
import { LOOPS } from './loops.ts';

describe('loops', () => {
  test('the assembler fills in labels before and behind', () => {
    const a = new Assembler(0x1000);
    a.label('top').code(0x90).jump(5, 'end').address('top').label('end');

    expect([...a.finish()]).toEqual([0x90, 0x0f, 0x85, 4, 0, 0, 0, 0x00, 0x10, 0, 0]);
    expect(() => new Assembler(0).address('nowhere').finish()).toThrow(/nowhere/);
  });
  test.each(LOOPS)('$name runs to its end and costs instructions by the round', (loop) => {
    const machine = new LoopMachine(loop);
    const count = (rounds: number): number => {
      const before = machine.processor.instructions;
      machine.run(rounds);
      return machine.processor.instructions - before;
    };

    const fixed = 2 * count(10) - count(20);
    expect(fixed).toBeLessThan(20);
    expect(count(20)).toBeGreaterThan(20);
  });
  test('the branches loop takes about every other branch', () => {
    const loop = LOOPS.find(({ name }) => name === 'branches')!;
    const machine = new LoopMachine(loop);
    machine.run(1000);

    const taken = machine.processor.cpu.getRegister(3);
    expect(taken).toBeGreaterThan(400);
    expect(taken).toBeLessThan(600);
  });
});

test('the guest program knows every workload that it declares', () => {
  const source = (name: string): string => readFileSync(new URL(`./guest/${name}`, import.meta.url), 'utf8');
  const declared = new Set(source('workloads.h').match(/run_\w+/g));

  for (const name of declared) expect(source('main.c')).toContain(`, ${name}}`);
});
