/** What `tomei` starts with once it is built: the rest of what was built, or the sources where they have changed since. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { builtFrom } from '@tomei/built';
import { prepareGuest } from '@tomei/guest';
import { cacheFolder } from './host/folders.ts';

const source = new URL('./start-program.ts', import.meta.url),
  program = builtFrom(source);
if (program === source) await import(new URL('./main.ts', import.meta.url).href);
else {
  // Code is compiled once, not at every start.
  const { directory } = enableCompileCache(join(cacheFolder(), 'compiled'));
  // For the guest's process.
  if (directory !== undefined) process.env['NODE_COMPILE_CACHE'] ??= directory;
  // A process takes as long to start as the program to load: one that may not be needed is started meanwhile, and ended by the program.
  const prepared = process.argv[2] === 'run' ? prepareGuest() : undefined;
  const { startProgram } = (await import(program.href)) as typeof import('./start-program.ts');
  await startProgram(prepared);
}
