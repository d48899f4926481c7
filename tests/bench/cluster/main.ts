/** `pnpm bench cluster`: disks through gRPC beside the local file, and what viewers of a screen get and cost. See options.ts. */
import { join } from 'node:path';
import { describeMachine } from '../here.ts';
import { asJson, say, writePages } from '../pages.ts';
import { clusterChart } from './chart.ts';
import { measureDisk, type DiskMeasurement } from './disk.ts';
import { USAGE, parseOptions } from './options.ts';
import { diskLine, markdownPage, terminalReport, viewersLine } from './report.ts';
import { resultsOf } from './results.ts';
import { measureViewers, type ViewersResult } from './viewers.ts';

const PAGES = join(import.meta.dirname, '../../../docs/bench');
const PAGE = 'cluster.md';
const FILES = { chart: 'cluster.svg', json: 'cluster.json' } as const;

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
  process.stdout.write(options.json ? asJson(results) : `${terminalReport(results)}\n`);
  if (options.write)
    writePages(PAGES, {
      [FILES.json]: asJson(results),
      [FILES.chart]: clusterChart(results),
      [PAGE]: markdownPage(results, FILES),
    });
  return 0;
}
