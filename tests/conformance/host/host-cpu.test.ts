/** The host CPU runs instructions whose results everybody knows; where there is none, the tests say so and are skipped. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BASE_CODE_ADDRESS, BASE_ESP, cpuCase, type CaseParts } from '../base-case.ts';
import { CODE_FILLER, EFLAGS, MEMORY, SELECTORS, TRAP, backgroundByte, type CpuResult } from '../case.ts';
import { f80Bytes } from '../operands.ts';
import { FX, fswOf, ftwOf, fxImage, mxcsrOf, normalizeFx, stOf, xmmOf } from '../fxsave.ts';
import { HostCpu } from './host-cpu.ts';

const host = HostCpu.available();
const DATA = MEMORY.data.address;

let cpu: HostCpu;

beforeAll(async () => {
  if (host.ok) cpu = await HostCpu.start();
});
afterAll(() => (host.ok ? cpu.close() : undefined));
beforeEach((context) => context.skip(!host.ok, `no host CPU: ${host.why ?? ''}`));

async function run(parts: CaseParts): Promise<CpuResult> {
  const [result] = await cpu.run([cpuCase(parts)]);
  if (result === undefined) throw new Error('no result');
  return result;
}

const u32le = (value: number): number[] => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
const bytesAt = (address: number, ...bytes: number[]) => ({ address, bytes: Uint8Array.from(bytes) });

describe('integer instructions on the host CPU', () => {
  it('runs into the filler after one instruction and changes only what that instruction changes', async () => {
    const result = await run({ code: [0x01, 0xd8], registers: { eax: 0xffffffff, ebx: 1, edi: 7 } }); // add eax, ebx

    expect(result).toEqual({
      trap: TRAP.BP,
      errorCode: 0,
      cr2: 0,
      eip: BASE_CODE_ADDRESS + 2,
      eflags: EFLAGS.CF | EFLAGS.ZF | EFLAGS.PF | EFLAGS.AF,
      registers: { eax: 0, ecx: 0, edx: 0, ebx: 1, esp: BASE_ESP, ebp: 0, esi: 0, edi: 7 },
      segments: SELECTORS,
      fx: normalizeFx(fxImage()),
      memory: [],
    });
  });

  it('takes the carry in for adc', async () => {
    const code = [0x83, 0xd0, 0x00]; // adc eax, 0

    const without = await run({ code, registers: { eax: 0x7fffffff } });
    const withCarry = await run({ code, registers: { eax: 0x7fffffff }, eflags: EFLAGS.CF });

    expect([without.registers.eax, without.eflags]).toEqual([0x7fffffff, EFLAGS.PF]);
    expect([withCarry.registers.eax, withCarry.eflags]).toEqual([
      0x80000000,
      EFLAGS.OF | EFLAGS.SF | EFLAGS.AF | EFLAGS.PF,
    ]);
  });

  it('carries all settable flags and registers through unchanged', async () => {
    const eflags = EFLAGS.CF | EFLAGS.SF | EFLAGS.DF | EFLAGS.OF | EFLAGS.NT | EFLAGS.AC | EFLAGS.ID;
    const registers = { eax: 1, ecx: 2, edx: 3, ebx: 4, esp: 5, ebp: 6, esi: 7, edi: 0xfffffff8 };

    const result = await run({ code: [0x90], eflags, registers });

    expect([result.eflags, result.registers]).toEqual([eflags, registers]);
  });

  it('raises #DE with the state before the division', async () => {
    const result = await run({ code: [0xf7, 0xf1], registers: { eax: 5, edx: 6 } }); // div ecx

    expect(result).toMatchObject({ trap: TRAP.DE, errorCode: 0, eip: BASE_CODE_ADDRESS });
    expect(result.registers).toMatchObject({ eax: 5, edx: 6 });
  });

  it('reports a write to the read-only page as #PF 7 with its address', async () => {
    const address = MEMORY.readOnly.address + 0x123;

    const write = await run({ code: [0xa3, ...u32le(address)] }); // mov [address], eax
    const read = await run({ code: [0xa0, ...u32le(address)] }); // mov al, [address]

    expect(write).toMatchObject({ trap: TRAP.PF, errorCode: 7, cr2: address, eip: BASE_CODE_ADDRESS, memory: [] });
    expect(read.registers.eax).toBe(backgroundByte(address));
  });

  it('has nothing at the top of the address space, where Linux begins a stack at random', async () => {
    const code = [0x8a, 0x00]; // mov al, [eax]
    const pages = Array.from({ length: 4096 }, (_, i) => (0xff000000 + i * 4096) >>> 0);

    const results = await cpu.run(pages.map((eax) => cpuCase({ code, registers: { eax } })));

    expect(pages.filter((_, i) => results[i]!.trap !== TRAP.PF)).toEqual([]);
  });

  it('reports a write that crosses into the unmapped page as #PF 6 and leaves the first part unwritten', async () => {
    const result = await run({ code: [0xa3, ...u32le(DATA + 0xffe)] });

    expect(result).toMatchObject({ trap: TRAP.PF, errorCode: 6, cr2: DATA + 0x1000, memory: [] });
  });

  it('raises #UD for ud2, #GP for hlt and #BR for bound', async () => {
    const undefinedOpcode = await run({ code: [0x0f, 0x0b] });
    const privileged = await run({ code: [0xf4] });
    const outOfBounds = await run({
      code: [0x62, 0x05, ...u32le(DATA)],
      memory: [bytesAt(DATA, 1, 0, 0, 0, 2, 0, 0, 0)],
    });

    expect([undefinedOpcode.trap, privileged.trap, privileged.errorCode, outOfBounds.trap]).toEqual([
      TRAP.UD,
      TRAP.GP,
      0,
      TRAP.BR,
    ]);
  });

  it('raises #AC for a misaligned access when EFLAGS.AC is set', async () => {
    const result = await run({ code: [0xa1, ...u32le(DATA + 1)], eflags: EFLAGS.AC });

    expect(result).toMatchObject({ trap: TRAP.AC, errorCode: 0, eflags: EFLAGS.AC });
  });

  it('raises #DB after the instruction that follows a popf with TF', async () => {
    const code = [0x68, ...u32le(EFLAGS.TF), 0x9d, 0x40, 0x40]; // push, popf, inc eax, inc eax

    const result = await run({ code });

    expect(result).toMatchObject({ trap: TRAP.DB, eip: BASE_CODE_ADDRESS + 7, eflags: EFLAGS.TF });
    expect(result.registers.eax).toBe(1);
  });
});

describe('control flow on the host CPU', () => {
  it.each([
    ['jmp forwards', [0xe9, ...u32le(0x100)], {}, 0, 0x105],
    ['jmp backwards', [0xeb, 0xf0], {}, 0, -14],
    ['jz taken', [0x74, 0x10], {}, EFLAGS.ZF, 0x12],
    ['jz not taken', [0x74, 0x10], {}, 0, 2],
    ['loop taken', [0xe2, 0x20], { ecx: 2 }, 0, 0x22],
    ['loop not taken', [0xe2, 0x20], { ecx: 1 }, 0, 2],
    ['jmp eax', [0xff, 0xe0], { eax: BASE_CODE_ADDRESS + 0x400 }, 0, 0x400],
  ])('%s', async (_name, code, registers, eflags, distance) => {
    const result = await run({ code, registers, eflags });

    expect(result).toMatchObject({ trap: TRAP.BP, eip: BASE_CODE_ADDRESS + distance, eflags });
  });

  it('pushes the return address for call and pops it for ret', async () => {
    const called = await run({ code: [0xe8, ...u32le(0x40)] });
    const returned = await run({ code: [0xc3], memory: [bytesAt(BASE_ESP, ...u32le(BASE_CODE_ADDRESS - 0x10))] });

    expect(called).toMatchObject({ eip: BASE_CODE_ADDRESS + 0x45, registers: { esp: BASE_ESP - 4 } });
    expect(called.memory).toEqual([bytesAt(BASE_ESP - 4, ...u32le(BASE_CODE_ADDRESS + 5))]);
    expect(returned).toMatchObject({ eip: BASE_CODE_ADDRESS - 0x10, registers: { esp: BASE_ESP + 4 } });
  });

  it('fetches an instruction across the page boundary', async () => {
    const codeAddress = MEMORY.code.address + 0xffe;

    const result = await run({ code: [0xb8, ...u32le(0x12345678)], codeAddress });

    expect(result).toMatchObject({ trap: TRAP.BP, eip: codeAddress + 5, registers: { eax: 0x12345678 } });
  });

  it('faults at the end of the code pages, before or within an instruction', async () => {
    const end = MEMORY.code.address + MEMORY.code.size;

    const after = await run({ code: [0x40], codeAddress: end - 1 });
    const within = await run({ code: [0x05, 1, 0], codeAddress: end - 3 }); // add eax, imm32, cut

    expect(after).toMatchObject({ trap: TRAP.PF, errorCode: 4, cr2: end, eip: end, registers: { eax: 1 } });
    expect(within).toMatchObject({ trap: TRAP.PF, errorCode: 4, cr2: end, eip: end - 3, registers: { eax: 0 } });
  });

  it('sees code that modifies itself', async () => {
    const target = BASE_CODE_ADDRESS + 7;

    const result = await run({ code: [0xc6, 0x05, ...u32le(target), 0x40, 0x48] }); // mov byte [target], inc eax; dec eax

    expect(result.registers.eax).toBe(1);
    expect(result.memory).toEqual([bytesAt(target, 0x40)]);
  });

  it('stops a case that loops for ever and goes on with the next', async () => {
    const cases = [cpuCase({ code: [0xeb, 0xfe] }), cpuCase({ code: [0x40] })];

    const results = await cpu.run(cases);

    expect(results.map((r) => r.trap)).toEqual([TRAP.timeout, TRAP.BP]);
  });

  it('stops a system call before it happens', async () => {
    const result = await run({ code: [0xcd, 0x80], registers: { eax: 1, ebx: 9 } }); // exit(9)

    expect(result.trap).toBe(TRAP.systemCall);
  });
});

describe('string instructions on the host CPU', () => {
  const pages = { esi: MEMORY.readOnly.address, edi: DATA };

  it('copies forwards with rep movsb', async () => {
    const result = await run({ code: [0xf3, 0xa4], registers: { ...pages, ecx: 3 }, memory: [bytesAt(DATA, 0, 0, 0)] });

    expect(result.memory).toEqual([bytesAt(DATA, ...[0, 1, 2].map((i) => backgroundByte(pages.esi + i)))]);
    expect(result.registers).toMatchObject({ ecx: 0, esi: pages.esi + 3, edi: DATA + 3 });
  });

  it('goes down with DF', async () => {
    const result = await run({ code: [0xab], registers: { edi: DATA + 8, eax: 0 }, eflags: EFLAGS.DF }); // stosd

    expect(result.memory).toEqual([bytesAt(DATA + 8, 0, 0, 0, 0)]);
    expect(result.registers.edi).toBe(DATA + 4);
  });

  it('stops rep stosb at the page end with the registers of the faulting iteration', async () => {
    const result = await run({ code: [0xf3, 0xaa], registers: { edi: DATA + 0xffd, ecx: 10, eax: 0 } });

    expect(result).toMatchObject({ trap: TRAP.PF, errorCode: 6, cr2: DATA + 0x1000, eip: BASE_CODE_ADDRESS });
    expect(result.registers).toMatchObject({ ecx: 7, edi: DATA + 0x1000 });
  });
});

describe('floating point and SIMD on the host CPU', () => {
  const one = f80Bytes(0, 0x3fff, 0x8000_0000_0000_0000n);
  const two = f80Bytes(0, 0x4000, 0x8000_0000_0000_0000n);
  const f32 = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

  it('adds on the x87 stack', async () => {
    const result = await run({ code: [0xd8, 0xc1], fx: fxImage({ st: [one, one] }) }); // fadd st, st(1)

    expect(stOf(result.fx, 0)).toEqual(two);
    expect(stOf(result.fx, 1)).toEqual(one);
  });

  it('loads 80 bits unchanged and marks the register', async () => {
    const pattern = [1, 2, 3, 4, 5, 6, 7, 0x88, 0x34, 0x92];

    const result = await run({ code: [0xdb, 0x2d, ...u32le(DATA)], memory: [bytesAt(DATA, ...pattern)] }); // fld tbyte

    expect([...stOf(result.fx, 0)]).toEqual(pattern);
    expect([ftwOf(result.fx), fswOf(result.fx)]).toEqual([0x80, 7 << 11]);
  });

  it('raises #MF at the next waiting instruction after an unmasked division by zero', async () => {
    const fx = fxImage({ st: [one, new Uint8Array(10)], fcw: 0x037b });

    const result = await run({ code: [0xd8, 0xf1, 0x90, 0x9b], fx }); // fdiv st, st(1); nop; fwait

    expect(result).toMatchObject({ trap: TRAP.MF, eip: BASE_CODE_ADDRESS + 3 });
    expect(fswOf(result.fx) & 0x80ff).toBe(0x8084);
  });

  it('adds packed singles', async () => {
    const fx = fxImage({ xmm: [f32(1, 2, 3, 4), f32(10, 20, 30, 0.1)] });

    const result = await run({ code: [0x0f, 0x58, 0xc1], fx }); // addps xmm0, xmm1

    expect(xmmOf(result.fx, 0)).toEqual(f32(11, 22, 33, Math.fround(4 + Math.fround(0.1))));
    expect(mxcsrOf(result.fx)).toBe(0x1fa0);
  });

  it('raises #XM for an unmasked SIMD division by zero and leaves the destination', async () => {
    const fx = fxImage({ xmm: [f32(1, 1, 1, 1), f32(1, 0, 1, 1)], mxcsr: 0x1d80 });

    const result = await run({ code: [0x0f, 0x5e, 0xc1], fx }); // divps xmm0, xmm1

    expect(result).toMatchObject({ trap: TRAP.XM, eip: BASE_CODE_ADDRESS });
    expect(xmmOf(result.fx, 0)).toEqual(f32(1, 1, 1, 1));
    expect(mxcsrOf(result.fx)).toBe(0x1d84);
  });

  it('sees MMX registers as the x87 registers they are', async () => {
    const fx = fxImage({ mm: [Uint8Array.of(255, 1, 2, 3, 4, 5, 6, 7), new Uint8Array(8).fill(1)] });

    const result = await run({ code: [0x0f, 0xfc, 0xc1], fx }); // paddb mm0, mm1

    expect([...stOf(result.fx, 0)]).toEqual([0, 2, 3, 4, 5, 6, 7, 8, 255, 255]);
    expect(ftwOf(result.fx)).toBe(0xff);
  });

  it('keeps a whole FXSAVE image through a case that does not touch it', async () => {
    const fx = fxImage({ fcw: 0x0c7f, fsw: 0x4700, top: 3, st: [one, two], mxcsr: 0xffbf, xmm: [f32(1, 2, 3, 4)] });
    fx.fill(0x5a, FX.xmm + 16, FX.xmm + 128);

    const result = await run({ code: [0x90], fx });

    expect(result.fx).toEqual(normalizeFx(fx));
  });
});

describe('the host CPU as an oracle', () => {
  it('gives the same results when the same cases run again among others', async () => {
    const cases = Array.from({ length: 3000 }, (_, i) =>
      cpuCase({
        code: [[0x01, 0xd8], [0xf7, 0xf3], [0xd9, 0xe8], [0x89, 0x0f], [0xeb, i & 0x7f], [CODE_FILLER]][
          i % 6
        ] as number[],
        registers: { eax: Math.imul(i, 0x9e3779b1) >>> 0, ebx: i % 5, edi: DATA + (i % 4096), ecx: i },
      }),
    );

    const first = await cpu.run(cases);
    const second = await cpu.run([...cases].reverse());

    expect(second.reverse()).toEqual(first);
  });

  it('refuses cases that break its rules, by index, and goes on', async () => {
    const good = cpuCase({ code: [0x90] });

    await expect(cpu.run([good, { ...good, eflags: EFLAGS.TF }])).rejects.toThrow('case 1: eflags');
    await expect(cpu.run([{ ...good, codeAddress: DATA }])).rejects.toThrow('case 0: 1 code bytes at 0x10000000');
    await expect(cpu.run([{ ...good, fx: fxImage({ mxcsr: 0x10000 }) }])).rejects.toThrow('MXCSR');
    await expect(cpu.run([{ ...good, memory: [bytesAt(DATA + 0xfff, 1, 2)] }])).rejects.toThrow(
      '2 bytes at 0x10000fff',
    );
    expect(await cpu.run([good])).toHaveLength(1);
  });

  it('survives a case that jumps into the harness', async () => {
    const [stray, next] = await cpu.run([
      cpuCase({ code: [0xff, 0xe0], registers: { eax: 0x08048000 } }),
      cpuCase({ code: [0x40] }),
    ]);

    expect(stray?.trap).not.toBe(TRAP.BP);
    expect(next?.registers.eax).toBe(1);
  });
});
