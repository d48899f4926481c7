/** IA32_TSC_DEADLINE in whole machines: a guest sleeps until a value of its own counter, each processor by itself, saved or not. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { CpuidMask } from '../core/cpuid.ts';
import { ensureNumerics } from '../numerics/build.ts';
import { HostClock, InstructionClock, type MachineClock } from './clocks.ts';
import { Machine } from './machine.ts';
import { EAX, EBX, ECX, EDX, ESI, HLT, exit, finish, kernelOf, mov, register, u32 } from './test-kernel.ts';

const APIC = 0xfee0_0000,
  SVR = APIC + 0xf0,
  EOI = APIC + 0xb0,
  ICR_LOW = APIC + 0x300,
  ICR_HIGH = APIC + 0x310,
  LVT_TIMER = APIC + 0x320,
  LVT_LINT0 = APIC + 0x350;
const DEADLINE = 0x4_0000,
  VECTOR = 0x40;
const TSC = 0x10,
  TSC_DEADLINE = 0x6e0;
const IDT = 0x9000,
  IDT_POINTER = 0x8ff0,
  HANDLER = 0x9800,
  /** Low halves of the counter, as the handler finds it: one after the other. */
  TIMES = 0xa000,
  SECOND = 0xb000,
  STARTED = 0xc000,
  STACK = 0xe000;
const CLI = 0xfa,
  STI = 0xfb,
  RDTSC = [0x0f, 0x31],
  RDMSR = [0x0f, 0x32],
  WRMSR = [0x0f, 0x30],
  CPUID = [0x0f, 0xa2];
/** MOV DWORD [address],value */
const store = (address: number, value: number): number[] => [0xc7, 0x05, ...u32(address), ...u32(value)];
/** The 8259 pair, whose vectors nobody has set, is masked at LINT0. */
const enable = [...store(SVR, 0x1ff), ...store(LVT_LINT0, 0x1_0000), ...store(LVT_TIMER, DEADLINE | VECTOR)];
/** LIDT [IDT_POINTER] */
const loadIdt = [0x0f, 0x01, 0x1d, ...u32(IDT_POINTER)];
/** RDTSC; ADD EAX,n; ADC EDX,0; MOV ECX,IA32_TSC_DEADLINE; WRMSR */
const armIn = (n: number): number[] => [
  ...[...RDTSC, 0x05, ...u32(n), 0x83, 0xd2, 0, ...mov(ECX, TSC_DEADLINE), ...WRMSR],
];
const sleep = [STI, HLT, CLI];
/** RDTSC; MOV [EBX],EAX; ADD EBX,4; MOV [EOI],0; IRET */
const handler = [...RDTSC, 0x89, 0x03, 0x83, 0xc3, 4, ...store(EOI, 0), 0xcf];

interface Options {
  readonly clock?: MachineClock;
  readonly processors?: number;
  readonly cpuid?: readonly CpuidMask[];
  readonly paravirt?: 'off' | 'kvm';
}
/** EBX points at where the handler writes its next time. */
function guest(code: readonly number[], { clock = new InstructionClock(), ...options }: Options = {}): Machine {
  const kernel = kernelOf([CLI, 0xbc, ...u32(STACK), ...loadIdt, ...mov(EBX, TIMES), ...code]);
  const config = { ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: 0, commandLine: '', kernel, ...options };
  const machine = new Machine(config, { serial: [], disks: [] }, clock);
  machine.powerOn();
  const { ram } = machine.board;
  const put = (at: number, ...bytes: readonly number[]): void => ram.write(at, Uint8Array.from(bytes));
  put(IDT_POINTER, 0xff, 7, ...u32(IDT));
  const code32 = machine.processor.cpu.segment(1, 'selector');
  put(IDT + 8 * VECTOR, HANDLER & 0xff, HANDLER >> 8, code32 & 0xff, code32 >> 8, 0, 0x8e, 0, 0);
  put(HANDLER, ...handler);
  return machine;
}
const timesOf = ({ board }: Machine, count: number): number[] =>
  Array.from({ length: count }, (_, i) => board.ram.read32(TIMES + 4 * i));
/** LOOP over what is in it, so many times by ESI. */
function repeat(times: number, body: readonly number[]): number[] {
  const back = -(body.length + 3);
  // DEC ESI; JNZ
  return [...mov(ESI, times), ...body, 0x4e, 0x75, back & 0xff];
}
const TEN = [...enable, ...repeat(10, [...armIn(50_000), ...sleep]), ...exit];

beforeAll(() => ensureNumerics());

describe('a deadline', () => {
  it.each(['off', 'kvm'] as const)('wakes the guest each time, at its time (%s)', (paravirt) => {
    const machine = guest(TEN, { paravirt });
    expect(finish(machine)).toBe('exit');
    const times = timesOf(machine, 10);
    for (const [i, time] of times.entries()) {
      const late = time - (times[i - 1] ?? 0);
      expect(late, `${i}: ${times.join(' ')}`).toBeGreaterThanOrEqual(50_000);
      expect(late).toBeLessThan(54_000);
    }
  });
  it('comes at the same time however long slices are, and where the machine is saved in between', () => {
    const whole = guest(TEN);
    expect(finish(whole)).toBe('exit');
    for (const slice of [1, 7, 333]) {
      const cut = guest(TEN);
      for (let n = 0; n < 100_000 && cut.runSlice(slice).kind !== 'stopped'; n++);
      expect([timesOf(cut, 10), cut.clock.now()], String(slice)).toEqual([timesOf(whole, 10), whole.clock.now()]);
    }
    for (const slices of [20, 55, 90]) {
      const first = guest(TEN);
      for (let n = 0; n < slices; n++) expect(first.runSlice(1).kind).not.toBe('stopped');
      const second = guest([HLT]);
      second.memoryAreas().forEach(({ bytes }, i) => bytes.set(first.memoryAreas()[i]!.bytes));
      second.restore(structuredClone(first.save()));
      expect(finish(second)).toBe('exit');
      expect([timesOf(second, 10), second.clock.now()]).toEqual([timesOf(whole, 10), whole.clock.now()]);
    }
  });
  it('comes in real time, to compiled code too', () => {
    const machine = guest([...enable, ...repeat(200, [...armIn(2000), ...sleep]), ...exit], { clock: new HostClock() });
    expect(finish(machine)).toBe('exit');
    const times = timesOf(machine, 200);
    times.slice(1).forEach((time, i) => expect(time - times[i]!).toBeGreaterThanOrEqual(2000));
  });
  it('in the past is an interrupt that waits already', () => {
    const machine = guest([
      ...[...enable, ...mov(ECX, TSC_DEADLINE), ...mov(EAX, 1), ...mov(EDX, 0), ...WRMSR],
      ...[...RDMSR, 0x89, 0xc6, STI, 0x90, CLI, ...exit], // MOV ESI,EAX
    ]);
    expect(finish(machine)).toBe('exit');
    expect([register(machine, ESI), register(machine, EBX)]).toEqual([0, TIMES + 4]);
  });
  it('goes with the counter when the guest moves that', () => {
    const code = (to: number): number[] => [
      ...[...enable, ...armIn(1_000_000_000), ...mov(ECX, TSC), ...mov(EAX, to), ...mov(EDX, 0), ...WRMSR],
      ...[...sleep, ...exit],
    ];
    const forward = guest(code(999_999_000)),
      beyond = guest(code(2_000_000_000));
    expect([finish(forward), finish(beyond)]).toEqual(['exit', 'exit']);
    expect(timesOf(forward, 1)[0]).toBeGreaterThanOrEqual(1_000_000_000);
    expect(forward.clock.now()).toBeLessThan(100_000);
    expect(beyond.clock.now()).toBeLessThan(50_000);
  });
});

it('each of several processors has one of its own', () => {
  const START = 0x8000;
  // In real-address mode without an IDT: reads what it has, writes it down. MOV ECX,n; RDMSR; MOV [SECOND],EAX; MOV BYTE [STARTED],1; HLT
  const second = [
    ...[CLI, 0x66, 0xb9, ...u32(TSC_DEADLINE), ...RDMSR, 0x66, 0xa3, SECOND & 0xff, SECOND >> 8],
    ...[0xc6, 0x06, STARTED & 0xff, STARTED >> 8, 1, HLT],
  ];
  const send = (command: number): number[] => [...store(ICR_HIGH, 1 << 24), ...store(ICR_LOW, command)];
  const machine = guest(
    [
      ...[...enable, ...armIn(1_000_000), ...send(0x4500), ...send(0x4600 | (START >> 12))],
      ...[0x80, 0x3d, ...u32(STARTED), 1, 0x74, 4, 0xf3, 0x90, 0xeb, 0xf3], // until STARTED is 1
      ...[...mov(ECX, TSC_DEADLINE), ...RDMSR, 0x89, 0xc6, ...exit],
    ],
    { processors: 2 },
  );
  machine.board.ram.write(START, Uint8Array.from(second));
  machine.board.ram.write32(SECOND, 7);
  expect(finish(machine)).toBe('exit');
  expect(machine.board.ram.read32(SECOND)).toBe(0);
  expect(register(machine, ESI)).toBeGreaterThan(1_000_000);
});

it('is announced, unless a mask hides it', () => {
  const told = (cpuid: readonly CpuidMask[]): number => {
    const machine = guest([...mov(EAX, 1), ...CPUID, 0x89, 0xce, ...exit], { cpuid });
    expect(finish(machine)).toBe('exit');
    return (register(machine, ESI) >>> 24) & 1;
  };
  expect(told([])).toBe(1);
  expect(told([{ leaf: 1, register: 2, clear: 1 << 24, set: 0 }])).toBe(0);
});
