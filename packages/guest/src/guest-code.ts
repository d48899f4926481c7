/**
 * What a guest's process asks of V8, and where it keeps what V8 compiles. V8 takes compiled code for the flags only that it was compiled
 * with, and Node has its own modules compiled for none: a thread takes twice as long to start under flags. So a process is started without,
 * and has them set once its first two threads have started, before they load anything of a guest.
 */
import { enableCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { GUEST_V8_FLAGS, startedWith } from '@tomei/kit';

/** Where a process that is to set its flags itself finds what Node would find in NODE_COMPILE_CACHE too early. */
export const COMPILED_FOLDER = 'TOMEI_COMPILED';

/** Whether this process was started with them. */
export const hasGuestFlags = (): boolean => startedWith(GUEST_V8_FLAGS);
/** For the whole process. Nothing of it has compiled WebAssembly yet. */
export function setGuestFlags(): void {
  for (const flag of GUEST_V8_FLAGS) setFlagsFromString(flag);
}
/** For what this thread loads from now on, and for threads that it starts. */
export function keepCompiled(): void {
  const folder = process.env[COMPILED_FOLDER];
  if (folder === undefined) return;
  enableCompileCache(folder);
  process.env['NODE_COMPILE_CACHE'] = folder;
}
