/**
 * Machine code of a WebAssembly module, made in one process and taken over by others. V8 begins with quick, slow code and improves what
 * is used; what is known to be used by every guest can be made well once, in a build.
 *
 * V8 lets embedders keep code, Node does not pass that on; V8's own tests reach it by functions that `--allow-natives-syntax` (one of
 * GUEST_V8_FLAGS) makes part of the language. Where those are not to be had, or V8 is another or asked for other things, or the processor
 * lacks what the code was made for, V8 says so and the module is compiled as ever.
 */
import { setFlagsFromString } from 'node:v8';

/** A function of an expression that only a process started for guests has syntax for; undefined in others. */
function native(parameters: readonly string[], text: string): ((...args: unknown[]) => unknown) | undefined {
  try {
    return new Function(...parameters, `return ${text}`) as (...args: unknown[]) => unknown;
  } catch {
    return undefined;
  }
}

/** All functions of a module by V8's optimising compiler; undefined in a process without GUEST_V8_FLAGS. Throws what WebAssembly.Module does. */
export function optimizedCode(module: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
  const serialize = native(['module'], '%SerializeWasmModule(module)');
  if (serialize === undefined) return undefined;
  let compiled: WebAssembly.Module;
  setFlagsFromString('--no-liftoff');
  try {
    compiled = new WebAssembly.Module(module);
  } finally {
    // V8 writes down with the code what it is asked for at that time.
    setFlagsFromString('--liftoff');
  }
  return new Uint8Array(serialize(compiled) as ArrayBuffer);
}

/**
 * A module with its code from `optimizedCode`, or undefined where V8 does not take it. V8 does not check that the two belong together,
 * and the code is executed: both come from one file of this installation.
 */
export function moduleWithCode(
  module: Uint8Array<ArrayBuffer>,
  code: Uint8Array<ArrayBuffer>,
): WebAssembly.Module | undefined {
  const deserialize = native(['code', 'module'], '%DeserializeWasmModule(code, module)');
  // A buffer of its own, from its first byte: V8 reads the whole.
  return deserialize?.(code.slice().buffer, module) as WebAssembly.Module | undefined;
}
