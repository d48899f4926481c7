/** The numerics as the engines call them: functions by name, over addresses in the guest's linear memory. */
import { instantiateNumerics } from './numerics.ts';

/** A leaf computation: 32-bit integers in, one out. */
export type LeafFunction = (...args: number[]) => number;

/** All leaves of one linear memory. */
export function createLeaves(memory: WebAssembly.Memory): Readonly<Record<string, LeafFunction>> {
  return instantiateNumerics(memory) as unknown as Record<string, LeafFunction>;
}
