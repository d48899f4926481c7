import { describe, expect, it } from 'vitest';
import { Identity, type Feature } from './cpuid.ts';

const STATE = { apic: true, apicId: 0, limited: false, monitor: true, noExecute: true };
const identity = (...without: Feature[]): Identity => new Identity(without, 36);

describe('CPUID', () => {
  it('leaves features out by name, in whichever register they stand', () => {
    const [, , , edx] = identity('PAE', 'APIC').leaf(1, STATE);
    expect(edx & ((1 << 6) | (1 << 9))).toBe(0);
    expect(edx & (1 << 4)).not.toBe(0);
    expect(identity('NX').leaf(0x8000_0001, STATE)[3]).toBe(0);
    expect([identity('NX').has('NX'), identity().has('NX')]).toEqual([false, true]);
  });
  it('answers beyond its last leaf as the last basic one, with and without a limit', () => {
    const last = identity().leaf(0x15, STATE);
    expect([0x16, 0x4000_0000, 0x7fff_ffff, 0x8000_0009, 0xffff_ffff].map((n) => identity().leaf(n, STATE))).toEqual(
      Array(5).fill(last),
    );
    const limited = { ...STATE, limited: true };
    expect(identity().leaf(0, limited)[0]).toBe(2);
    expect(identity().leaf(0x15, limited)).toEqual(identity().leaf(2, limited));
    expect(identity().leaf(0x8000_0000, limited)[0] >>> 0).toBe(0x8000_0008);
  });
  it('hides what registers switch off', () => {
    expect(identity().leaf(1, { ...STATE, apic: false })[3] & (1 << 9)).toBe(0);
    expect(identity().leaf(1, { ...STATE, monitor: false })[2] & (1 << 3)).toBe(0);
    expect(identity().leaf(0x8000_0001, { ...STATE, noExecute: false })[3]).toBe(0);
  });
  it('tells bits otherwise where it is told to, and has the features all the same', () => {
    const masked = new Identity([], 36, [
      { leaf: 1, register: 3, clear: 1 << 26, set: 0 },
      { leaf: 1, register: 2, clear: 0, set: 0x8000_0000 },
      { leaf: 0x15, register: 0, clear: 1, set: 0 },
    ]);
    const [eax, ebx, ecx, edx] = identity().leaf(1, STATE);
    expect(masked.leaf(1, STATE)).toEqual([eax, ebx, ecx | 0x8000_0000, edx & ~(1 << 26)]);
    expect(masked.has('SSE2')).toBe(true);
    expect(masked.leaf(0x7fff_ffff, STATE)[0]).toBe(0); // answers as leaf 15h
    expect(masked.leaf(2, STATE)).toEqual(identity().leaf(2, STATE));
  });
  describe('of several cores in a socket', () => {
    const of = (cores: number, n: number, part = 0, apicId = 5): readonly number[] =>
      new Identity([], 36, [], undefined, cores).leaf(n, { ...STATE, apicId, part });
    it('says so, with each processor by its APIC ID', () => {
      const [, ebx, , edx] = of(4, 1);
      expect([ebx! >>> 24, (ebx! >> 16) & 0xff, (edx! >> 28) & 1]).toEqual([5, 4, 1]);
      // Levels of threads and of cores, and no more.
      expect(of(4, 0xb)).toEqual([0, 1, 0x100, 5]);
      expect(of(4, 0xb, 1)).toEqual([2, 4, 0x201, 5]);
      expect(of(4, 0xb, 2)).toEqual([0, 0, 2, 5]);
      expect(of(4, 0xb, 0xffff_ff07)).toEqual([0, 0, 7, 5]);
    });
    it.each([
      [2, 1],
      [3, 2],
      [4, 2],
      [5, 3],
      [8, 3],
    ])('reserves APIC IDs for %i of them: %i bits', (cores, bits) => {
      expect(of(cores, 0xb, 1).slice(0, 2)).toEqual([bits, cores]);
      expect(of(cores, 4)[0]! >>> 26).toBe((1 << bits) - 1);
    });
    it('has a cache, by which older systems count cores', () => {
      const [eax, ebx, ecx] = of(2, 4) as [number, number, number];
      const bytes = ((ebx & 0xfff) + 1) * (((ebx >>> 12) & 0x3ff) + 1) * ((ebx >>> 22) + 1) * (ecx + 1);
      expect([eax & 0x1f, (eax >> 5) & 7, (eax >> 14) & 0xfff, bytes]).toEqual([1, 1, 0, 32_768]);
      expect(of(2, 4, 1)).toEqual([0, 0, 0, 0]);
    });
    it('and of one says nothing of it', () => {
      expect([of(1, 4), of(1, 0xb), of(1, 0xb, 1)]).toEqual(Array(3).fill([0, 0, 0, 0]));
      const [, ebx, , edx] = of(1, 1);
      expect([(ebx! >> 16) & 0xff, (edx! >> 28) & 1]).toEqual([1, 0]);
    });
  });
  it('gives the widths of addresses', () => {
    expect(identity().leaf(0x8000_0008, STATE)[0]).toBe(0x2024);
  });
});
