#!/usr/bin/env node
/** The program `tomei`. */
import { machinery } from './machinery.ts';
import { runProgram } from './program.ts';

process.exitCode = await runProgram(process.argv.slice(2), machinery);
