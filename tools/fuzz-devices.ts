#!/usr/bin/env node
/**
 * Runs a whole board in chaos (packages/paravirt-core/src/devices/chaos.ts) from one seed after the other until something breaks or
 * the time is over: `node tools/fuzz-devices.ts [--seed N] [--steps N: a seed] [--minutes N]`. A failure prints its seed and step.
 */
import { parseArgs } from 'node:util';
import { runChaos } from '../packages/paravirt-core/src/devices/chaos.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    steps: { type: 'string', default: '100000' },
    minutes: { type: 'string', default: '10' },
  },
});
const end = performance.now() + Number(values.minutes) * 60_000;
let failures = 0;
for (let seed = Number(values.seed); performance.now() < end; seed++) {
  const started = performance.now();
  try {
    runChaos(seed, Number(values.steps));
  } catch (error) {
    failures++;
    process.stderr.write(`${(error as Error).message}\n`);
  }
  const { heapUsed, external } = process.memoryUsage();
  const memory = `${Math.round((heapUsed + external) / 2 ** 20)} MiB`;
  process.stdout.write(
    `seed ${seed}: ${Math.round(performance.now() - started)} ms, ${memory}, ${failures} failures\n`,
  );
}
process.exitCode = failures === 0 ? 0 : 1;
