/** The oracle as a `CpuUnderTest`: the instruction table's own words, executed one after another. */
import { Processor, oracleEngine } from '@tomei/paravirt-core';
import { type CpuUnderTest } from '../case.ts';
import { EngineCpu, running } from './interpreter.ts';

export const oracleCpu = (): CpuUnderTest =>
  new EngineCpu(running, (options) => new Processor({ ...options, engine: oracleEngine }));
