/** Compiled code: what `vm/` and tests use of it. */
export {
  MOST_BYTES,
  compilingEngine,
  type CompilerCounts,
  type CompilingEngine,
  type CompilingOptions,
} from './compiler.ts';
export { DirectTranslator, ThreadTranslator, type Translator } from './translator.ts';
export { dismissTranslator, prepareTranslator } from './translator-worker.ts';
