/** The generated interpreter, ready for V8 while a thread that is about to need it loads. */
import { moduleWithCode } from '../../wasm/machine-code.ts';
import { readPrebuilt } from './prebuilt.ts';

/**
 * Its machine code is taken over, or V8's own threads compile it, under the flags that the process has now. For modules of the same bytes
 * V8 has one code in a process, for as long as somebody holds one of them.
 */
export async function compileAhead(): Promise<WebAssembly.Module | undefined> {
  const prebuilt = readPrebuilt();
  if (prebuilt === undefined) return undefined;
  const { generated, code } = prebuilt;
  return (code && moduleWithCode(generated.bytes, code)) ?? WebAssembly.compile(generated.bytes);
}
