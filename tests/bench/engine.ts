/** `pnpm bench engine`: loops on a bare processor. See options.ts; whole guests are compared by `pnpm bench peers`. */
import { join } from 'node:path';
import { describeMachine } from './here.ts';
import { measureLoops } from './measure-loops.ts';
import { USAGE, parseOptions } from './options.ts';
import { asJson, say, writePages } from './pages.ts';
import { markdownPage, terminalReport, type EngineResults } from './report.ts';
import { figure } from './tables.ts';

const PAGES = join(import.meta.dirname, '../../docs/reference');
const PAGE = 'benchmarks.md';

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
  process.stdout.write(options.json ? asJson(results) : terminalReport(results));
  if (options.write) writePages(PAGES, { [PAGE]: markdownPage(results) });
  return 0;
}
