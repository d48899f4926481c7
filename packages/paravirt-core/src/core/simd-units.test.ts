/** When MMX and SSE instructions may run at all: CR0, CR4, pending x87 exceptions, MXCSR (SDM vol. 3, 2.5, 12.1, 13.1). */
import { beforeAll, describe, expect, it } from 'vitest';
import { DS, EDI, EXCEPTION } from '../isa/build.ts';
import { encode } from '../isa/encode.ts';
import { FormTable } from '../isa/forms.ts';
import { families } from '../isa/index.ts';
import type { Form } from '../isa/model.ts';
import { ensureNumerics } from '../numerics/build.ts';
import { createLeaves } from '../numerics/leaves.ts';
import { CR0, CR4, type CpuBus } from './cpu.ts';
import { OFFSET } from './layout.ts';
import { PhysicalMap } from './physical.ts';
import { allocateMemory, planMemory } from './plan.ts';
import { Processor, type ProcessorOptions } from './processor.ts';

const { UD, NM, MF, XM, GP } = EXCEPTION;
const CODE = 0x1000;
const DATA = 0x2000;
const FLAT_CODE = 0xc09b;
const FLAT_DATA = 0xc093;
const EVERYTHING = CR4.OSFXSR | CR4.OSXMMEXCPT;
/** An x87 exception that is not masked waits. */
const PENDING = 0x8081;

const NO_BUS: CpuBus = {
  portRead: () => 0,
  portWrite: () => {},
  memoryRead: () => 0,
  memoryWrite: () => {},
  acknowledgeInterrupt: () => 0,
  timestamp: () => 0,
  readDeadline: () => 0n,
  writeDeadline: () => {},
  apicBase: () => {},
};

interface Start {
  readonly cr0?: number;
  readonly cr4?: number;
  readonly status?: number;
  readonly mxcsr?: number;
}

let processor: Processor;
let ram: Uint8Array;

beforeAll(async () => {
  await ensureNumerics();
  const plan = planMemory({ processors: 1, ramBytes: 1 << 20, videoMemoryBytes: 0 });
  const memory = allocateMemory(plan);
  const physical = new PhysicalMap();
  physical.map(0, plan.ram, plan.ramBytes, true);
  const leaves = createLeaves(memory) as unknown as ProcessorOptions['leaves'];
  processor = new Processor({ memory, plan, index: 0, physical, bus: NO_BUS, leaves });
  ram = new Uint8Array(memory.buffer, plan.ram, plan.ramBytes);
});

/** Executes one instruction with its operand at [EDI], and gives the first exception, or undefined. */
function faultOf(
  code: readonly number[],
  { cr0 = CR0.NE, cr4 = EVERYTHING, status = 0, mxcsr = 0x1f80 }: Start = {},
): number | undefined {
  const { cpu } = processor;
  cpu.reset();
  for (const i of [0, 2, 3, 4, 5]) cpu.setSegment(i, 0x10, 0, 0xffffffff, FLAT_DATA);
  cpu.setSegment(1, 8, 0, 0xffffffff, FLAT_CODE);
  cpu.set('cr0', CR0.PE | CR0.ET | cr0);
  cpu.set('cr4', cr4);
  cpu.set('fpuStatus', status);
  cpu.set('mxcsr', mxcsr);
  cpu.set('idtLimit', 0);
  cpu.refreshMode();
  cpu.onModeChange();
  cpu.setRegister(7, DATA);
  ram.fill(0, DATA, DATA + 64);
  ram.fill(0x90, CODE, CODE + 16);
  ram.set(code, CODE);
  cpu.set('eip', CODE);
  processor.delivered.fill(0);
  processor.step();
  // Without an IDT nothing can be delivered: #GP and a double fault follow.
  const seen = [...processor.delivered.entries()].filter(([, n]) => n > 0).map(([vector]) => vector);
  return seen.find((vector) => vector !== GP && vector !== EXCEPTION.DF) ?? seen[0];
}

const PADDB_MM = [0x0f, 0xfc, 0xc1];
const EMMS = [0x0f, 0x77];
const PSHUFW_MM = [0x0f, 0x70, 0xc1, 0x1b];
const MOVAPS = [0x0f, 0x28, 0xc1];
const PADDB_XMM = [0x66, 0x0f, 0xfc, 0xc1];
const ADDPS = [0x0f, 0x58, 0xc1];
const MOVDQ2Q = [0xf2, 0x0f, 0xd6, 0xc1];
const CVTPI2PS_MM = [0x0f, 0x2a, 0xc1];
const CVTPI2PS_MEMORY = [0x0f, 0x2a, 0x07];
const MOVNTI = [0x0f, 0xc3, 0x07];
const LDMXCSR = [0x0f, 0xae, 0x17];
const SFENCE = [0x0f, 0xae, 0xf8];
/** 0 / 0. */
const DIVSS = [0xf3, 0x0f, 0x5e, 0xc1];

const MMX = { PADDB_MM, EMMS, PSHUFW_MM };
const SSE = { MOVAPS, PADDB_XMM, ADDPS, CVTPI2PS_MEMORY, LDMXCSR };
const BOTH = { MOVDQ2Q, CVTPI2PS_MM };
const NEITHER = { MOVNTI, SFENCE };
const named = (group: Readonly<Record<string, readonly number[]>>): (readonly [string, readonly number[]])[] =>
  Object.entries(group);

describe('MMX and SSE', () => {
  it.each(named({ ...MMX, ...SSE, ...BOTH, ...NEITHER }))('%s runs where all is open', (_, code) => {
    expect(faultOf(code)).toBeUndefined();
  });

  it.each(named({ ...MMX, ...SSE, ...BOTH }))('%s is undefined with CR0.EM, and unavailable with CR0.TS', (_, code) => {
    expect(faultOf(code, { cr0: CR0.EM })).toBe(UD);
    expect(faultOf(code, { cr0: CR0.EM | CR0.TS })).toBe(UD);
    expect(faultOf(code, { cr0: CR0.TS })).toBe(NM);
  });

  it.each(named({ ...SSE, ...BOTH }))('%s needs CR4.OSFXSR', (_, code) => {
    expect(faultOf(code, { cr4: 0 })).toBe(UD);
    expect(faultOf(code, { cr4: 0, cr0: CR0.TS })).toBe(UD);
  });
  it.each(named({ ...MMX, ...NEITHER }))('%s does not', (_, code) => {
    expect(faultOf(code, { cr4: 0 })).toBeUndefined();
  });

  it.each(named({ ...MMX, ...BOTH }))('%s reports a waiting x87 exception', (_, code) => {
    expect(faultOf(code, { cr0: CR0.NE, status: PENDING })).toBe(MF);
  });
  it.each(named({ ...SSE, ...NEITHER }))('%s does not', (_, code) => {
    expect(faultOf(code, { cr0: CR0.NE, status: PENDING })).toBeUndefined();
  });

  it.each(named(NEITHER))('%s asks nobody', (_, code) => {
    expect(faultOf(code, { cr0: CR0.EM | CR0.TS, cr4: 0 })).toBeUndefined();
  });
});

/**
 * The unit of an instruction by what its operands are, not by what the table says of it (SDM vol. 3, 2.5, 12.1, 13.1 and 24.25.3; vol. 2, the
 * instructions' lists of exceptions).
 */
type Unit = 'x87' | 'x87-control' | 'wait' | 'fxsr' | 'mmx' | 'sse' | 'both' | 'none';
function unitOf({ memory, row: { family, mnemonic, operands } }: Form): Unit {
  if (mnemonic === 'fwait') return 'wait';
  if (/^fx(save|rstor)$/.test(mnemonic)) return 'fxsr';
  if (family.startsWith('x87'))
    return /^fn(init|clex|stcw|stsw|stenv|save)$|^f(neni|ndisi|nsetpm)$/.test(mnemonic) ? 'x87-control' : 'x87';
  if (/^(ldmxcsr|stmxcsr)$/.test(mnemonic)) return 'sse';
  if (mnemonic === 'emms') return 'mmx';
  const isMmx = operands.some(({ kind }) => kind === 'mm' || kind === 'mmreg' || (kind === 'mmrm' && !memory)),
    isXmm = operands.some(({ kind }) => kind.startsWith('xmm'));
  if (isXmm) return isMmx ? 'both' : 'sse';
  return operands.some(({ kind }) => kind.startsWith('mm')) ? 'mmx' : 'none';
}
interface Conditions {
  readonly em: boolean;
  readonly ts: boolean;
  readonly mp: boolean;
  readonly osfxsr: boolean;
  readonly waiting: boolean;
  readonly lock: boolean;
}
/** The first exception, by priority: what the decoder refuses, what CR0 and CR4 close, what waits (SDM vol. 3, table 6-2). */
function expected(unit: Unit, { em, ts, mp, osfxsr, waiting, lock }: Conditions): number | undefined {
  if (lock) return UD;
  if (unit === 'none') return undefined;
  if (unit === 'wait') return ts && mp ? NM : waiting ? MF : undefined;
  if (unit === 'fxsr') return em || ts ? NM : undefined;
  if (unit.startsWith('x87')) return em || ts ? NM : waiting && unit === 'x87' ? MF : undefined;
  if (em || (unit !== 'mmx' && !osfxsr)) return UD;
  if (ts) return NM;
  return waiting && unit !== 'sse' ? MF : undefined;
}
const FAMILIES = new Set(
  families
    .flat()
    .filter(({ unit }) => unit !== undefined)
    .map(({ family }) => family),
);
const OTHERS = /^(popcnt|crc32|prefetch\w*|movnti|[lms]fence|clflush|monitor|pause)$/;

describe('in every state of CR0 and CR4, with what waits and with LOCK', () => {
  const forms = new FormTable(families.flat()).forms.filter(
    ({ row, size }) => (row.unit !== undefined || FAMILIES.has(row.family) || OTHERS.test(row.mnemonic)) && size === 32,
  );
  const memory = { segment: DS, base: EDI, index: -1, scale: 0, displacement: 0, addressSize: 32 } as const;
  const states = Array.from({ length: 64 }, (_, n): Conditions => {
    const bit = (at: number): boolean => (n & (1 << at)) !== 0;
    return { em: bit(0), ts: bit(1), mp: bit(2), osfxsr: bit(3), waiting: bit(4), lock: bit(5) };
  });
  const byFamily = Map.groupBy(forms, ({ row }) => row.family);

  it('every unit is met', () => {
    const units: readonly Unit[] = ['x87', 'x87-control', 'wait', 'fxsr', 'mmx', 'sse', 'both', 'none'];
    expect(new Set(forms.map(unitOf))).toEqual(new Set(units));
    expect(forms.filter(({ row }) => OTHERS.test(row.mnemonic)).length).toBeGreaterThan(12);
  });
  it.each([...byFamily.keys()])('%s', (family) => {
    const wrong: string[] = [];
    for (const form of byFamily.get(family)!)
      for (const state of states) {
        const { em, ts, mp, osfxsr, waiting, lock } = state;
        const code = encode(form, { reg: 1, rm: 2, ...(form.memory ? { memory } : {}) });
        const got = faultOf([...(lock ? [0xf0] : []), ...code], {
          cr0: CR0.NE | (em ? CR0.EM : 0) | (ts ? CR0.TS : 0) | (mp ? CR0.MP : 0),
          cr4: CR4.OSXMMEXCPT | (osfxsr ? CR4.OSFXSR : 0),
          ...(waiting ? { status: PENDING } : {}),
        });
        const wanted = expected(unitOf(form), state);
        if (got !== wanted)
          wrong.push(
            `${form.row.mnemonic} ${form.row.encoding}${form.memory ? ' m' : ''} ${JSON.stringify(state)}: ${got}, not ${wanted}`,
          );
      }
    expect(wrong.slice(0, 10)).toEqual([]);
  });
});

describe('MXCSR', () => {
  const UNMASKED = 0;

  it('an unmasked exception is #XM with CR4.OSXMMEXCPT and #UD without', () => {
    expect(faultOf(DIVSS, { mxcsr: UNMASKED })).toBe(XM);
    expect(faultOf(DIVSS, { mxcsr: UNMASKED, cr4: CR4.OSFXSR })).toBe(UD);
    expect(processor.cpu.get('mxcsr')).toBe(1);
  });
  it('a masked one sets its flag', () => {
    expect(faultOf(DIVSS)).toBeUndefined();
    expect(processor.cpu.get('mxcsr')).toBe(0x1f81);
  });
  it('an old flag raises nothing', () => {
    expect(faultOf(ADDPS, { mxcsr: 0x3f })).toBeUndefined();
  });
  it('reserved bits are refused', () => {
    const load = (value: number): number | undefined => {
      ram.fill(0, DATA, DATA + 64);
      const fault = faultOf([0xc7, 0x07, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24]);
      expect(fault).toBeUndefined();
      processor.cpu.set('eip', CODE + 6);
      ram.set(LDMXCSR, CODE + 6);
      processor.cpu.onModeChange();
      processor.delivered.fill(0);
      processor.step();
      return processor.delivered[GP];
    };
    expect(load(0xffff)).toBe(0);
    expect(processor.cpu.get('mxcsr')).toBe(0xffff);
    expect(load(0x10000)).toBeGreaterThan(0);
    expect(processor.cpu.get('mxcsr')).toBe(0x1f80);
  });
});

describe('the x87 state after MMX', () => {
  it('has TOP 0 and full registers, and empty ones after EMMS', () => {
    expect(faultOf(PADDB_MM)).toBeUndefined();
    const { cpu } = processor;
    expect([cpu.get('fpuTop'), cpu.get('fpuTags')]).toEqual([0, 0]);
    expect(cpu.data.getUint16(cpu.base + OFFSET.fpr + 8, true)).toBe(0xffff);

    expect(faultOf(EMMS)).toBeUndefined();
    expect(cpu.get('fpuTags')).toBe(0xff);
  });
});
