/** Application processors that start in a state which their guest has given: right ones, and any others. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureNumerics } from '../numerics/build.ts';
import { readApState } from '../vmi/ap-state.ts';
import { CALL, HYPERCALL_BASE } from '../vmi/interface.ts';
import { InstructionClock } from './clocks.ts';
import { Machine } from './machine.ts';
import { saveProcessor } from './processor-state.ts';
import { EAX, EBX, ECX, EDX, HLT, VMCALL, exit, finish, kernelOf, mov, u32 } from './test-kernel.ts';
import { enterState } from './vmi-start.ts';

/** Tables of the second processor, the root of its address space (4 MiB as they lie), code, and where it says that it runs. */
const GDT = 0x2000,
  ROOT = 0x3000,
  START = 0x8000,
  SAYS = 0x9000,
  STACK = 0xa000;
const CODE = 0x08,
  DATA = 0x10,
  OTHER = 0x18,
  LDT = 0x20;
/** MOV BYTE [SAYS],BL; CLI; HLT */
const SECOND = [0x88, 0x1d, ...u32(SAYS), 0xfa, HLT];
/** Words in the order of VMI. `Partial`: what is other than usual. */
function words(other: Readonly<Record<number, number>> = {}): number[] {
  const usual = [
    ...[0x8001_0033, 0, ROOT, 0x10, 0, 0],
    ...[START, 0],
    ...[0x1111_1111, 0x2222_2207, 0x3333_3333, 0x4444_4444, STACK, 0x6666_6666, 0x7777_7777, 0x8888_8888],
    // CS and SS, DS and ES, FS and GS, LDTR and the limit of the GDT.
    ...[CODE | (DATA << 16), DATA | (DATA << 16), OTHER | (0 << 16), LDT | (0x27 << 16)],
    ...[GDT, 0x1234_5678, 0x7ff],
  ];
  return usual.map((word, index) => other[index] ?? word);
}

function guest(code: readonly number[], said: string[] = [], processors = 2): Machine {
  const config = {
    ...{ ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: 0, commandLine: '', processors },
    ...{ vmi: 'measured' as const, kernel: kernelOf(code) },
  };
  const machine = new Machine(
    config,
    { serial: [], disks: [], trouble: (_device, what) => void said.push(what) },
    new InstructionClock(),
  );
  machine.powerOn();
  const { ram } = machine.board;
  const put = (at: number, bytes: readonly number[]): void => ram.write(at, Uint8Array.from(bytes));
  put(START, SECOND);
  put(ROOT, u32(0x83));
  // Flat code and data, data from 9000h of 16 bytes, a local table.
  const segments = [0x00cf_9a00_0000_ffffn, 0x00cf_9200_0000_ffffn, 0x0040_9200_9000_000fn, 0x0000_8200_2000_0007n];
  const bytes = segments.flatMap((d) => [...u32(Number(d & 0xffff_ffffn)), ...u32(Number(d >> 32n))]);
  put(GDT + 8, bytes);
  return machine;
}
const hyper = (number: number, first = 0, second = 0, third = 0): number[] => [
  ...[...mov(EBX, first), ...mov(EDX, second), ...mov(ECX, third), ...mov(EAX, HYPERCALL_BASE + number)],
  ...VMCALL,
];
const INIT_VMI = hyper(0xff, 0xc_8000);
const give = (given: readonly number[], to = 1): number[] =>
  given.flatMap((word, index) => hyper(CALL.SetInitialAPState, index, to, word));
/** By APICWrite: the high half of the interrupt command register, then the low one. */
const send = (command: number): number[] => [
  ...hyper(CALL.APICWrite, 0x310, 1 << 24),
  ...hyper(CALL.APICWrite, 0x300, command),
];
const INIT = send(0x4500),
  START_UP = send(0x4600 | (START >> 12));
/** CMP BYTE [SAYS],value; JE over; PAUSE; JMP back */
const awaits = (value: number): number[] => [0x80, 0x3d, ...u32(SAYS), value, 0x74, 4, 0xf3, 0x90, 0xeb, 0xf3];
/** So many times PAUSE: MOV ECX,n; PAUSE; LOOP */
const pauses = (n: number): number[] => [...mov(ECX, n), 0xf3, 0x90, 0xe2, 0xfc];
const said = (machine: Machine): number => machine.board.ram.read8(SAYS);

beforeAll(() => ensureNumerics());

describe('a processor that is started under VMI', () => {
  it('has the registers that it was given, and hidden parts from its own table', () => {
    const troubles: string[] = [],
      machine = guest([...INIT_VMI, ...give(words()), ...INIT, ...START_UP, ...awaits(7), ...exit], troubles);
    expect(finish(machine)).toBe('exit');
    expect(troubles).toEqual([]);
    const { cpu } = machine.processors[1]!;
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((each) => cpu.getRegister(each))).toEqual([
      ...[0x1111_1111, 0x3333_3333, 0x4444_4444, 0x2222_2207, STACK, 0x6666_6666, 0x7777_7777, 0x8888_8888],
    ]);
    expect([0, 1, 2, 3, 4, 5, 6].map((each) => cpu.segment(each, 'selector'))).toEqual([
      ...[DATA, CODE, DATA, DATA, OTHER, 0, LDT],
    ]);
    expect([cpu.segment(4, 'base'), cpu.segment(4, 'limit')]).toEqual([0x9000, 0xf]);
    expect([cpu.segment(6, 'base'), cpu.segment(6, 'limit')]).toEqual([0x2000, 7]);
    expect([cpu.get('cr3'), cpu.get('cr4'), cpu.get('cpl')]).toEqual([ROOT, 0x10, 0]);
    expect([cpu.get('gdtBase'), cpu.get('gdtLimit')]).toEqual([GDT, 0x27]);
    expect([cpu.get('idtBase'), cpu.get('idtLimit')]).toEqual([0x1234_5678, 0x7ff]);
    // As the processor would have loaded them: they are accessed.
    expect(machine.board.ram.read8(GDT + CODE + 5)).toBe(0x9b);
  });
  it('starts as it does by itself while VMI is not used, in real-address mode', () => {
    // The same bytes there are MOV [9000h],BL with an address of 16 bits, and what is left of the 32 is ADD [BX+SI],AL.
    const machine = guest([...give(words()), ...INIT, ...START_UP, ...pauses(2000), ...exit]);
    expect(finish(machine)).toBe('exit');
    expect(machine.processors[1]!.cpu.segment(1, 'selector')).toBe(START >> 4);
    expect(machine.processors[1]!.instructions).toBeGreaterThan(0);
  });
  it('does not start without a state, or in one that it cannot have, and does so in a right one afterwards', () => {
    const troubles: string[] = [],
      bad = [...give(words({ 20: 0x7000_0000 })), ...INIT, ...START_UP, ...pauses(500)];
    const machine = guest(
      [...INIT_VMI, ...INIT, ...START_UP, ...pauses(500), ...bad, ...give(words()), ...START_UP, ...awaits(7), ...exit],
      troubles,
    );
    expect(finish(machine)).toBe('exit');
    expect(troubles).toEqual([
      'starts processor 1, and has given it no state to start in',
      expect.stringMatching(/^starts processor 1 in a state that it cannot have: LDTR 20h, by the table at 70000000h/),
    ]);
  });
  it('is stopped by INIT, and starts again in the same state', () => {
    const again = [...INIT, ...pauses(500), 0xc6, 0x05, ...u32(SAYS), 0, ...START_UP, ...awaits(7)];
    const machine = guest([...INIT_VMI, ...give(words()), ...INIT, ...START_UP, ...awaits(7), ...again, ...exit]);
    expect(finish(machine)).toBe('exit');
  });
  it('is as it was by a reset of the machine', () => {
    const machine = guest([...INIT_VMI, ...give(words()), ...exit]);
    expect(finish(machine)).toBe('exit');
    const active = (): unknown => (machine.board.save().devices['vmi']!.state as { active: boolean }).active;
    expect(active()).toBe(true);
    machine.powerOn();
    expect(active()).toBe(false);
  });
  it('starts in another machine that goes on from a state in between', () => {
    const code = [...INIT_VMI, ...give(words()), ...INIT, ...pauses(3000), ...START_UP, ...awaits(7), ...exit];
    const first = guest(code);
    first.runSlice(2000);
    expect(said(first)).toBe(0);
    const second = guest(code);
    first.memoryAreas().forEach(({ bytes }, i) => second.memoryAreas()[i]!.bytes.set(bytes));
    second.restore(structuredClone(first.save()));
    for (const each of [first, second]) expect(finish(each)).toBe('exit');
    expect(second.save()).toEqual(first.save());
    expect(said(second)).toBe(7);
  });
});

describe('any state at all', () => {
  it('either starts the processor in it, or leaves it as after INIT', { timeout: 60_000 }, () => {
    const machine = guest(exit),
      processor = machine.processors[1]!;
    const word = fc.oneof(
      fc.nat({ max: 0xffff_ffff }),
      fc.constantFrom(
        0,
        1,
        0x10,
        0x20,
        0x30,
        0x8001_0033,
        0xe000_0001,
        0x800,
        0x2_0000,
        ROOT,
        GDT,
        0xfee0_0000,
        0xffff_fffc,
      ),
      fc.tuple(fc.nat({ max: 0x2f }), fc.nat({ max: 0x2f })).map(([low, high]) => low | (high << 16)),
    );
    const changes = fc.array(fc.tuple(fc.nat({ max: 22 }), word), { maxLength: 4 });
    let started = 0,
      refused = 0;
    fc.assert(
      fc.property(changes, (given) => {
        const state = readApState(words(Object.fromEntries(given)));
        processor.init();
        const before = saveProcessor(processor);
        const why = enterState(processor, state);
        const saved = saveProcessor(processor);
        if (why === undefined) {
          started++;
          expect(saved.gpr).toEqual(state.registers);
          expect([saved.eip, saved.cr3, saved.cr4, saved.cr2]).toEqual([state.eip, state.cr3, state.cr4, state.cr2]);
          expect(saved.eflags & 2).toBe(2);
          expect(saved.cpl).toBe(0);
          // Whatever it executes there is the guest's affair.
          processor.run(200);
        } else {
          refused++;
          expect(why).not.toBe('');
          expect(saved).toEqual(before);
        }
      }),
      { seed: 17, numRuns: 3000 },
    );
    expect(Math.min(started, refused)).toBeGreaterThan(300);
  });
  it('is heard by the device, whatever is called in which order', { timeout: 60_000 }, () => {
    const step = fc.oneof(
      fc
        .tuple(fc.nat({ max: 24 }), fc.nat({ max: 3 }), fc.nat({ max: 0xffff_ffff }))
        .map((a) => hyper(CALL.SetInitialAPState, ...a)),
      fc.constantFrom(
        INIT,
        START_UP,
        INIT_VMI,
        give(words()),
        give(words({ 0: 1 })),
        give(words({ 6: 0x10_0000 })),
        give(words(), 0),
      ),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const machine = guest([...steps.flat(), ...pauses(50), ...exit]);
        for (let n = 0; n < 200 && machine.runSlice().kind !== 'stopped'; n++);
        const saved = machine.save();
        machine.restore(structuredClone(saved));
        expect(machine.save()).toEqual(saved);
      }),
      { seed: 23, numRuns: 40 },
    );
  });
});
