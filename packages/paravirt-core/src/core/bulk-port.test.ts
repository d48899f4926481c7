/** INS and OUTS with a repeat prefix on a port that takes many accesses in a row: the same as one by one. */
import { beforeEach, describe, expect, it } from 'vitest';
import { DS, ECX, EDI, EDX, ES, ESI } from '../isa/build.ts';
import type { CpuBus } from './cpu.ts';
import { TestProcessor } from './test-processor.ts';

const REP_INSB = [0xf3, 0x6c],
  REP_INSW = [0x66, 0xf3, 0x6d],
  REP_OUTSW = [0x66, 0xf3, 0x6f],
  REP_INSW_16 = [0x67, 0x66, 0xf3, 0x6d],
  STD = 0xfd;
const PORT = 0x1f0;

let t: TestProcessor;
/** What came through the port, in pieces; 0 pieces of single accesses stand for one word each. */
let pieces: number[];
/** Most bytes that the port takes at once. */
let most: number;
let next: number;
let taken: number[];
beforeEach(() => {
  t = new TestProcessor();
  pieces = [];
  taken = [];
  most = 512;
  next = 0;
  const bus: Partial<CpuBus> = {
    portRead: (_port, width) => {
      pieces.push(width);
      let value = 0;
      for (let i = 0; i < width; i++) value |= (next++ & 0xff) << (8 * i);
      return value >>> 0;
    },
    portWrite: (_port, width, value) => {
      pieces.push(width);
      for (let i = 0; i < width; i++) taken.push((value >>> (8 * i)) & 0xff);
    },
    portReadBlock: (port, width, into) => {
      if (port !== PORT) return 0;
      const bytes = Math.min(most, into.length) - (Math.min(most, into.length) % width);
      if (bytes > 0) pieces.push(bytes);
      for (let i = 0; i < bytes; i++) into[i] = next++;
      return bytes;
    },
    portWriteBlock: (port, width, from) => {
      if (port !== PORT) return 0;
      const bytes = Math.min(most, from.length) - (Math.min(most, from.length) % width);
      if (bytes > 0) pieces.push(bytes);
      taken.push(...from.subarray(0, bytes));
      return bytes;
    },
  };
  Object.assign(t.bus, bus);
});
const start = (count: number, at: number, port = PORT): void => {
  t.cpu.setRegister(ECX, count);
  t.cpu.setRegister(EDI, at);
  t.cpu.setRegister(ESI, at);
  t.cpu.setRegister(EDX, port);
};
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('REP INS', () => {
  it.each([1, 7, 9, 256, 300, 2500])('brings %i words, over pages, as many at once as the port has', (count) => {
    start(count, 0x5f02);
    t.execute(...REP_INSW);
    expect([t.register(ECX), t.register(EDI), sum(pieces)]).toEqual([0, 0x5f02 + 2 * count, 2 * count]);
    const bytes = t.ram.slice(0x5f02, 0x5f02 + 2 * count);
    expect(bytes.every((byte, i) => byte === (i & 0xff))).toBe(true);
    if (count === 256) expect(pieces.length).toBeLessThan(8);
  });
  it('asks a port that takes single accesses only for those', () => {
    start(100, 0x5000, 0x1f1);
    t.execute(...REP_INSB);
    expect(pieces).toEqual(new Array(100).fill(1));
  });
  it('goes element by element where it goes downward, and where the port has nothing at once', () => {
    start(100, 0x5100);
    t.execute(STD, ...REP_INSB);
    expect([pieces.length, t.ram[0x5100], t.ram[0x5100 - 99]]).toEqual([100, 0, 99]);
    most = 0;
    pieces = [];
    t.execute(0xfc, ...REP_INSB);
    start(20, 0x5100);
    t.execute(...REP_INSB);
    expect(pieces).toEqual(new Array(20).fill(1));
  });
  it('wraps 16-bit addresses and leaves the upper halves alone', () => {
    t.cpu.setRegister(ECX, 0xabcd_0010);
    t.cpu.setRegister(EDI, 0x1234_fff8);
    t.cpu.setRegister(EDX, PORT);
    t.cpu.setSegment(ES, 0x10, 0x1_0000, 0xffff, 0x93);
    t.execute(...REP_INSW_16);
    expect([t.register(ECX), t.register(EDI)]).toEqual([0xabcd_0000, 0x1234_0018]);
    expect([t.ram[0x1_fff8], t.ram[0x1_ffff], t.ram[0x1_0000], t.ram[0x1_0017]]).toEqual([0, 7, 8, 31]);
  });
  it('stops at the limit of ES with the registers behind what was moved', () => {
    t.cpu.setSegment(ES, 0x10, 0x6000, 0x9f, 0x93);
    start(0x100, 0);
    const { exception } = t.execute(...REP_INSW);
    expect([exception?.vector, t.register(ECX), t.register(EDI)]).toEqual([13, 0x100 - 0x50, 0xa0]);
    expect(t.ram[0x60a0]).toBe(0);
  });
});

describe('REP OUTS', () => {
  it.each([1, 9, 256, 1000])('gives %i words from the segment of a prefix', (count) => {
    for (let i = 0; i < 2 * count; i++) t.ram[0x7002 + i] = i * 3;
    t.cpu.setSegment(DS, 0x10, 0x7000, 0xffff, 0x93);
    start(count, 2);
    t.execute(...REP_OUTSW);
    expect([t.register(ECX), t.register(ESI)]).toEqual([0, 2 + 2 * count]);
    expect(taken).toEqual(Array.from({ length: 2 * count }, (_, i) => (i * 3) & 0xff));
  });
});
