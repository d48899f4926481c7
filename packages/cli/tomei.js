#!/usr/bin/env node
// Starts the program `tomei`. In JavaScript, since Node loads longer what strips types than all that is to be run; without a build it has to.
import { existsSync } from 'node:fs';

const built = new URL('../built/dist/tomei.js', import.meta.url);
await import(existsSync(built) ? built.href : './src/main.ts');
