/**
 * Stored answers of a host processor, so that the module's exactness is tested where there is no compiler or another
 * processor: input and output records (see `host/oracle.c`) one after the other, compressed.
 * `node src/numerics/vectors.ts` makes them anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { random } from './cases.ts';
import { openHost, whyNoHost } from './host/host.ts';
import { SSE_OPERATIONS } from './operations-sse.ts';
import { X87_OPERATIONS } from './operations.ts';
import { Records, addBorrowX87, addRandomSse, addRandomX87, addSampleSse, addSampleX87 } from './records.ts';

const FILE = new URL('./vectors/numerics.bin.br', import.meta.url);
/** Edge operands and random operands of each operation. */
const SAMPLES = 220;
const RANDOM = 80;
const SEED = 0x70336d69;

export interface Vectors {
  readonly inputs: Uint8Array;
  readonly outputs: Uint8Array;
}

export function loadVectors(): Vectors {
  const bytes = brotliDecompressSync(readFileSync(FILE));
  return { inputs: bytes.subarray(0, bytes.length / 2), outputs: bytes.subarray(bytes.length / 2) };
}

function makeVectors(): number {
  const why = whyNoHost();
  if (why !== undefined) {
    process.stderr.write(`cannot make vectors: ${why}\n`);
    return 1;
  }
  const next = random(SEED);
  const records = new Records();
  for (const operation of X87_OPERATIONS) {
    for (let i = 0; i < SAMPLES; i++) addSampleX87(records, operation, next);
    for (let i = 0; i < RANDOM; i++) addRandomX87(records, operation, next);
    if (operation.name === 'fadd' || operation.name === 'fsub') {
      for (let i = 0; i < SAMPLES; i++) addBorrowX87(records, operation, next);
    }
  }
  for (const operation of SSE_OPERATIONS) {
    for (let i = 0; i < SAMPLES; i++) addSampleSse(records, operation, next);
    for (let i = 0; i < RANDOM; i++) addRandomSse(records, operation, next);
  }
  const inputs = records.finish();
  using host = openHost();
  const raw = Buffer.concat([inputs, host.run(inputs)]);
  const packed = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_LGWIN]: 24 } });
  writeFileSync(FILE, packed);
  process.stdout.write(`${records.count} records, ${packed.length} bytes\n`);
  return 0;
}

if (import.meta.main) process.exitCode = makeVectors();
