/** The hypervisor that guests of a few bytes find in a whole machine: there or not, its clock, interrupts, and what survives. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '@tomei/kit';
import { ensureNumerics } from '../numerics/build.ts';
import { eoiAssist } from '../devices/eoi-assist.ts';
import { ioapic, IOAPIC_BASE } from '../devices/ioapic.ts';
import * as R from '../devices/lapic-registers.ts';
import { lapic } from '../devices/lapic.ts';
import { GUEST_FAULT } from '../core/cpu.ts';
import { Board, backend } from '../machine/board.ts';
import { seededRandom } from '../machine/battery.ts';
import { ALL_FEATURES, FEATURES_OF_SEVERAL, HYPERCALL, MSR } from '../paravirt/kvm-interface.ts';
import { kvm } from '../paravirt/kvm.ts';
import { HostClock, InstructionClock, type MachineClock } from './clocks.ts';
import { kvmFeatures } from './hypervisor.ts';
import { EAX, EBX, ECX, EDX, HLT, VMCALL, exit, finish, kernelOf, mov, register, u32 } from './test-kernel.ts';
import { Machine } from './machine.ts';
import type { MachineConfig } from './machine-config.ts';

const DATA = 0x20_0000;
const EPOCH = 1_700_000_000;
const wrmsr = (n: number, low: number): number[] => [...mov(ECX, n), ...mov(EAX, low), ...mov(EDX, 0), 0x0f, 0x30];
/** MOV [address],EAX */
const store = (address: number): number[] => [0xa3, ...u32(address)];

function machine(
  code: readonly number[],
  { clock = new InstructionClock(), ...options }: Partial<MachineConfig> & { clock?: MachineClock } = {},
): Machine {
  const made = new Machine(
    {
      ...{ ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: EPOCH, commandLine: '', paravirt: 'kvm' },
      ...options,
      kernel: kernelOf(code),
    },
    { serial: [], disks: [] },
    clock,
    undefined,
    { hotLandings: 16 },
  );
  made.powerOn();
  return made;
}

beforeAll(() => ensureNumerics());

describe('a guest finds a hypervisor', () => {
  const mask = (leaf: number, register: number, clear: number) => ({ leaf, register, clear, set: 0 });
  it('where it is told of one, with the features that are not hidden', () => {
    expect(kvmFeatures({ paravirt: 'kvm', processors: 2 })).toBe(ALL_FEATURES);
    const one = ALL_FEATURES & ~FEATURES_OF_SEVERAL;
    expect(kvmFeatures({ paravirt: 'kvm' })).toBe(one);
    expect(kvmFeatures({ paravirt: 'kvm', cpuid: [mask(0x4000_0001, 0, 9)] })).toBe(one & ~9);
    expect(kvmFeatures({ paravirt: 'off' })).toBeUndefined();
    expect(kvmFeatures({})).toBeUndefined();
    expect(kvmFeatures({ paravirt: 'kvm', cpuid: [mask(1, 2, 0x8000_0000)] })).toBeUndefined();
  });
  it.each([
    ['is a plain PC', { paravirt: 'off' as const }],
    ['hides it', { cpuid: [mask(1, 2, 0x8000_0000)] }],
  ])('and nothing of it where the machine %s', (_, options) => {
    // CPUID 1 and 40000000h, then VMCALL: without an IDT its #UD ends the guest.
    const guest = machine(
      [
        ...[...mov(EAX, 1), 0x0f, 0xa2, 0x89, 0xce],
        ...[...mov(EAX, 0x4000_0000), 0x0f, 0xa2, 0x89, 0xdf],
        ...[0x0f, 0x01, 0x1d, ...u32(DATA), ...VMCALL],
      ],
      options,
    );

    expect(finish(guest)).toBe('triple-fault');
    expect(register(guest, 6) & 0x8000_0000).toBe(0);
    expect(register(guest, 7)).not.toBe(0x4b4d_564b);
    expect(guest.board.device('kvm')).toBeUndefined();
  });
});

describe('the clock', () => {
  it('is the machine time to the nanosecond, in the middle of anything, and after the counter was moved', () => {
    // The counter is moved before and behind; each time it is read with the structure's fields.
    const guest = machine([
      ...wrmsr(MSR.SYSTEM_TIME, DATA | 1),
      ...[0x90, 0x90, 0x0f, 0x31, ...store(DATA + 0x100)],
      ...wrmsr(0x10, 0x1234_5678),
      ...[0x0f, 0x31, ...store(DATA + 0x104)],
      ...exit,
    ]);
    const seen: bigint[] = [];
    const { cpu } = guest.processor;
    const { timestamp } = cpu.bus;
    Object.assign(cpu.bus, { timestamp: () => (seen.push(BigInt(Math.floor(guest.clock.now()))), timestamp()) });
    expect(finish(guest)).toBe('exit');

    const { ram } = guest.board;
    const base = BigInt(ram.read32(DATA + 8)) | (BigInt(ram.read32(DATA + 12)) << 32n);
    const last = seen.at(-1)!;
    expect(BigInt.asUintN(32, BigInt(ram.read32(DATA + 0x104)) - base)).toBe(last);
    expect(ram.read32(DATA) % 2).toBe(0);
    expect(ram.read32(DATA + 0x104)).toBeGreaterThan(0x1234_5677);
  });
  it('and everything else of the hypervisor goes on in another machine', () => {
    const code = [
      ...[...wrmsr(MSR.SYSTEM_TIME, DATA | 1), ...wrmsr(0x10, 77), ...wrmsr(MSR.STEAL_TIME, (DATA + 64) | 1)],
      ...[...wrmsr(MSR.PV_EOI, (DATA + 128) | 1), ...wrmsr(MSR.POLL_CONTROL, 0)],
      // INC EBX ; RDTSC ; JMP back
      ...[0x43, 0x0f, 0x31, 0xeb, 0xfb],
    ];
    const first = machine(code);
    for (let i = 0; i < 50; i++) first.runSlice(1000);
    const second = machine(code, { clock: new InstructionClock() });
    first.memoryAreas().forEach(({ bytes }, i) => second.memoryAreas()[i]!.bytes.set(bytes));
    second.restore(structuredClone(first.save()));
    for (const each of [first, second]) for (let i = 0; i < 50; i++) each.runSlice(1000);

    expect(second.save()).toEqual(first.save());
    expect([EAX, EBX].map((n) => register(second, n))).toEqual([EAX, EBX].map((n) => register(first, n)));
    expect(second.board.ram.view(DATA, 256)).toEqual(first.board.ram.view(DATA, 256));
  });
  it('of a machine with one does not go on in one without, which says so', () => {
    const saved = machine(exit).save();
    expect(() => machine(exit, { paravirt: 'off' }).restore(saved)).toThrow(/holds device 'kvm'/);
  });
});

describe('hypercalls', () => {
  it('are made from compiled code as from any, and are counted', () => {
    // MOV ESI,50000 ; XOR EDI,EDI ; again: MOV EAX,1 ; MOV EBX,ESI ; VMCALL ; ADD EDI,EBX ; DEC ESI ; JNZ again
    const loop = [...mov(EAX, 1), 0x89, 0xf3, ...VMCALL, 0x01, 0xdf, 0x4e];
    const code = [...mov(6, 50_000), 0x31, 0xff, ...loop, 0x75, 256 - loop.length - 2, ...exit];
    const guest = machine(code, { clock: new HostClock() });

    expect(finish(guest)).toBe('exit');

    expect([register(guest, 7), guest.hypercalls?.hypercall]).toEqual([(50_000 * 50_001) / 2, 50_000]);
    expect(guest.compilation?.regions).toBeGreaterThan(0);
  });
  it('wake a processor from the HLT that follows, interrupts or not', () => {
    const kick = [...mov(EAX, HYPERCALL.KICK_CPU), ...mov(EBX, 0), ...mov(ECX, 0), ...VMCALL];
    const guest = machine([...kick, HLT, ...mov(EDX, 55), ...exit]);

    expect([finish(guest), register(guest, EDX)]).toEqual(['exit', 55]);
    expect(finish(machine([...kick, HLT, HLT]))).toBe('halted');
  });
});

/** Local APIC, I/O APIC and hypervisor; interrupt 40h and up are sent to itself. */
function apics() {
  const ram = new Uint8Array(4096),
    clock = new ManualClock();
  const board = new Board({ ram, clock, alarms: clock.alarms });
  const { parts } = board.add(kvm, { features: ALL_FEATURES, epoch: 0, processors: 1 });
  board.add(lapic, { id: 0 }, { backends: [backend(eoiAssist, parts.eoi)] });
  board.add(ioapic, { base: IOAPIC_BASE });
  board.reset();
  const write = (n: number, value: number): void => board.memoryWrite(R.LAPIC_BASE + n, 4, value);
  const read = (n: number): number => board.memoryRead(R.LAPIC_BASE + n, 4);
  write(R.APIC_SVR, 0x1ff);
  const self = (vector: number): void => write(R.APIC_ICR_LOW, 0x4_0000 | vector);
  parts.writeMsr(MSR.PV_EOI, 0x101n, 0n);
  /** Whether interrupt n is in service. */
  const serves = (n: number): boolean => (read(R.APIC_ISR + (n >> 5) * 0x10) & (1 << (n & 31))) !== 0;
  return { board, ram, write, read, self, parts, serves };
}

describe('the end of an interrupt', () => {
  it('is a bit in memory where nothing waits behind it', () => {
    const { board, ram, self } = apics();
    self(0x41);
    expect([board.acknowledge(), ram[0x100]]).toEqual([0x41, 1]);
    ram[0x100] = 0;

    self(0x31);

    expect([board.interruptRequested, board.acknowledge()]).toEqual([true, 0x31]);
  });
  it('is written to the APIC where one waits, or comes meanwhile', () => {
    const { board, ram, self, write } = apics();
    self(0x41);
    self(0x31);
    expect([board.acknowledge(), ram[0x100]]).toEqual([0x41, 0]);
    write(R.APIC_EOI, 0);
    expect([board.acknowledge(), ram[0x100]]).toEqual([0x31, 1]);
    self(0x21);
    expect([board.interruptRequested, ram[0x100]]).toEqual([false, 0]);
    write(R.APIC_EOI, 0);
    expect(board.acknowledge()).toBe(0x21);
  });
  it('may be written to the APIC in spite of the offer', () => {
    const { board, ram, self, write, serves } = apics();
    self(0x41);
    board.acknowledge();

    write(R.APIC_EOI, 0);

    expect([ram[0x100], serves(0x41)]).toEqual([0, false]);
  });
  it('has happened for whoever looks at the APIC', () => {
    const { board, ram, self, serves, read } = apics();
    self(0x41);
    board.acknowledge();
    ram[0x100] = 0;

    expect([serves(0x41), read(R.APIC_PPR)]).toEqual([false, 0]);
  });
  it('of nested interrupts and of levels is always written', () => {
    const { board, ram, self, write } = apics();
    self(0x41);
    board.acknowledge();
    self(0x51);
    expect([board.acknowledge(), ram[0x100]]).toEqual([0x51, 0]);
    write(R.APIC_EOI, 0);
    write(R.APIC_EOI, 0);
    // Input 3 of the I/O APIC: vector 61h, level.
    for (const [index, value] of [
      [0x17, 0],
      [0x16, 0x8061],
    ] as const) {
      board.memoryWrite(IOAPIC_BASE, 4, index);
      board.memoryWrite(IOAPIC_BASE + 0x10, 4, value);
    }
    board.lines.source().set(3, true);
    expect([board.acknowledge(), ram[0x100]]).toEqual([0x61, 0]);
  });
  it('gives the same interrupts in the same order, taken or not, whenever they come (seeds 1 to 60)', () => {
    const run = (seed: number, assisted: boolean): unknown[] => {
      const { board, ram, self, write, parts } = apics(),
        { next } = seededRandom(seed),
        log: unknown[] = [],
        serving: number[] = [];
      if (!assisted) parts.writeMsr(MSR.PV_EOI, 0n, 0n);
      for (let step = 0; step < 400; step++) {
        if (next(2) === 0) self(0x30 + 0x10 * next(8) + next(3));
        if (next(20) === 0) write(R.APIC_TPR, 0x10 * next(10));
        if (board.interruptRequested && next(2) === 0) serving.push(board.acknowledge());
        // The handler ends, as a guest does it: by the bit where that is set.
        else if (serving.length > 0 && next(2) === 0) {
          serving.pop();
          if ((ram[0x100]! & 1) !== 0) ram[0x100] = 0;
          else write(R.APIC_EOI, 0);
        }
        log.push([...serving], board.interruptRequested);
      }
      return log;
    };
    for (let seed = 1; seed <= 60; seed++) expect(run(seed, true), `seed ${seed}`).toEqual(run(seed, false));
  });
});

describe('an interrupt that a hypercall sends', () => {
  it('comes from the local APIC like any', () => {
    const { board, ram, parts } = apics();

    expect(parts.hypercall({ number: HYPERCALL.SEND_IPI, arguments: [1, 0, 0, 0x44], cpl: 0 })).toBe(1);

    expect([board.interruptRequested, board.acknowledge(), ram[0x100]]).toEqual([true, 0x44, 1]);
  });
});

describe('a guest that means ill', () => {
  it('gets #GP or what it asked for, at every register, call and port, and changes its own memory alone (seeds 1 to 10)', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const guest = machine(exit),
        { next } = seededRandom(seed),
        { processor, board, memory, plan } = guest;
      const { cpu, system } = processor;
      const beyond = new Uint8Array(memory.buffer, plan.ram + plan.ramBytes, 4096).fill(0x5a);
      const edges = [0, 4, 0x101, plan.ramBytes - 33, plan.ramBytes - 4, plan.ramBytes - 1, plan.ramBytes, 2 ** 32 - 1];
      const word = (): number => (next(3) === 0 ? next(2 ** 32) : edges[next(edges.length)]!);
      const numbers = [...Object.values(MSR), 0x10, 0x4b56_4d02, 0x4b56_4d07];
      for (let step = 0; step < 3000; step++) {
        for (const n of [EAX, ECX, EDX, EBX, 6, 7]) cpu.setRegister(n, word());
        try {
          switch (next(4)) {
            case 0:
              cpu.setRegister(ECX, numbers[next(numbers.length)]!);
              if (next(3) === 0) cpu.setRegister(EDX, 0);
              system.writeMsr();
              break;
            case 1:
              cpu.setRegister(ECX, numbers[next(numbers.length)]!);
              system.readMsr();
              break;
            case 2:
              cpu.setRegister(EAX, next(12));
              system.callHypervisor();
              break;
            default:
              cpu.setRegister(EAX, 0x564d_5868);
              cpu.setRegister(ECX, [39, 40, 41, next(70)][next(4)]!);
              if (next(2) === 0) cpu.setRegister(EBX, next(8));
              expect(board.portRead(0x5658, 4)).toBeLessThan(2 ** 32);
          }
        } catch (thrown) {
          if (thrown !== GUEST_FAULT) throw thrown;
          expect(cpu.get('faultVector')).toBe(13);
        }
        if (board.interruptRequested) board.acknowledge();
      }
      expect(
        beyond.every((byte) => byte === 0x5a),
        `seed ${seed}`,
      ).toBe(true);
    }
  });
});

describe("VMware's backdoor", () => {
  const MAGIC = 0x564d_5868,
    ENABLE = 0x4541_4552,
    ABSOLUTE = 0x5342_4152;
  /** MOV EAX,magic ; MOV ECX,command ; MOV EDX,5658h ; MOV EBX,argument ; IN EAX,DX */
  const call = (command: number, argument = 0): number[] => [
    ...[...mov(EAX, MAGIC), ...mov(ECX, command), ...mov(EDX, 0x5658), ...mov(EBX, argument), 0xed],
  ];
  it('changes registers of compiled code as of any', () => {
    // MOV ESI,20000 ; XOR EDI,EDI ; again: GETMEMSIZE ; ADD EDI,EAX ; GETVERSION ; SUB EDI,EAX ; ADD EDI,ECX ; DEC ESI ; JNZ again
    const loop = [...call(20), 0x01, 0xc7, ...call(10), 0x29, 0xc7, 0x01, 0xcf, 0x4e];
    const code = [...mov(6, 20_000), 0x31, 0xff, ...loop, 0x75, 256 - loop.length - 2, ...exit];
    const guest = machine(code, { clock: new HostClock() });

    expect(finish(guest)).toBe('exit');

    expect([register(guest, 7), register(guest, EBX)]).toEqual([20_000 * (8 - 6 + 2), MAGIC]);
    expect(guest.compilation?.regions).toBeGreaterThan(0);
  });
  it('is not there in a plain PC', () => {
    const guest = machine([...call(10), ...store(DATA), ...exit], { paravirt: 'off' });
    finish(guest);
    expect([guest.board.ram.read32(DATA), register(guest, EBX)]).toEqual([0xffff_ffff, 0]);
  });
  it('has the pointer where its driver listens, and wakes it by the mouse', () => {
    const guest = machine([...call(41, ENABLE), ...call(39, 1), ...call(41, ABSOLUTE), 0xeb, 0xfe]);
    const { board } = guest;
    // The mouse reports: D4h, then F4h to it, and its ACK is read.
    for (const [port, value] of [
      [0x64, 0xa8],
      [0x64, 0xd4],
      [0x60, 0xf4],
    ] as const)
      board.portWrite(port, 1, value);
    expect(board.portRead(0x60, 1)).toBe(0xfa);
    const move = { dx: 0, dy: 0, dz: 0, buttons: 0, at: { x: 100, y: 200 } };
    guest.pointer(move);
    expect(board.portRead(0x64, 1) & 1).toBe(0);

    guest.runSlice(1000);
    guest.pointer(move);
    guest.pointer({ ...move, at: { x: 101, y: 201 } });

    // One packet of no movement; where the pointer is lies in the queue.
    expect([
      board.portRead(0x64, 1) & 0x21,
      board.portRead(0x60, 1),
      board.portRead(0x60, 1),
      board.portRead(0x60, 1),
    ]).toEqual([0x21, 8, 0, 0]);
    expect(board.portRead(0x64, 1) & 1).toBe(0);
    expect(board.device('vmware-backdoor')!.save().state).toMatchObject({
      pointer: { mode: 'absolute', queue: [0, 101, 201, 0] },
    });
  });
});
