/** The processor's block and where everything lies around it. */
import { describe, expect, it } from 'vitest';
import { PAGE_MAP_BYTES } from './code-cache.ts';
import { RECORD_BYTES } from './interpreter/record.ts';
import {
  CODE_KEY,
  CODE_TLB_BYTES,
  CODE_TLB_ENTRIES,
  CPU_BLOCK,
  LDTR,
  OFFSET,
  JUMP,
  SCRATCH_RECORDS,
  STATE_END,
  SEGMENT,
  SEGMENT_BYTES,
  STATE_BYTES,
  TLB,
  TLB_BYTES,
  TR,
  cpuBlock,
  segmentOffset,
  type FieldName,
} from './layout.ts';
import { allocateMemory, planMemory } from './plan.ts';

describe('the block of a processor', () => {
  /** Bytes of a field: up to where the next one begins. */
  const fields = (Object.entries(OFFSET) as [FieldName, number][]).toSorted(([, a], [, b]) => a - b);

  it('has its fields one after another, none over another', () => {
    for (let i = 1; i < fields.length; i++) expect(fields[i]![1]).toBeGreaterThan(fields[i - 1]![1]);
    expect(fields[0]![1]).toBe(0);
  });
  it('has words at multiples of four and slots of 128 bits at multiples of 16', () => {
    for (const [, at] of fields) expect(at % 4).toBe(0);
    for (const name of ['fpr', 'xmm', 'scratch', 'segments'] as const) expect(OFFSET[name] % 16).toBe(0);
    expect(OFFSET.gpr % 8).toBe(0);
  });
  it('holds state and scratch records apart, with room for an instruction and what follows it', () => {
    expect(STATE_BYTES).toBeLessThanOrEqual(STATE_END);
    expect(JUMP.global + 4).toBeLessThanOrEqual(SCRATCH_RECORDS);
    expect(SCRATCH_RECORDS % RECORD_BYTES).toBe(0);
    expect(SCRATCH_RECORDS + 3 * RECORD_BYTES).toBeLessThanOrEqual(CPU_BLOCK);
  });
  it('has segments with all their parts', () => {
    expect(Math.max(...Object.values(SEGMENT)) + 4).toBeLessThanOrEqual(SEGMENT_BYTES);
    expect([segmentOffset(0), segmentOffset(LDTR), segmentOffset(TR)]).toEqual([
      OFFSET.segments,
      OFFSET.segments + 6 * 32,
      OFFSET.segments + 7 * 32,
    ]);
  });
  it('never lies at 0, which means nothing, and always below 64 KiB, which records can name', () => {
    expect(cpuBlock(0)).toBeGreaterThan(0);
    expect(cpuBlock(14) + CPU_BLOCK).toBeLessThanOrEqual(65536);
  });
});

describe('bits beside addresses of pages', () => {
  it('of the TLB are a user’s right four times the system’s, writing twice reading', () => {
    expect([TLB.supervisorWrite, TLB.userRead, TLB.userWrite]).toEqual([
      TLB.supervisorRead * 2,
      TLB.supervisorRead * 4,
      TLB.userRead * 2,
    ]);
  });
  it('fit below the page and do not overlap; `never` matches no entry, read or write', () => {
    const { never, ...bits } = TLB;
    const all = Object.values(bits).reduce((sum, bit) => sum + bit, 0);
    expect(all).toBe(Object.values(bits).reduce((mask, bit) => mask | bit, 0));
    expect([all & never, all & (never << 1)]).toEqual([0, 0]);
    expect(never << 1).toBeLessThan(4096);
    expect(CODE_KEY.valid | CODE_KEY.user | CODE_KEY.big).toBe(7);
  });
  it('the code TLB is indexed by a power of two', () => {
    expect(CODE_TLB_ENTRIES & (CODE_TLB_ENTRIES - 1)).toBe(0);
  });
});

describe('the plan of a memory', () => {
  const plan = planMemory({ processors: 2, ramBytes: 1 << 20, videoMemoryBytes: 1 << 16 });
  const areas = [
    ...plan.cpus.flatMap(({ tlb, code }) => [
      [tlb, TLB_BYTES],
      [code.codeTlb, CODE_TLB_BYTES],
      [code.emptyMap, PAGE_MAP_BYTES],
      [code.maps, code.mapCount * PAGE_MAP_BYTES],
      [code.records, code.recordBytes],
    ]),
    [plan.videoMemory, plan.videoMemoryBytes],
    [plan.ram, plan.ramBytes + plan.stagingBytes],
  ] as [number, number][];

  it('gives everything whole pages of its own, behind the processors’ blocks', () => {
    const sorted = areas.toSorted(([a], [b]) => a - b);
    let end = 65536;
    for (const [at, bytes] of sorted) {
      expect(at % 4096).toBe(0);
      expect(at).toBeGreaterThanOrEqual(end);
      end = at + bytes;
    }
    expect(end).toBeLessThanOrEqual(plan.wasmPages * 65536);
  });
  it('becomes memory of that size, shared and zero', () => {
    const { buffer } = allocateMemory(plan);
    expect([buffer.byteLength, buffer instanceof SharedArrayBuffer]).toEqual([plan.wasmPages * 65536, true]);
  });
  it('refuses more than 4 GiB, and more processors than have blocks', () => {
    expect(() => planMemory({ processors: 1, ramBytes: 2 ** 32, videoMemoryBytes: 0 })).toThrow(RangeError);
    expect(() => planMemory({ processors: 16, ramBytes: 4096, videoMemoryBytes: 0 })).toThrow(RangeError);
    expect(() => planMemory({ processors: 15, ramBytes: 4096, videoMemoryBytes: 0 })).not.toThrow();
  });
});
