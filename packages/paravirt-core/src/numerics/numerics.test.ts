import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { ensureNumerics } from './build.ts';
import { CONTROL_WORDS, random, randomF80, type F80, type Random } from './cases.ts';
import { isReferenceHost, openHost, whyNoHost } from './host/host.ts';
import { compileNumerics, instantiateNumerics, type Numerics } from './numerics.ts';
import { SSE_OPERATIONS } from './operations-sse.ts';
import { A, B, C, STORE, X87_OPERATIONS, runX87 } from './operations.ts';
import { Records, addEdgesSse, addEdgesX87, addRandomSse, addRandomX87, compareRecords } from './records.ts';
import { tablesSource } from './tables.ts';
import { loadVectors } from './vectors.ts';

const ALL_MASKED = 0x37f;
const PAGE_BYTES = 65536;
/** Control words without the reserved precision control. */
const MASKED = CONTROL_WORDS.filter((cw) => (cw & 0x300) !== 0x100);

interface Bench {
  readonly n: Numerics;
  readonly view: DataView;
}
function open(): Bench {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 16, shared: true });
  return { n: instantiateNumerics(memory), view: new DataView(memory.buffer) };
}
const put = (view: DataView, at: number, [se, significand]: F80): void => {
  view.setBigUint64(at, significand, true);
  view.setUint16(at + 8, se, true);
};
const get = (view: DataView, at: number): F80 => [view.getUint16(at + 8, true), view.getBigUint64(at, true)];

/** The first few differences of a run, which is empty when everything agrees. */
function differences({ n, view }: Bench, inputs: Uint8Array, outputs: Uint8Array): string[] {
  const found: string[] = [];
  compareRecords(n, view, inputs, outputs, (_, difference) => {
    if (found.length < 20) found.push(difference);
  });
  return found;
}

beforeAll(ensureNumerics);

describe('the numerics module', () => {
  it('imports the memory of the guest and nothing else', () => {
    expect(WebAssembly.Module.imports(compileNumerics())).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
    expect(WebAssembly.Module.exports(compileNumerics()).filter((e) => e.kind === 'memory')).toEqual([]);
  });

  it('touches no memory but the slots it is given', () => {
    const bench = open();
    const next = random(7);
    const bytes = new Uint8Array(bench.view.buffer);
    bytes.fill(0x5a);
    for (const operation of X87_OPERATIONS) {
      for (let i = 0; i < 200; i++) {
        for (const slot of [A, B]) put(bench.view, slot, randomF80(next, 0x3fff));
        runX87(operation, bench.n, ALL_MASKED ^ (next() & 0x3f), bench.view);
      }
    }
    const slots = [A, B, C, STORE];
    const touched: number[] = [];
    for (let at = 0; at < PAGE_BYTES; at++) {
      const inside = slots.some((slot) => at >= slot && at < slot + (slot === STORE ? 16 : 10));
      if (!inside && bytes[at] !== 0x5a) touched.push(at);
    }
    expect(touched).toEqual([]);
  });

  it('gives the same results in place as out of place', () => {
    const { n, view } = open();
    const next = random(11);
    for (let i = 0; i < 800; i++) {
      const a = randomF80(next, 0x3fff);
      const b = randomF80(next, a[0] & 0x7fff);
      const cw = 0x7f | (next() & 0xf00);
      for (const name of ['f80_add', 'f80_sub', 'f80_mul', 'f80_div', 'f80_scale', 'f80_yl2x', 'f80_atan'] as const) {
        put(view, A, a);
        put(view, B, b);
        const flags = n[name](C, A, B, cw);
        const apart = get(view, C);
        expect(n[name](B, A, B, cw)).toBe(flags);
        expect(get(view, B)).toEqual(apart);
      }
    }
  });

  it('is instantiated over any size of shared memory', () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 65536, shared: true });
    expect(instantiateNumerics(memory).f64_add(0x3ff0000000000000n, 0x3ff0000000000000n, 0x1f80)).toBe(
      0x4000000000000000n,
    );
  });

  it('has tables that are up to date with their tool', () => {
    expect(readFileSync(new URL('./assembly/tables.ts', import.meta.url), 'utf8')).toBe(tablesSource());
  });
});

describe('against a host processor', () => {
  it('agrees with the stored answers', () => {
    const { inputs, outputs } = loadVectors();
    expect(differences(open(), inputs, outputs)).toEqual([]);
  });

  it('notices a wrong answer', () => {
    // The comparison itself: one flipped bit in each stored result must show.
    const { inputs, outputs } = loadVectors();
    const spoiled = Uint8Array.from(outputs);
    const [status, mxcsr, recordBytes] = [0, 4, 40];
    let records = 0;
    for (let at = 0; at < spoiled.length; at += recordBytes, records++) {
      spoiled[at + status]! ^= 0x20;
      spoiled[at + mxcsr]! ^= 0x20;
    }
    const { n, view } = open();
    let noticed = 0;
    compareRecords(n, view, inputs, spoiled, () => noticed++);
    expect(noticed).toBe(records);
  });

  /** Compares each operation's records and says which operation and seed differ. */
  const agree = (
    operations: readonly { readonly name: string }[],
    fill: (records: Records, index: number, next: Random) => void,
  ): void => {
    using host = openHost();
    const bench = open();
    const seed = 20260823;
    const next = random(seed);
    operations.forEach(({ name }, index) => {
      const records = new Records();
      fill(records, index, next);
      const inputs = records.finish();
      expect(differences(bench, inputs, host.run(inputs)), `${name}, seed ${seed}`).toEqual([]);
    });
  };
  const hostOrSkip = (context: TestContext): void => {
    const why = whyNoHost();
    if (why !== undefined) context.skip(`not compared with the processor of this machine: ${why}`);
  };

  it('agrees with the processor of this machine on x87, exceptions masked', (context) => {
    hostOrSkip(context);
    const exact = X87_OPERATIONS.filter((operation) => operation.approximate === 0);
    agree(exact, (records, index, next) => {
      const operation = exact[index]!;
      addEdgesX87(records, operation, operation.operands === 'f80-pair' ? [0x37f, 0x07f, 0x67f, 0xb7f, 0xf7f] : MASKED);
      for (let i = 0; i < 2000; i++) addRandomX87(records, operation, next, false);
    });
  });

  it('agrees with the processor of this machine where manuals leave a choice', (context) => {
    hostOrSkip(context);
    // Results of transcendental instructions, condition codes and flags beside unmasked exceptions, the reserved precision.
    if (!isReferenceHost()) context.skip('the choices are those of AMD processors, and this machine has another');
    agree(X87_OPERATIONS, (records, index, next) => {
      const operation = X87_OPERATIONS[index]!;
      if (operation.approximate > 0) addEdgesX87(records, operation, [0x37f, 0xf7f]);
      for (let i = 0; i < 2000; i++) addRandomX87(records, operation, next);
    });
  });

  it('agrees with the processor of this machine on SSE', (context) => {
    hostOrSkip(context);
    agree(SSE_OPERATIONS, (records, index, next) => {
      const operation = SSE_OPERATIONS[index]!;
      addEdgesSse(records, operation, [0x1f80, 0x3f80, 0xdfc0, 0xff80]);
      for (let i = 0; i < 2000; i++) addRandomSse(records, operation, next);
    });
  });
});
