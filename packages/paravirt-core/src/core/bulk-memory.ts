/**
 * Copying and filling linear memory by WebAssembly's own instructions: TypedArray methods go element by element where memory is
 * shared.
 */
import { Code, ModuleBuilder } from '../wasm/module.ts';

export interface BulkMemory {
  /** Moves `bytes` from one address to another; the ranges may overlap. */
  copy(to: number, from: number, bytes: number): void;
  /** Sets `bytes` to the low byte of `value`. */
  fill(to: number, value: number, bytes: number): void;
}

/** MEMORY.COPY and MEMORY.FILL (WebAssembly core specification 2.0, 5.4.6). */
export const MEMORY_COPY = [0xfc, 0x0a, 0, 0];
export const MEMORY_FILL = [0xfc, 0x0b, 0];

export function bulkMemory(memory: WebAssembly.Memory): BulkMemory {
  const module = new ModuleBuilder();
  const body = (bytes: readonly number[]): Code =>
    new Code()
      .get(0)
      .get(1)
      .get(2)
      .raw(...bytes);
  module.function('iii:', [], body(MEMORY_COPY), 'copy');
  module.function('iii:', [], body(MEMORY_FILL), 'fill');
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } });
  return exports as unknown as BulkMemory;
}

/** Repeats the `size` bytes at `to` until `bytes` are filled; both are multiples of each other. */
export function repeatPattern(bulk: BulkMemory, to: number, size: number, bytes: number): void {
  for (let done = size; done < bytes; done *= 2) bulk.copy(to + done, to, Math.min(done, bytes - done));
}
