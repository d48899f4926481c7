/** The process of a guest, as it is started. */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { builtFrom } from '@tomei/built';
import { GUEST_V8_FLAGS } from '@tomei/kit';
import { COMPILED_FOLDER } from './guest-code.ts';

/**
 * How many threads of V8's optimise what a guest runs often; Node's own choice is four everywhere. They share what processors the guest
 * leaves, and hold locks in turn that the guest's processor needs to ask for code to be optimised and to collect garbage: the more there are
 * on one processor, the longer it may have to wait for one that is not running. With a single one code is optimised late.
 */
const OPTIMISERS = `--v8-pool-size=${Math.min(4, Math.max(2, availableParallelism()))}`;

/** A process that waits to be told which guest it is. It ends with the process that has started it, or when it is killed. */
export type PreparedGuest = ChildProcess;

/** For `StartOptions.prepared`. That there is no process is told by the guest's start. */
export function prepareGuest(): PreparedGuest {
  return forkGuest().on('error', () => undefined);
}
export function forkGuest(): ChildProcess {
  const main = fileURLToPath(builtFrom(new URL('./io-thread.ts', import.meta.url))),
    isBuilt = main.endsWith('.js');
  const { NODE_COMPILE_CACHE: folder, ...env } = process.env;
  return fork(main, [], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // See guest-code.ts. Sources would come too late there: Node compiles WebAssembly to strip their types.
    ...(isBuilt
      ? { execArgv: [OPTIMISERS], env: folder === undefined ? env : { ...env, [COMPILED_FOLDER]: folder } }
      : { execArgv: [OPTIMISERS, ...GUEST_V8_FLAGS] }),
  });
}
