/** The numerics as the engines call them: functions by name, over addresses in the guest's linear memory. */
import { instantiateNumerics } from './numerics.ts';

/** A leaf computation as WebAssembly exports it: engines link it without a crossing into JavaScript. */
export type LeafFunction = (...args: never[]) => unknown;

/** All leaves of one linear memory. One processor, one set. Throws `numerics.not-built`. */
export function createLeaves(memory: WebAssembly.Memory): Readonly<Record<string, LeafFunction>> {
  return instantiateNumerics(memory) as unknown as Record<string, LeafFunction>;
}
