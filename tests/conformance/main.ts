/** `pnpm conformance`: random programs, or a guest whose compiled code is checked, for as long as wanted. */
import { parseArgs } from 'node:util';
import { EXIT } from '@tomei/kit';

const USAGE = `pnpm conformance [--seconds N] [options]

Random programs on the processor of this machine and on our engines:
  --seconds N     for how long (60)
  --seed N        the first program (1)
  --length N      instructions of a program (60)
  --family NAME   only instructions of this family; may be given more than once

pnpm conformance --boot [--seconds N] [options]

Boots Linux and runs the benchmark's workloads, shortened. Each time a region of compiled code has run, the interpreter does the same
once more from the same state, and registers, flags and memory are compared:
  --seconds N     for how long at most (3600); a whole run takes some minutes
  --hot N         landings after which code is compiled (32)
  --kernel FILE   another kernel than the tiny guest's
  --initrd FILE   another initrd than the benchmark's own; its guest is done when it prints '@ DONE'

Exit codes: 0 no disagreement, 1 some, 2 wrong usage.`;

const number = (option: string, text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`${option} ${text}: give a number above 0`);
  return value;
};

const parse = () => {
  const { values } = parseArgs({
    options: {
      boot: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      seed: { type: 'string', default: '1' },
      length: { type: 'string', default: '60' },
      family: { type: 'string', multiple: true, default: [] },
      hot: { type: 'string', default: '32' },
      kernel: { type: 'string' },
      initrd: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    ...values,
    seconds: number('--seconds', values.seconds ?? (values.boot ? '3600' : '60')),
    seed: number('--seed', values.seed),
    length: number('--length', values.length),
    hot: number('--hot', values.hot),
  };
};

async function main(values: ReturnType<typeof parse>): Promise<number> {
  if (values.help) {
    console.log(USAGE);
    return EXIT.ok;
  }
  const { boot, seconds, seed, length, family, hot, kernel, initrd } = values;
  if (boot) {
    const { checkedBoot } = await import('./differential/boot.ts');
    return checkedBoot({ seconds, hotLandings: hot, kernel, initrd });
  }
  const { fuzzFor } = await import('./fuzz.ts');
  return fuzzFor({ seconds, seed, length, families: family });
}

/** Undefined for wrong usage, which has been said. */
function parsed(): ReturnType<typeof parse> | undefined {
  try {
    return parse();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
const values = parsed();
process.exitCode = values === undefined ? EXIT.usage : await main(values);
