/** One processor by itself, without a board: for tests and tools. */
export { CR0, CR4, Cpu, type CpuBus } from './cpu.ts';
export { LDTR, OFFSET, TR } from './layout.ts';
export { compileAhead } from './interpreter/ahead.ts';
export { REGION, RUN } from './interpreter/record.ts';
export { oracleEngine } from './oracle.ts';
export { PhysicalMap } from './physical.ts';
export { allocateMemory, planMemory } from './plan.ts';
export { Processor, decoder, prepareEngine, type ProcessorOptions, type StopReason } from './processor.ts';
