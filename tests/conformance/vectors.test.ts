/** Vectors survive storage, damaged files are refused, and differences are told in words. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { cpuCase } from './base-case.ts';
import { EFLAGS, MEMORY, SELECTORS, TRAP, type CpuResult } from './case.ts';
import { differences } from './compare.ts';
import { FX, fxImage, normalizeFx } from './fxsave.ts';
import { Random } from './random.ts';
import { decodeVectors, encodeVectors, type Vector } from './vectors.ts';

const header = {
  family: 'sample',
  cpu: { vendor: 'Some', brand: 'One', signature: 7 },
  date: '2026-01-02',
  tool: 't 1',
};

/** A vector in which everything is random, so that nothing is at its base value. */
function randomVector(random: Random, index: number): Vector {
  const registers = () =>
    Object.fromEntries(Object.keys(cpuCase({ code: [] }).registers).map((n) => [n, random.u32()]));
  const fx = fxImage({
    xmm: [random.bytes(16), random.bytes(16)],
    st: [random.bytes(10)],
    mxcsr: random.u32() & 0xffff,
  });
  const patch = () => ({
    address: MEMORY.data.address + random.below(4000),
    bytes: random.bytes(1 + random.below(90)),
  });
  const start = cpuCase({
    code: random.bytes(1 + random.below(15)),
    codeAddress: MEMORY.code.address + random.below(8000),
    registers: registers(),
    eflags: random.u32() & 0x8d5,
    fx,
    memory: [patch(), patch()],
  });
  const result: CpuResult = {
    trap: random.oneIn(2) ? TRAP.PF : TRAP.GP,
    errorCode: random.below(16),
    cr2: 0,
    eip: random.u32(),
    eflags: random.u32() & 0x8d5,
    registers: { ...start.registers, ...registers() },
    segments: { ...SELECTORS, fs: random.below(65536) },
    fx: normalizeFx(random.bytes(512)),
    memory: [patch()],
  };
  const cr2 = result.trap === TRAP.PF ? random.u32() : 0;
  const masks = random.oneIn(2) ? {} : { undefinedStatus: 0x4500, undefinedRegisters: 3, undefinedSt: 128 };
  const memoryMask = random.oneIn(2) ? {} : { undefinedMemory: true as const };
  return {
    start: {
      ...start,
      name: `case ${'x'.repeat(index % 5)} ${index} é`,
      undefinedFlags: random.below(3),
      ...masks,
      ...memoryMask,
    },
    result: { ...result, cr2 },
  };
}

describe('a vectors file', () => {
  const random = new Random('vectors');
  const vectors = Array.from({ length: 300 }, (_, i) => randomVector(random, i));

  it('gives back every vector and the header', () => {
    const file = decodeVectors(encodeVectors(header, vectors), 'sample');

    expect(file).toEqual({ header: { ...header, count: 300 }, vectors });
  });

  it('is the same bytes for the same vectors', () => {
    expect(encodeVectors(header, vectors)).toEqual(encodeVectors(header, vectors));
  });

  it('is refused in one sentence wherever it is cut or changed', () => {
    const whole = gunzipSync(encodeVectors(header, vectors.slice(0, 20)));

    for (let length = 0; length < whole.length; length += 31)
      expect(() => decodeVectors(gzipSync(whole.subarray(0, length)), 'cut.gz')).toThrow(/^cut\.gz: /);
    for (let i = 0; i < 150; i++) {
      const damaged = Buffer.from(whole);
      damaged[random.below(damaged.length)] = random.below(256);
      try {
        decodeVectors(gzipSync(damaged), 'damaged.gz');
      } catch (error) {
        expect(String(error)).toMatch(/^TomeiError: damaged\.gz: /);
      }
    }
    expect(() => decodeVectors(Buffer.from('no gzip'), 'other.gz')).toThrow('other.gz: cannot be unpacked');
  });
});

describe('differences', () => {
  const start = { ...cpuCase({ code: [0x90] }), undefinedFlags: EFLAGS.CF };
  const expected: CpuResult = {
    ...{ trap: TRAP.BP, errorCode: 0, cr2: 0, eip: start.codeAddress + 1, eflags: EFLAGS.ZF },
    ...{ registers: start.registers, segments: SELECTORS, fx: normalizeFx(start.fx), memory: [] },
  };

  it('are none between equal results, nor where the manual leaves a flag open', () => {
    expect(differences(start, expected, { ...expected, eflags: EFLAGS.ZF | EFLAGS.CF })).toEqual([]);
  });

  it('name what differs and both values', () => {
    const registers = { ...expected.registers, ebx: 0x10 };
    const memory = [{ address: MEMORY.stack.address + 5, bytes: Uint8Array.of(1, 2) }];
    const fx = expected.fx.with(FX.xmm, 0xab);

    expect(differences(start, expected, { ...expected, trap: TRAP.DE, eflags: 0, registers, fx, memory })).toEqual([
      'trap: #DE, expected #BP',
      'eflags: -, expected ZF',
      'ebx: 0x10, expected 0x0',
      `xmm0: ${'00'.repeat(15)}ab, expected ${'00'.repeat(16)}`,
      'memory 0x10010005: 0102, expected 22bf',
    ]);
  });

  it('leave memory out where an instruction may have stored some of it', () => {
    const memory = [{ address: MEMORY.stack.address, bytes: Uint8Array.of(1) }];

    expect(differences({ ...start, undefinedMemory: true }, expected, { ...expected, memory })).toEqual([]);
  });
});
