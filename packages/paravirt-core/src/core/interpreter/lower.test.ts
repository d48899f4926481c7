/** Decoded instructions as records: what the generated interpreter reads (record.ts). */
import { beforeEach, describe, expect, it } from 'vitest';
import { Decoder } from '../../isa/decode.ts';
import { allRows } from '../../isa/instructions/index.ts';
import { OFFSET, cpuBlock, segmentOffset } from '../layout.ts';
import { RecordWriter } from './lower.ts';
import { PSEUDO, PSEUDO_COUNT, RECORD, RECORD_BYTES, RECORD_SHIFT } from './record.ts';

const decoder = new Decoder(allRows);
const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
const data = new DataView(memory.buffer);
const CPU = cpuBlock(1);
const AT = 0x1_0000;
/** Form n has handler 1000 + n, so that the record tells the form. */
const handlers = Uint16Array.from(decoder.table.forms, (form) => 1000 + form.index);
const writer = new RecordWriter(memory, CPU, handlers);
const gpr = (n: number): number => CPU + OFFSET.gpr + n * 8;
const ZERO = CPU + OFFSET.zero;

beforeEach(() => new Uint8Array(memory.buffer).fill(0xee, AT));

interface Fields {
  readonly landings: number;
  handler: number;
  length: number;
  scale: number;
  reg: number;
  rm: number;
  index: number;
  segment: number;
  displacement: number;
  immediate: number;
  immediate2: number;
  pageOffset: number;
  number: number;
  opcode: number;
}
const BYTE = new Set(['length', 'scale']),
  WORD = new Set(['displacement', 'immediate', 'immediate2']);
const recordAt = (at: number): Fields =>
  Object.fromEntries(
    Object.entries(RECORD).map(([name, offset]) => [
      name,
      BYTE.has(name)
        ? data.getUint8(at + offset)
        : WORD.has(name)
          ? data.getInt32(at + offset, true)
          : data.getUint16(at + offset, true),
    ]),
  ) as unknown as Fields;
/** Writes one instruction at page offset 0x123 and gives its records. */
function lower(bytes: readonly number[], big = true): { records: Fields[]; form: number } {
  const insn = decoder.decode(Uint8Array.from(bytes), 0, bytes.length, big);
  if (typeof insn === 'string') throw new Error(insn);
  const end = writer.instruction(AT, insn, 0x123);
  const records = Array.from({ length: (end - AT) / RECORD_BYTES }, (_, i) => recordAt(AT + i * RECORD_BYTES));
  return { records, form: insn.form.index };
}
const one = (bytes: readonly number[], big = true): Fields => lower(bytes, big).records[0]!;

describe('a record', () => {
  it('is a power of two of bytes, its fields side by side', () => {
    expect(1 << RECORD_SHIFT).toBe(RECORD_BYTES);
    const sizes = Object.entries(RECORD).map(
      ([name, at]) => [at, BYTE.has(name) ? 1 : WORD.has(name) ? 4 : 2] as const,
    );
    const sorted = sizes.toSorted(([a], [b]) => a - b);
    sorted.forEach(([at, size], i) => {
      expect(at % size).toBe(0);
      expect(at + size).toBeLessThanOrEqual(sorted[i + 1]?.[0] ?? RECORD_BYTES);
    });
  });
  it('of no instruction has a handler, a place and one number, and nothing else', () => {
    expect(writer.pseudo(AT, PSEUDO.join, 0xabc, 0x12345)).toBe(AT + RECORD_BYTES);
    expect(recordAt(AT)).toEqual({ ...zeros, handler: PSEUDO.join, pageOffset: 0xabc, immediate: 0x12345 });
  });
  it('leaves nothing of what lay there before', () => {
    lower([0x90]);
    expect(data.getUint32(AT + RECORD_BYTES - 4, true) >>> 16).toBe(0);
  });
  it('names the handler of its form, its length and place', () => {
    const { records, form } = lower([0x66, 0x01, 0xd8]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({ handler: 1000 + form, length: 3, pageOffset: 0x123 });
  });
  it('handlers of no instruction come before all others', () => {
    expect(Math.max(...Object.values(PSEUDO))).toBeLessThan(PSEUDO_COUNT);
    expect(new Set(Object.values(PSEUDO)).size).toBe(Object.keys(PSEUDO).length);
  });
});
const zeros: Fields = {
  handler: 0,
  length: 0,
  scale: 0,
  reg: 0,
  rm: 0,
  index: 0,
  segment: 0,
  displacement: 0,
  immediate: 0,
  immediate2: 0,
  pageOffset: 0,
  number: 0,
  opcode: 0,
  landings: 0,
};

describe('registers', () => {
  it('of 16 and 32 bits are addresses of their slots', () => {
    expect(one([0x01, 0xd8])).toMatchObject({ reg: gpr(3), rm: gpr(0) });
    expect(one([0x66, 0x01, 0xfe])).toMatchObject({ reg: gpr(7), rm: gpr(6) });
    expect(one([0xbd, 1, 0, 0, 0])).toMatchObject({ reg: gpr(5), immediate: 1 });
  });
  it('of 8 bits are addresses of their bytes: AH to BH are the second ones', () => {
    expect(one([0x00, 0xd8])).toMatchObject({ reg: gpr(3), rm: gpr(0) });
    expect(one([0x00, 0xfc])).toMatchObject({ reg: gpr(3) + 1, rm: gpr(0) + 1 });
  });
  it('of MMX and SSE are addresses of their slots of 16 bytes', () => {
    expect(one([0x0f, 0xfc, 0xca])).toMatchObject({ reg: CPU + OFFSET.fpr + 16, rm: CPU + OFFSET.fpr + 32 });
    expect(one([0x66, 0x0f, 0xfc, 0xfd])).toMatchObject({
      reg: CPU + OFFSET.xmm + 7 * 16,
      rm: CPU + OFFSET.xmm + 5 * 16,
    });
  });
  it('of segments, control, debug and x87 are numbers', () => {
    expect(one([0x8e, 0xe3])).toMatchObject({ reg: 4, rm: gpr(3) });
    expect(one([0x0f, 0x22, 0xdb])).toMatchObject({ reg: 3, rm: gpr(3) });
    expect(one([0xd8, 0xc5]).number).toBe(5);
  });
});

describe('addresses', () => {
  it('of 32 bits are base, index, scale and displacement; what is absent is a register that is zero', () => {
    expect(one([0x8b, 0x44, 0x8b, 0xf0])).toMatchObject({
      rm: gpr(3),
      index: gpr(1),
      scale: 2,
      displacement: -16,
      reg: gpr(0),
    });
    expect(one([0x8b, 0x05, 4, 3, 2, 1])).toMatchObject({ rm: ZERO, index: ZERO, scale: 0, displacement: 0x01020304 });
  });
  it('name the segment register by its address', () => {
    expect(one([0x8b, 0x03]).segment).toBe(CPU + segmentOffset(3));
    expect(one([0x8b, 0x04, 0x24]).segment).toBe(CPU + segmentOffset(2));
    expect(one([0x65, 0x8b, 0x03]).segment).toBe(CPU + segmentOffset(5));
    expect(one([0x64, 0xa4]).segment).toBe(CPU + segmentOffset(4));
  });
  it('of 16 bits are computed by a record in front, which the instruction then uses as its base', () => {
    const { records } = lower([0x67, 0x8b, 0x40, 0x10]);
    expect(records).toHaveLength(2);
    expect(records[0]).toMatchObject({
      handler: PSEUDO.address16,
      rm: gpr(3),
      index: gpr(6),
      displacement: 0x10,
      pageOffset: 0x123,
    });
    expect(records[1]).toMatchObject({
      rm: CPU + OFFSET.address16,
      index: ZERO,
      displacement: 0,
      pageOffset: 0x123,
      length: 4,
    });
  });
  it('of 16 bits without registers need none', () => {
    const { records } = lower([0x67, 0x8b, 0x06, 0xff, 0xff]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({ rm: ZERO, index: ZERO, displacement: 0xffff });
  });
});

describe('branches', () => {
  it('have their target counted from the start of the page', () => {
    expect(one([0xeb, 0x10]).immediate).toBe(0x123 + 2 + 0x10);
    expect(one([0xe9, 0xfb, 0xff, 0xff, 0xff]).immediate).toBe(0x123);
    expect(one([0x75, 0x80]).immediate).toBe(0x123 + 2 - 128);
  });
  it('to far places have offset and selector', () => {
    expect(one([0xea, 4, 3, 2, 1, 0x18, 0])).toMatchObject({ immediate: 0x01020304, immediate2: 0x18 });
  });
});
