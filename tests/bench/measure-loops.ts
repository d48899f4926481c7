/** Runs the loops and takes the processor time of this thread: the machine may be shared, wall time would measure that. */
import { LoopMachine, type Adapt } from './loop-machine.ts';
import { LOOPS, type Loop } from './loops.ts';
import { median } from './statistics.ts';

export interface LoopFigure {
  readonly name: string;
  readonly what: string;
  /** Millions of guest instructions for a second of this thread's processor time. */
  readonly mips: number;
  /** Nanoseconds for one of the loop's own units, where it has one. */
  readonly perUnit?: { readonly name: string; readonly ns: number };
}

/** User and system time of the calling thread in seconds. */
export function threadSeconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

/** Median of `runs` measurements of a loop, after one that is not counted (V8 optimises the interpreter in it). */
export function measureLoop(loop: Loop, runs: number, adapt?: Adapt): LoopFigure {
  const machine = new LoopMachine(loop, adapt);
  machine.run(loop.rounds);
  const seconds: number[] = [];
  let instructions = 0;
  for (let i = 0; i < runs; i++) {
    const before = machine.processor.instructions,
      from = threadSeconds();
    machine.run(loop.rounds);
    seconds.push(threadSeconds() - from);
    instructions = machine.processor.instructions - before;
  }
  const typical = median(seconds);
  const { unit } = loop;
  return {
    name: loop.name,
    what: loop.what,
    mips: instructions / typical / 1e6,
    ...(unit === undefined ? {} : { perUnit: { name: unit.name, ns: (typical / loop.rounds / unit.perRound) * 1e9 } }),
  };
}

export function measureLoops(runs: number, report: (figure: LoopFigure) => void): LoopFigure[] {
  return LOOPS.map((loop) => {
    const figure = measureLoop(loop, runs);
    report(figure);
    return figure;
  });
}
