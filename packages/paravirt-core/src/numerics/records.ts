/** Records of the reference program (`host/oracle.c`): making inputs, and comparing what the module answers with outputs. */
import { CONTROL_WORDS, EDGES, F32_EDGES, F64_EDGES, INTEGER_EDGES } from './cases.ts';
import { randomBits, randomF80, randomIeee, type F80, type Random } from './cases.ts';
import type { Numerics } from './numerics.ts';
import { A, RECORD_BYTES, STORE, X87_OPERATIONS, runX87, type X87Operation } from './operations.ts';
import { SSE_OPERATIONS, runSse, type SseOperation } from './operations-sse.ts';

const ALL = (1n << 64n) - 1n;
const ALL_MASKED = 0x1f80;
const TOP_AT_START = 6;

/** Inputs in the making; grows as needed. */
export class Records {
  private bytes = new Uint8Array(RECORD_BYTES * 1024);
  private view = new DataView(this.bytes.buffer);
  count = 0;

  add(operation: number, cw: number, mxcsr: number, a: F80, b: F80): void {
    const at = this.count++ * RECORD_BYTES;
    if (at + RECORD_BYTES > this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.view.setUint16(at, operation, true);
    this.view.setUint16(at + 2, cw, true);
    this.view.setUint32(at + 4, mxcsr, true);
    this.view.setBigUint64(at + 8, a[1], true);
    this.view.setUint16(at + 16, a[0], true);
    this.view.setBigUint64(at + 24, b[1], true);
    this.view.setUint16(at + 32, b[0], true);
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.count * RECORD_BYTES);
  }
}

/** The operand in memory or register bits of an operation, as the low bytes of a slot. */
const inLowBytes = (value: bigint): F80 => [0, value & ALL];
const ONE: F80 = [0x3fff, 1n << 63n];

/** Packed decimals: the sign and two digits in the upper part. */
const BCD_EDGES: readonly F80[] = [
  [0, 0n],
  [0x8000, 0n],
  [0x0099, 0x9999999999999999n],
  [0x8012, 0x3456789012345678n],
];

const bcd = (next: Random): F80 => {
  let digits = 0n;
  const length = next() % 17;
  for (let i = 0; i < length; i++) digits = (digits << 4n) | BigInt(next() % 10);
  return [(next() & 0x8000) | ((next() % 10) << 4) | (next() % 10), digits];
};

/** A power of two for FSCALE: up to 2^16 either way, with a fraction. */
const randomPower = (next: Random): F80 => [0x3fff + (next() & 0x8000) + (next() & 15), randomBits(next) | (1n << 63n)];

/** Random operands of an x87 operation. */
function x87Operands(operation: X87Operation, next: Random): [F80, F80] {
  const near = next() & 1 ? 0x3fff : next() & 0x7fff;
  switch (operation.operands) {
    case 'none':
      return [ONE, ONE];
    case 'f32':
      return [inLowBytes(randomIeee(next, 32, 127)), ONE];
    case 'f64':
      return [inLowBytes(randomIeee(next, 64, 1023)), ONE];
    case 'i16':
    case 'i32':
    case 'i64':
      return [inLowBytes(randomBits(next)), ONE];
    case 'bcd':
      return [bcd(next), ONE];
    case 'f80':
      return [randomF80(next, next() & 3 ? 0x3fff + (next() & 63) : near), ONE];
    case 'f80-pair':
      if (operation.name === 'fscale' && next() & 1) return [randomF80(next, near), randomPower(next)];
      return [randomF80(next, near), randomF80(next, near)];
  }
}

/** One random record. Without `anyControls` every exception is masked and precision control is not the reserved value. */
export function addRandomX87(records: Records, operation: X87Operation, next: Random, anyControls = true): void {
  const masks = next() & 7 ? 0x3f : next() & 0x3f;
  const [a, b] = x87Operands(operation, next);
  const controls = (next() & 0xf00) | 0x40;
  const cw = anyControls ? controls | masks : (controls & 0x300) === 0x100 ? controls | 0x33f : controls | 0x3f;
  records.add(operation.number, cw, ALL_MASKED, a, b);
}

/** The edge operands of an operation. */
function edgesOf(operation: X87Operation): readonly F80[] {
  switch (operation.operands) {
    case 'none':
      return [ONE];
    case 'f32':
      return F32_EDGES.map(inLowBytes);
    case 'f64':
      return F64_EDGES.map(inLowBytes);
    case 'i16':
    case 'i32':
    case 'i64':
      return INTEGER_EDGES.map(inLowBytes);
    case 'bcd':
      return BCD_EDGES;
    case 'f80':
    case 'f80-pair':
      return EDGES;
  }
}

/** Every edge operand (pair) of an operation, under `controls`. */
export function addEdgesX87(records: Records, operation: X87Operation, controls = CONTROL_WORDS): void {
  const seconds = operation.operands === 'f80-pair' ? EDGES : [ONE];
  for (const a of edgesOf(operation))
    for (const b of seconds) for (const cw of controls) records.add(operation.number, cw, ALL_MASKED, a, b);
}

/** One record of edge operands at random, under random controls and masks. */
export function addSampleX87(records: Records, operation: X87Operation, next: Random): void {
  const list = edgesOf(operation);
  const second = operation.operands === 'f80-pair' ? EDGES[next() % EDGES.length]! : ONE;
  const masks = next() & 3 ? 0x3f : next() & 0x3f;
  records.add(operation.number, (next() & 0xf00) | 0x40 | masks, ALL_MASKED, list[next() % list.length]!, second);
}

const sseEdges = { f32: F32_EDGES, f64: F64_EDGES, integer: INTEGER_EDGES } as const;

/**
 * A sum or difference of a power of two and something 60 to 68 bits below it: where a borrow moves the bits that decide
 * the rounding.
 */
export function addBorrowX87(records: Records, operation: X87Operation, next: Random): void {
  const exponent = 0x100 + (next() % 0x7d00);
  const sign = next() & 0x8000;
  const power: F80 = [exponent | sign, 1n << 63n];
  const small: F80 = [(exponent - 60 - (next() % 9)) | (next() & 0x8000), randomBits(next) | (1n << 63n)];
  const cw = 0x7f | (next() & 1 ? 0x300 : next() & 0xf00);
  if (next() & 1) records.add(operation.number, cw, ALL_MASKED, power, small);
  else records.add(operation.number, cw, ALL_MASKED, small, power);
}

/** MXCSR: rounding control, DAZ and FTZ at random, mostly everything masked. Sticky flags start clear. */
const randomMxcsr = (next: Random, unmask: boolean): number =>
  (next() & 0x6000) |
  (next() & 3 ? 0 : next() & 0x8040) |
  (unmask && (next() & 15) === 0 ? next() & ALL_MASKED : ALL_MASKED);

export function addRandomSse(records: Records, operation: SseOperation, next: Random): void {
  const value = (): bigint => {
    if (operation.operands === 'f32') return randomIeee(next, 32, next() & 3 ? 127 + (next() & 63) : next() & 0xff);
    if (operation.operands === 'f64') return randomIeee(next, 64, next() & 3 ? 1023 + (next() & 63) : next() & 0x7ff);
    return randomBits(next);
  };
  records.add(operation.number, 0x37f, randomMxcsr(next, true), inLowBytes(value()), inLowBytes(value()));
}

/** One record of edge operands at random, under random controls and masks. */
export function addSampleSse(records: Records, operation: SseOperation, next: Random): void {
  const list = sseEdges[operation.operands];
  const [a, b] = [list[next() % list.length]!, list[next() % list.length]!];
  records.add(operation.number, 0x37f, randomMxcsr(next, true), inLowBytes(a), inLowBytes(b));
}

export function addEdgesSse(records: Records, operation: SseOperation, controls: readonly number[]): void {
  const list = sseEdges[operation.operands];
  for (const a of list)
    for (const b of operation.pair ? list : [0n])
      for (const mxcsr of controls) records.add(operation.number, 0x37f, mxcsr, inLowBytes(a), inLowBytes(b));
}

const operations = new Map<number, X87Operation>(X87_OPERATIONS.map((o) => [o.number, o]));
const sseOperations = new Map<number, SseOperation>(SSE_OPERATIONS.map((o) => [o.number, o]));

/** One record as both sides see it; `undefined` members do not count. */
interface Answer {
  readonly flags: number;
  readonly st0: string | undefined;
  readonly st1: string | undefined;
}

const hex = (view: DataView, at: number, length = 10): string => {
  let text = '';
  for (let i = length - 1; i >= 0; i--)
    text += view
      .getUint8(at + i)
      .toString(16)
      .padStart(2, '0');
  return text;
};

/** Where module and reference differ on one record, in words, or undefined. */
export type Difference = string | undefined;

/** How far apart two finite 80-bit values in linear memory are, in units of the last place; Infinity when not comparable. */
export function ulps(x: DataView, atX: number, y: DataView, atY: number): number {
  const order = (v: DataView, at: number): bigint => {
    const se = v.getUint16(at + 8, true);
    const magnitude = (BigInt(se & 0x7fff) << 63n) + (v.getBigUint64(at, true) & ((1n << 63n) - 1n));
    return se & 0x8000 ? -magnitude : magnitude;
  };
  const distance = order(x, atX) - order(y, atY);
  return Number(distance < 0n ? -distance : distance);
}

/** Runs records through the module and reports every difference to `report`. `memory` is the module's. */
export function compareRecords(
  n: Numerics,
  memory: DataView,
  inputs: Uint8Array,
  outputs: Uint8Array,
  report: (index: number, difference: string) => void,
): void {
  const input = new DataView(inputs.buffer, inputs.byteOffset, inputs.byteLength);
  const output = new DataView(outputs.buffer, outputs.byteOffset, outputs.byteLength);
  for (let i = 0, at = 0; at < inputs.length; i++, at += RECORD_BYTES) {
    const number = input.getUint16(at, true);
    const x87 = operations.get(number);
    const difference =
      x87 !== undefined
        ? compareX87(x87, n, memory, input, output, at)
        : runSse(sseOperations.get(number)!, n, input, output, at);
    if (difference === undefined) continue;
    const cw = input.getUint16(at + 2, true).toString(16);
    const mxcsr = input.getUint32(at + 4, true).toString(16);
    const name = x87?.name ?? sseOperations.get(number)!.name;
    report(i, `${name} a=${hex(input, at + 8)} b=${hex(input, at + 24)} cw=${cw} mxcsr=${mxcsr}: ${difference}`);
  }
}

function compareX87(
  operation: X87Operation,
  n: Numerics,
  memory: DataView,
  input: DataView,
  output: DataView,
  at: number,
): Difference {
  for (let i = 0; i < 32; i += 8) memory.setBigUint64(A + i, input.getBigUint64(at + 8 + i, true), true);
  const outcome = runX87(operation, n, input.getUint16(at + 2, true), memory);
  const sw = output.getUint16(at, true);
  const top = ((sw >> 11) & 7) - TOP_AT_START;
  const ours: Answer = {
    flags: outcome.status & operation.defined,
    st0: outcome.st0 === undefined ? undefined : hex(memory, outcome.st0),
    st1: operation.stores ? hex(memory, STORE, 16) : outcome.st1 === undefined ? undefined : hex(memory, outcome.st1),
  };
  const st0 = hex(output, at + 8);
  const st1 = operation.stores ? hex(output, at + 24, 16) : hex(output, at + 24);
  const close = (slot: number, reference: number): boolean =>
    operation.approximate > 0 && ulps(memory, slot, output, reference) <= operation.approximate;
  const wrong = [
    ours.flags === (sw & operation.defined) ? '' : `status ${ours.flags.toString(16)}`,
    outcome.top === top ? '' : `top ${outcome.top}`,
    ours.st0 === undefined || ours.st0 === st0 || close(outcome.st0!, at + 8) ? '' : `st0 ${ours.st0}`,
    ours.st1 === undefined || ours.st1 === st1 || (outcome.st1 !== undefined && close(outcome.st1, at + 24))
      ? ''
      : `st1 ${ours.st1}`,
  ].filter((w) => w !== '');
  if (wrong.length === 0) return undefined;
  return `${wrong.join(', ')}; reference status ${(sw & operation.defined).toString(16)} top ${top} st0 ${st0} st1 ${st1}`;
}
