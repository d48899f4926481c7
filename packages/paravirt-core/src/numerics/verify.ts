/**
 * Compares the module with the host processor: every edge operand (crossed, under all rounding and precision controls)
 * and seeded random records. `node src/numerics/verify.ts [RANDOM_PER_OPERATION] [SEED] [NAME...]`; exit status 1 when
 * anything differs.
 */
import { random } from './cases.ts';
import { openHost, whyNoHost } from './host/host.ts';
import { instantiateNumerics } from './numerics.ts';
import { SSE_OPERATIONS } from './operations-sse.ts';
import { X87_OPERATIONS } from './operations.ts';
import { Records, addEdgesSse, addEdgesX87, addRandomSse, addRandomX87, compareRecords } from './records.ts';

/** Rounding controls, with DAZ and FTZ off, one of them, both. */
const SSE_CONTROLS = [0, 0x40, 0x8000, 0x8040].flatMap((d) => [0, 1, 2, 3].map((rc) => 0x1f80 | d | (rc << 13)));
const SHOWN = 12;

function main([perOperation = '20000', seed = '1', ...names]: readonly string[]): number {
  const why = whyNoHost();
  if (why !== undefined) {
    console.error(`cannot verify: ${why}`);
    return 1;
  }
  using host = openHost();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const numerics = instantiateNumerics(memory);
  const view = new DataView(memory.buffer);
  const next = random(Number(seed));
  let total = 0;
  let different = 0;
  const check = (name: string, fill: (records: Records) => void): void => {
    if (names.length > 0 && !names.includes(name)) return;
    const records = new Records();
    fill(records);
    const inputs = records.finish();
    let wrong = 0;
    compareRecords(numerics, view, inputs, host.run(inputs), (_, difference) => {
      if (wrong++ < SHOWN) console.log(difference);
    });
    total += records.count;
    different += wrong;
    console.log(`${name}: ${records.count} records, ${wrong} different`);
  };
  for (const operation of X87_OPERATIONS) {
    check(operation.name, (records) => {
      addEdgesX87(records, operation);
      for (let i = 0; i < Number(perOperation); i++) addRandomX87(records, operation, next);
    });
  }
  for (const operation of SSE_OPERATIONS) {
    check(operation.name, (records) => {
      addEdgesSse(records, operation, SSE_CONTROLS);
      for (let i = 0; i < Number(perOperation); i++) addRandomSse(records, operation, next);
    });
  }
  console.log(`${total} records, ${different} different`);
  return different === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
