/** Tomei's machine: what other packages may use of it. */
export * from './vm/index.ts';
// For tests and tools that need a processor or the instruction table by themselves.
export * from './core/index.ts';
export * from './isa/index.ts';
export * from './jit/index.ts';
export { instantiateNumerics, type Numerics } from './numerics/numerics.ts';
export * from './vmi/index.ts';
