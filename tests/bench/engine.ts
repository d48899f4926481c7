/** `pnpm bench engine`: loops on a bare processor. See options.ts; whole guests are compared by `pnpm bench peers`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeMachine } from './here.ts';
import { measureLoops } from './measure-loops.ts';
import { USAGE, parseOptions } from './options.ts';
import { markdownPage, terminalReport, type EngineResults } from './report.ts';
import { figure } from './tables.ts';

const PAGE = join(import.meta.dirname, '../../docs/reference/benchmarks.md');

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** The whole benchmark of the engine. Returns the exit code. Throws an Error for wrong options. */
export function benchEngine(args: readonly string[]): number {
  const options = parseOptions(args);
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const circumstances = { ...describeMachine(), v8: process.versions.v8, runs: options.runs };
  const loops = measureLoops(options.runs, ({ name, mips }) => say(`loop ${name}: ${figure(mips)} MIPS`));
  const results: EngineResults = { circumstances, loops };
  console.log(terminalReport(results));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (options.write) {
    mkdirSync(dirname(PAGE), { recursive: true });
    writeFileSync(PAGE, markdownPage(results));
    say(`wrote ${PAGE}`);
  }
  return 0;
}
