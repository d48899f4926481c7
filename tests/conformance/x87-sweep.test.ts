/** x87 arithmetic with every class of operand in every mode: the processor of this machine and ours. */
import { expect, it } from 'vitest';
import { type NamedCase } from './case.ts';
import { differences } from './compare.ts';
import { interpreterCpu } from './engines/interpreter.ts';
import { HostCpu } from './host/host-cpu.ts';
import { x87Sweep } from './x87-sweep.ts';

/** One case of so many; `TOMEI_X87=1` tries all ten millions, `TOMEI_X87_OFFSET` others of them. */
const EVERY = Number(process.env['TOMEI_X87'] ?? 397);
const OFFSET = Number(process.env['TOMEI_X87_OFFSET'] ?? 0);
const BATCH = 4000;
const host = HostCpu.available();

it(
  'computes as the processor does, exceptions included',
  { timeout: EVERY < 100 ? 3_600_000 : 120_000 },
  async (context) => {
    context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`);
    await using cpu = await HostCpu.start();
    const ours = interpreterCpu();
    const wrong: string[] = [];
    let tried = 0;
    const compare = async (cases: readonly NamedCase[]): Promise<void> => {
      const [wanted, got] = [await cpu.run(cases), await ours.run(cases)];
      tried += cases.length;
      for (const [i, each] of cases.entries()) {
        const lines = differences(each, wanted[i]!, got[i]!);
        if (lines.length > 0) wrong.push(`${each.name}: ${lines.join('; ')}`);
      }
    };

    let batch: NamedCase[] = [];
    for (const each of x87Sweep(EVERY, OFFSET)) {
      batch.push(each);
      if (batch.length < BATCH) continue;
      await compare(batch);
      batch = [];
    }
    await compare(batch);

    expect(wrong.slice(0, 20), `TOMEI_X87=${EVERY} TOMEI_X87_OFFSET=${OFFSET}: ${wrong.length} of ${tried}`).toEqual(
      [],
    );
    expect(tried).toBeGreaterThan(20_000);
  },
);
