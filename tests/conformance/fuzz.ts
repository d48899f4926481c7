/**
 * Random programs for as long as wanted, on the processor of this machine and our engines:
 *
 *     node tests/conformance/fuzz.ts [--seconds 60] [--seed 1] [--length 60] [--family NAME]...
 *
 * Without a processor that runs 32-bit programs the oracle is what the interpreter is held against.
 */
import { parseArgs } from 'node:util';
import { EXIT } from '@tomei/kit';
import { compiledCpu } from './engines/compiled.ts';
import { interpreterCpu } from './engines/interpreter.ts';
import { oracleCpu } from './engines/oracle.ts';
import { fuzz, type FuzzEngine } from './fuzzing.ts';
import { HostCpu } from './host/host-cpu.ts';
import { tableTemplates } from './templates.ts';

const BATCH = 50;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    length: { type: 'string', default: '60' },
    family: { type: 'string', multiple: true, default: [] },
  },
});
const available = HostCpu.available();
const host = available.ok ? await HostCpu.start() : undefined;
if (host === undefined) console.log(`without a host CPU: ${available.why ?? ''}`);

const oracle: FuzzEngine = { name: 'oracle', cpu: oracleCpu() };
const interpreter: FuzzEngine = { name: 'interpreter', cpu: interpreterCpu() };
const compiled: FuzzEngine = { name: 'compiled code', cpu: compiledCpu() };
const templates = tableTemplates((row) => values.family.length === 0 || values.family.includes(row.family));
const end = performance.now() + Number(values.seconds) * 1000;
let seed = Number(values.seed);
let found = 0;
while (performance.now() < end && found === 0) {
  const [reference, engines] =
    host === undefined
      ? [oracle, [interpreter, compiled]]
      : [{ name: 'host', cpu: host }, [interpreter, compiled, oracle]];
  const findings = await fuzz(templates, reference, engines, {
    first: seed,
    count: BATCH,
    length: Number(values.length),
    narrow: host?.identity.narrow ?? true,
  });
  for (const { engine, program, lines } of findings)
    console.log(`the ${engine} differs\n${program}\n  ${lines.join('\n  ')}`);
  found += findings.length;
  seed += BATCH;
}
await host?.close();
console.log(
  `${seed - Number(values.seed)} programs from seed ${values.seed} of ${templates.length} templates, ${found} disagreements`,
);
process.exitCode = found === 0 ? EXIT.ok : EXIT.failed;
