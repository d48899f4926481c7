/** Random programs for as long as wanted, on the processor of this machine and our engines. */
import { EXIT } from '@tomei/kit';
import { compiledCpu } from './engines/compiled.ts';
import { interpreterCpu } from './engines/interpreter.ts';
import { oracleCpu } from './engines/oracle.ts';
import { fuzz, type FuzzEngine } from './fuzzing.ts';
import { HostCpu } from './host/host-cpu.ts';
import { tableTemplates } from './templates.ts';

const BATCH = 50;

export interface FuzzRun {
  readonly seconds: number;
  /** The first program's. */
  readonly seed: number;
  /** Instructions of a program. */
  readonly length: number;
  /** Families of the instruction table; all of them when empty. */
  readonly families: readonly string[];
}

/**
 * Prints each disagreement, and ends with the batch that has one. Without a processor that runs 32-bit programs the oracle is what the
 * interpreter is held against. Returns the exit code.
 */
export async function fuzzFor({ seconds, seed: first, length, families }: FuzzRun): Promise<number> {
  const available = HostCpu.available();
  const host = available.ok ? await HostCpu.start() : undefined;
  if (host === undefined) console.log(`without a host CPU: ${available.why ?? ''}`);

  const oracle: FuzzEngine = { name: 'oracle', cpu: oracleCpu() };
  const interpreter: FuzzEngine = { name: 'interpreter', cpu: interpreterCpu() };
  const compiled: FuzzEngine = { name: 'compiled code', cpu: compiledCpu() };
  const templates = tableTemplates((row) => families.length === 0 || families.includes(row.family));
  const end = performance.now() + seconds * 1000;
  let seed = first;
  let found = 0;
  while (performance.now() < end && found === 0) {
    const [reference, engines] =
      host === undefined
        ? [oracle, [interpreter, compiled]]
        : [{ name: 'host', cpu: host }, [interpreter, compiled, oracle]];
    const findings = await fuzz(templates, reference, engines, {
      first: seed,
      count: BATCH,
      length,
      narrow: host?.identity.narrow ?? true,
    });
    for (const { engine, program, lines } of findings)
      console.log(`the ${engine} differs\n${program}\n  ${lines.join('\n  ')}`);
    found += findings.length;
    seed += BATCH;
  }
  await host?.close();
  console.log(`${seed - first} programs from seed ${first} of ${templates.length} templates, ${found} disagreements`);
  return found === 0 ? EXIT.ok : EXIT.failed;
}
