/** Machines of several processors: who is started, who sleeps, who is woken, and what is saved of them. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { ensureNumerics } from '../numerics/build.ts';
import { InstructionClock } from './clocks.ts';
import { Machine } from './machine.ts';
import { EAX, EBX, ECX, EDX, HLT, VMCALL, exit, finish, kernelOf, mov, u32 } from './test-kernel.ts';

const CLI = 0xfa;
/** Where the second processor starts, and the third, and where they say how far they are. */
const START = 0x8000,
  THIRD_START = 0xa000,
  SAYS = 0x9000;
/** Who has had its turn: where the next one notes it, and the notes. */
const NOTE_AT = 0x9010,
  NOTES = 0x9020;
/** A processor's steal time, and the byte in it that says whether it waits (1), or is to be flushed (2). */
const STEAL_TIME = 0x9040,
  PREEMPTED = STEAL_TIME + 16;
const ICR_LOW = 0xfee0_0300,
  ICR_HIGH = 0xfee0_0310;
/** MOV DWORD [address],value */
const store = (address: number, value: number): number[] => [0xc7, 0x05, ...u32(address), ...u32(value)];
/** Sends to a processor, the second one if not said otherwise. */
const send = (command: number, to = 1): number[] => [...store(ICR_HIGH, to << 24), ...store(ICR_LOW, command)];
const START_IT = [...send(0x4500), ...send(0x4600 | (START >> 12))];
/** CMP BYTE [SAYS],value; JE over; PAUSE; JMP back */
const awaits = (value: number): number[] => [0x80, 0x3d, ...u32(SAYS), value, 0x74, 4, 0xf3, 0x90, 0xeb, 0xf3];
/** VMCALL KVM_HC_KICK_CPU(0, 1) */
const KICK = [...mov(EAX, 5), ...mov(EBX, 0), ...mov(ECX, 1), ...VMCALL];
/** VMCALL KVM_HC_SCHED_YIELD(to) */
const yieldTo = (to: number): number[] => [...mov(EAX, 11), ...mov(EBX, to), ...VMCALL];
/** In real-address mode: MOV DI,[NOTE_AT]; MOV BYTE [DI],who; INC WORD [NOTE_AT]; then `gives`, and all of it again */
const notes = (who: number, gives: readonly number[]): number[] => {
  const pass = [0x8b, 0x3e, NOTE_AT & 0xff, NOTE_AT >> 8, 0xc6, 0x05, who, 0xff, 0x06, NOTE_AT & 0xff, NOTE_AT >> 8];
  return [...pass, ...gives, 0xeb, 256 - pass.length - gives.length - 2];
};
const PAUSE = [0xf3, 0x90];
/** The same instruction in code of 16 bits, with operands of 32. */
const wide = (...instructions: (readonly number[])[]): number[] => instructions.flatMap((each) => [0x66, ...each]);
/** MOV BYTE [SAYS],value in real-address mode */
const says = (value: number): number[] => [0xc6, 0x06, SAYS & 0xff, SAYS >> 8, value];

function guest(
  code: readonly number[],
  second: readonly number[],
  processors = 2,
  third: readonly number[] = [],
): Machine {
  const config = {
    ...{ ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: 0, commandLine: '', processors },
    ...{ paravirt: 'kvm' as const, kernel: kernelOf(code) },
  };
  const machine = new Machine(config, { serial: [], disks: [] }, new InstructionClock());
  machine.powerOn();
  machine.board.ram.write(START, Uint8Array.from(second));
  machine.board.ram.write(THIRD_START, Uint8Array.from(third));
  return machine;
}

beforeAll(() => ensureNumerics());

describe('processors that take turns', () => {
  it('wait until they are started, at the page that the message names', () => {
    const machine = guest([...START_IT, ...awaits(1), ...exit], [CLI, ...says(1), HLT]);
    expect(machine.processors[1]!.instructions).toBe(0);
    expect(finish(machine)).toBe('exit');
    expect(machine.processors[1]!.cpu.segment(1, 'selector')).toBe(START >> 4);
  });
  it('are woken by a hypercall of another, be they halted already or not', () => {
    const machine = guest(
      [...START_IT, ...awaits(1), ...KICK, ...awaits(2), ...KICK, ...awaits(3), ...exit],
      [CLI, ...says(1), HLT, ...says(2), HLT, ...says(3), HLT],
    );
    expect(finish(machine)).toBe('exit');
  });
  it('go on while another is halted for good, and end the machine when all are', () => {
    const spins = [CLI, ...says(1), 0xf3, 0x90, 0xeb, 0xfc];
    const one = guest([...START_IT, ...awaits(1), CLI, HLT], spins);
    for (let n = 0; n < 50; n++) expect(one.runSlice(500).kind).toBe('running');
    const both = guest([...START_IT, ...awaits(1), CLI, HLT], [CLI, ...says(1), HLT]);
    expect(finish(both)).toBe('halted');
    // The second one has never been started: it does not keep the machine.
    expect(finish(guest([CLI, HLT], []))).toBe('halted');
  });
  it('see of one that waits with a program that it does, and have it flushed before it goes on', () => {
    // WRMSR STEAL_TIME; then it says so again and again.
    const names = [...wide(mov(ECX, 0x4b56_4d03), mov(EAX, STEAL_TIME | 1), mov(EDX, 0)), 0x0f, 0x30];
    const second = [CLI, ...names, ...says(1), ...PAUSE, 0xeb, 0xf7];
    // MOV AL,[PREEMPTED]; MOV BL,AL; OR BYTE [PREEMPTED],2; MOV BYTE [SAYS],0; and once more, without asking for a flush
    const look = [0xa0, ...u32(PREEMPTED), 0x88, 0xc3];
    const asks = [0x80, 0x0d, ...u32(PREEMPTED), 2],
      again = [0xc6, 0x05, ...u32(SAYS), 0];
    const machine = guest(
      [...START_IT, ...awaits(5), ...look, ...asks, ...again, ...awaits(5), ...again, ...awaits(5), ...exit],
      second,
    );
    const { mmu, cpu } = machine.processors[1]!,
      { ram } = machine.board;
    for (let n = 0; n < 20; n++) machine.runSlice(500);
    // It may hold what others wait for.
    expect([ram.read8(SAYS), ram.read8(PREEMPTED)]).toEqual([1, 0]);
    // From now on it is a program's, and says something else.
    cpu.set('cpl', 3);
    cpu.refreshMode();
    ram.write(START + second.indexOf(0xc6) + 4, Uint8Array.of(5));
    const renew = vi.spyOn(mmu, 'renew');
    expect(finish(machine)).toBe('exit');

    expect(machine.processors[0]!.cpu.getRegister(EBX) & 0xff).toBe(1);
    expect([renew.mock.calls.length, ram.read8(PREEMPTED)]).toEqual([1, 1]);
  });
  it.each<[string, number[], number[]]>([
    ['in their order', PAUSE, PAUSE],
    ['with the one that is named first', yieldTo(2), PAUSE],
    ['and with what is given away given on to nobody', yieldTo(2), wide(mov(EAX, 11), mov(EBX, 0)).concat(VMCALL)],
  ])('go on %s', (what, gives, back) => {
    const startBoth = [...START_IT, ...send(0x4500, 2), ...send(0x4600 | (THIRD_START >> 12), 2)];
    // Both have had their turns a few times when the first one has come back to it.
    const some = Array.from({ length: 4 }, () => PAUSE).flat();
    const code = [...store(NOTE_AT, NOTES), ...startBoth, ...some, ...store(NOTE_AT, NOTES), ...gives, ...exit];
    const machine = guest(code, notes(1, PAUSE), 3, notes(2, back));
    expect(finish(machine)).toBe('exit');

    const { ram } = machine.board;
    const noted = [...ram.view(NOTES, ram.read16(NOTE_AT) - NOTES)];
    expect(noted).toEqual(what === 'in their order' ? [1, 2] : [2, 1, 2]);
  });
  it('count instructions and work together, and one by one', () => {
    const machine = guest([...START_IT, ...awaits(1), ...exit], [CLI, ...says(1), HLT]);
    finish(machine);
    const [first, second] = machine.processors;
    expect(second!.instructions).toBe(3);
    expect(machine.instructions).toBe(first!.instructions + 3);
    expect(machine.work).toBe(first!.work + second!.work);
  });
  it('are saved with whose turn one of them has been given', () => {
    const code = [...START_IT, ...awaits(1), CLI, HLT];
    const machine = guest(code, [CLI, ...says(1), ...PAUSE, 0xeb, 0xfc]);
    for (let n = 0; n < 20; n++) machine.runSlice(500);
    const saved = machine.save();
    const others = { ...saved.others!, turn: 1, place: 0 };
    machine.restore({ ...saved, others });
    expect(machine.save().others).toMatchObject({ turn: 1, place: 0 });
    expect(() => machine.restore({ ...saved, others: { ...others, place: 2 } })).toThrow(/'place' is 2/);
  });
  it('are saved with their number, and go on in a machine of as many alone', () => {
    const code = [...START_IT, ...awaits(1), CLI, HLT];
    const machine = guest(code, [CLI, ...says(1), 0xf3, 0x90, 0xeb, 0xfc]);
    for (let n = 0; n < 20; n++) machine.runSlice(500);
    const saved = machine.save();
    expect(saved.others?.processors.map(({ waiting }) => waiting)).toEqual([false]);
    const again = guest(code, []);
    again.memoryAreas().forEach(({ bytes }, i) => bytes.set(machine.memoryAreas()[i]!.bytes));
    again.restore(saved);
    for (const each of [machine, again]) for (let n = 0; n < 5; n++) each.runSlice(500);
    expect(again.save()).toEqual(machine.save());
    expect(() => guest(code, [], 3).restore(saved)).toThrow(/others|lacks/);
    expect(() => guest(code, [], 1).restore(saved)).toThrow(/others/);
    expect(guest(code, [], 1).save()).not.toHaveProperty('others');
  });
  it('are reset by INIT to what they were at power-on, but for registers that it leaves alone', () => {
    // The second one halts with values in registers; INIT stops it, and it is started at another place of the same page.
    const machine = guest(
      [...START_IT, ...awaits(1), ...send(0x4500), ...exit],
      [CLI, 0x66, ...mov(EBX, 7), ...says(1), HLT],
    );
    machine.processors[1]!.cpu.set('mxcsr', 0x1fa0);
    expect(finish(machine)).toBe('exit');
    const { cpu } = machine.processors[1]!;
    expect([cpu.getRegister(EBX), cpu.get('mxcsr'), cpu.get('halted')]).toEqual([0, 0x1fa0, 0]);
    expect([cpu.get('eip'), cpu.segment(1, 'selector')]).toEqual([0xfff0, 0xf000]);
  });
});
