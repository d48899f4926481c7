/** `pnpm bench paravirt`: one image in both modes, in turn. See options.ts. */
import { join } from 'node:path';
import { describeMachine, type Here } from '../here.ts';
import { interruptible } from '../interrupt.ts';
import { asJson, say, writePages } from '../pages.ts';
import { Progress } from '../progress.ts';
import { figure } from '../tables.ts';
import { judged } from '../targets.ts';
import { buildPairGuest, type PairGuest } from './build-guest.ts';
import { pairChart } from './chart.ts';
import { USAGE, parseOptions, type ParavirtBenchOptions } from './options.ts';
import { markdownPage, terminalReport, type Report } from './report.ts';
import { compare, disagreements, targetsOf, type Circumstances } from './results.ts';
import { MODES, runPair, type Mode, type PairRun } from './run-pair.ts';

const ROOT = join(import.meta.dirname, '../../..');
const ARTEFACTS = join(ROOT, 'artefacts/bench');
const PAGES = join(ROOT, 'docs/bench');
const PAGE = 'paravirt.md';
const FILES = { chart: 'paravirt.svg', json: 'paravirt.json' } as const;
const NAMES = Object.keys(MODES) as Mode[];

/** The whole comparison. Returns the exit code. Throws an Error for wrong options, and where no guest can be built. */
export async function benchParavirt(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const here = describeMachine();
  return interruptible(async (signal) => {
    const image = await buildPairGuest(ARTEFACTS);
    const { runs, failures } = await inTurn(image, options, signal);
    return conclude(options, here, runs, failures);
  });
}

/** Prints and writes what the runs come to. Returns the exit code. */
function conclude(
  { json, write, runs: asked, scale }: ParavirtBenchOptions,
  here: Here,
  runs: readonly PairRun[],
  failures: readonly string[],
): number {
  if (runs.length === 0) throw new Error('no guest came to the end of a run');
  const found = Object.fromEntries(runs.map((run) => [run.mode, run.found]));
  const circumstances: Circumstances = { ...here, runs: asked, scale, found };
  const rows = compare(runs),
    targets = targetsOf(rows),
    wrong = [...failures, ...disagreements(runs)];
  const report: Report = { circumstances, rows, targets, wrong };
  const results = asJson({ circumstances, rows, targets: judged(targets), wrong, runs });
  process.stdout.write(json ? results : terminalReport(report));
  for (const sentence of wrong) say(sentence);
  // A page with figures left out would stand for a comparison that was not made.
  if (write && wrong.length > 0) say(`${join(PAGES, PAGE)} is left as it was`);
  else if (write)
    writePages(PAGES, {
      [FILES.chart]: pairChart(rows),
      [FILES.json]: results,
      [PAGE]: markdownPage(report, FILES),
    });
  return wrong.length === 0 ? 0 : 1;
}

/** Each mode once, then each again: what slows the machine for a while slows both. Which of them is the first changes by turns. */
async function inTurn(
  image: PairGuest,
  { runs: count, only, scale, timeoutSeconds }: ParavirtBenchOptions,
  signal: AbortSignal,
): Promise<{ runs: PairRun[]; failures: string[] }> {
  const runs: PairRun[] = [],
    failures: string[] = [],
    progress = new Progress();
  try {
    for (let n = 0; n < count * NAMES.length; n++) {
      const round = Math.floor(n / NAMES.length),
        mode = NAMES[(n + round) % NAMES.length]!,
        which = `run ${round + 1} of ${count}`;
      const onStep = (step: string, ended: number): void =>
        progress.at((n + ended / only.length) / (count * NAMES.length), `${which}: ${mode}, ${step}`);
      onStep('starting', 0);
      const from = performance.now();
      try {
        const run = await runPair(image, mode, { workloads: only, scale, timeoutSeconds, signal, onStep });
        progress.note(`${which}: ${mode} ends after ${figure((performance.now() - from) / 1000)} s (${run.found})`);
        runs.push(run);
      } catch (error) {
        signal.throwIfAborted();
        const sentence = `a run of mode ${mode} failed: ${error instanceof Error ? error.message : String(error)}`;
        progress.note(sentence);
        failures.push(sentence.split('\n', 1)[0]!);
      }
    }
  } finally {
    progress.end();
  }
  return { runs, failures };
}
