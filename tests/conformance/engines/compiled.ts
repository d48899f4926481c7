/** Compiled code as a `CpuUnderTest`: whatever control lands on is compiled at once. `isCareful`: see `Region`. */
import { Processor, compilingEngine, type CompilingOptions } from '@tomei/paravirt-core';
import type { CpuUnderTest } from '../case.ts';
import { EngineCpu, running } from './interpreter.ts';

export const compiledCpu = ({ isCareful = false }: Pick<CompilingOptions, 'isCareful'> = {}): CpuUnderTest =>
  new EngineCpu(
    running,
    (options) =>
      new Processor({ ...options, engine: (parts) => compilingEngine(parts, { hotLandings: 1, isCareful }) }),
  );
