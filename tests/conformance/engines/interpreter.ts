/** The interpreter as a `CpuUnderTest`: through its code cache, as guests run, or one instruction at a time. */
import {
  PhysicalMap,
  Processor,
  allocateMemory,
  instantiateNumerics,
  planMemory,
  type CpuBus,
  type ProcessorOptions,
} from '@tomei/paravirt-core';
import { type CpuCase, type CpuResult, type CpuUnderTest } from '../case.ts';
import { Environment, RAM_BYTES } from './environment.ts';

/** A case that has executed so many instructions loops. */
const INSTRUCTIONS_MAX = 100_000;

/** No device is there: ports read as all ones, as an ISA bus does. */
const NO_BUS: CpuBus = {
  portRead: (_, width) => 2 ** (8 * width) - 1,
  portWrite: () => {},
  memoryRead: (_, width) => 2 ** (8 * width) - 1,
  memoryWrite: () => {},
  acknowledgeInterrupt: () => 0,
  timestamp: () => 0,
  readDeadline: () => 0n,
  writeDeadline: () => {},
  apicBase: () => {},
};

/** A processor over RAM that starts at guest-physical 0. */
export function bareProcessor(make: (options: ProcessorOptions) => Processor = (o) => new Processor(o)): {
  processor: Processor;
  ram: number;
} {
  const plan = planMemory({ processors: 1, ramBytes: RAM_BYTES, videoMemoryBytes: 0 });
  const memory = allocateMemory(plan);
  const physical = new PhysicalMap();
  physical.map(0, plan.ram, plan.ramBytes, true);
  const leaves = instantiateNumerics(memory) as unknown as ProcessorOptions['leaves'];
  return { processor: make({ memory, plan, index: 0, physical, bus: NO_BUS, leaves }), ram: plan.ram };
}

/** How the processor is moved on: many instructions, or one. Returns how many it was asked for. */
export type Advance = (processor: Processor) => number;
export const running: Advance = (processor) => {
  // All at once: a repetition that is left and entered again forgets the flags it began with, as one that was interrupted.
  processor.run(INSTRUCTIONS_MAX);
  return INSTRUCTIONS_MAX;
};
export const stepping: Advance = (processor) => {
  processor.step();
  return 1;
};

/** An engine of ours behind the contract of `case.ts`. */
export class EngineCpu implements CpuUnderTest {
  private readonly processor: Processor;
  private readonly environment: Environment;
  private readonly advance: Advance;

  constructor(advance: Advance, make?: (options: ProcessorOptions) => Processor) {
    const { processor, ram } = bareProcessor(make);
    this.processor = processor;
    this.environment = new Environment(processor.cpu, ram);
    this.advance = advance;
  }

  run(cases: readonly CpuCase[]): CpuResult[] {
    return cases.map((each) => this.runOne(each));
  }
  private runOne(each: CpuCase): CpuResult {
    const { environment, processor } = this;
    environment.start(each);
    for (let n = 0; n < INSTRUCTIONS_MAX && !environment.stopped;) n += this.advance(processor);
    return environment.result();
  }
}

export const interpreterCpu = (): CpuUnderTest => new EngineCpu(running);
export const steppingCpu = (): CpuUnderTest => new EngineCpu(stepping);
