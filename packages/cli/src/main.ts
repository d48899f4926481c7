#!/usr/bin/env node
/** The program `tomei`, run from its sources. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { cacheFolder } from './host/folders.ts';

// Types are stripped and code is compiled once, not at every start: two thirds of the time to the first line.
const { directory } = enableCompileCache(join(cacheFolder(), 'compiled'));
// For the guest's process.
if (directory !== undefined) process.env['NODE_COMPILE_CACHE'] ??= directory;

const { startProgram } = await import('./start-program.ts');
await startProgram();
