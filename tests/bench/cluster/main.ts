/** `pnpm bench cluster`: disks through gRPC beside the local file, and what viewers of a screen get and cost. See options.ts. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from '../here.ts';
import { clusterChart } from './chart.ts';
import { measureDisk, type DiskMeasurement } from './disk.ts';
import { USAGE, parseOptions } from './options.ts';
import { diskLine, markdownPage, terminalReport, viewersLine } from './report.ts';
import { resultsOf, type ClusterResults } from './results.ts';
import { measureViewers, type ViewersResult } from './viewers.ts';

const PAGES = join(import.meta.dirname, '../../../docs/bench');
const PAGE = 'cluster.md';
const FILES = { chart: 'cluster.svg', json: 'cluster.json' } as const;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** The whole benchmark of the cluster. Returns the exit code. Throws an Error for wrong options, and for what cannot be measured. */
export async function benchCluster(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const circumstances = { ...describeMachine(), runs: options.runs };
  const disk: DiskMeasurement[] = [],
    viewers: (readonly ViewersResult[])[] = [];
  // Each part once, then each again: what slows the machine for a while does not fall on all runs of one.
  for (let run = 1; run <= options.runs; run++) {
    const progress = (line: string): void => say(`run ${run} of ${options.runs}: ${line}`);
    if (options.parts.includes('disk')) {
      const measured = await measureDisk();
      disk.push(measured);
      progress(diskLine(measured));
    }
    if (options.parts.includes('viewers'))
      viewers.push(await measureViewers({ onResult: (result) => progress(viewersLine(result)) }));
  }
  const results = resultsOf(circumstances, disk, viewers);
  console.log(terminalReport(results));
  if (options.json !== undefined) writeFileSync(options.json, asJson(results));
  if (options.write) writePages(results);
  return 0;
}

const asJson = (results: ClusterResults): string => `${JSON.stringify(results, null, 2)}\n`;

function writePages(results: ClusterResults): void {
  mkdirSync(PAGES, { recursive: true });
  writeFileSync(join(PAGES, FILES.json), asJson(results));
  writeFileSync(join(PAGES, FILES.chart), clusterChart(results));
  writeFileSync(join(PAGES, PAGE), markdownPage(results, FILES));
  say(`wrote ${join(PAGES, PAGE)}`);
}
