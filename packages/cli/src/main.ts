#!/usr/bin/env node
/** The program `tomei`. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { cacheFolder } from './host/folders.ts';

// Types are stripped and code is compiled once, not at every start: two thirds of the time to the first line.
const { directory } = enableCompileCache(join(cacheFolder(), 'compiled'));
// For the guest's process.
if (directory !== undefined) process.env['NODE_COMPILE_CACHE'] ??= directory;

const [{ machinery }, { runProgram }] = await Promise.all([import('./machinery.ts'), import('./program.ts')]);
process.exitCode = await runProgram(process.argv.slice(2), machinery);
