/** Every form with every prefix on the processor of this machine and ours; and which rows no processor has been asked about. */
import { expect, it } from 'vitest';
import { TRAP } from './case.ts';
import { differences } from './compare.ts';
import { interpreterCpu } from './engines/interpreter.ts';
import { HostCpu } from './host/host-cpu.ts';
import { makersDiffer, narrowStackSweep, narrowSweep, sweep, untriedRows, type SweepCase } from './sweep.ts';

/** Which of a form's cases are taken: another run looks at others. */
const OFFSET = Number(process.env['TOMEI_SWEEP'] ?? 0);
const host = HostCpu.available();

it('has a case of every row but those that a process cannot try', () => {
  const { cases } = sweep(1);

  expect(untriedRows(new Set(cases.map(({ form }) => form)))).toEqual([]);
  expect(cases.length).toBeGreaterThan(20_000);
});

/** What the processor of this machine and ours disagree about. */
async function disagreements(cpu: HostCpu, cases: readonly SweepCase[]): Promise<string[]> {
  const theirs = await cpu.run(cases);
  const ours = await interpreterCpu().run(cases);
  return cases.flatMap((each, i) => {
    const [wanted, got] = [theirs[i]!, ours[i]!];
    // A prefix can make a case of no use: it loops, or calls the system.
    if (wanted.trap >= TRAP.timeout || makersDiffer(each, wanted, got)) return [];
    const lines = differences(each, wanted, got);
    return lines.length === 0 ? [] : [`${each.name} [${Buffer.from(each.code).toString('hex')}]: ${lines.join('; ')}`];
  });
}

it('finds every form with every prefix as the processor does', { timeout: 120_000 }, async (context) => {
  context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`);
  await using cpu = await HostCpu.start();

  const wrong = await disagreements(cpu, sweep(1, OFFSET).cases);

  expect(wrong.slice(0, 20), `TOMEI_SWEEP=${OFFSET}`).toEqual([]);
});

it.for([
  ['in 16-bit code, with every prefix', narrowSweep],
  ['on a 16-bit stack', narrowStackSweep],
] as const)('finds every form %s as the processor does', { timeout: 240_000 }, async ([, cases], context) => {
  context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`);
  await using cpu = await HostCpu.start();
  context.skip(!cpu.identity.narrow, 'this system gives processes no 16-bit segments');

  const wrong = await disagreements(cpu, cases(1, OFFSET).cases);

  expect(wrong.slice(0, 20), `TOMEI_SWEEP=${OFFSET}`).toEqual([]);
});
