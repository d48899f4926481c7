/** Machines of several processors: who is started, who sleeps, who is woken, and what is saved of them. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureNumerics } from '../numerics/build.ts';
import { InstructionClock } from './clocks.ts';
import { Machine } from './machine.ts';
import { EAX, EBX, ECX, HLT, VMCALL, exit, finish, kernelOf, mov, u32 } from './test-kernel.ts';

const CLI = 0xfa;
/** Where the second processor starts, and where it says how far it is. */
const START = 0x8000,
  SAYS = 0x9000;
const ICR_LOW = 0xfee0_0300,
  ICR_HIGH = 0xfee0_0310;
/** MOV DWORD [address],value */
const store = (address: number, value: number): number[] => [0xc7, 0x05, ...u32(address), ...u32(value)];
/** Sends to the second processor. */
const send = (command: number): number[] => [...store(ICR_HIGH, 1 << 24), ...store(ICR_LOW, command)];
const START_IT = [...send(0x4500), ...send(0x4600 | (START >> 12))];
/** CMP BYTE [SAYS],value; JE over; PAUSE; JMP back */
const awaits = (value: number): number[] => [0x80, 0x3d, ...u32(SAYS), value, 0x74, 4, 0xf3, 0x90, 0xeb, 0xf3];
/** VMCALL KVM_HC_KICK_CPU(0, 1) */
const KICK = [...mov(EAX, 5), ...mov(EBX, 0), ...mov(ECX, 1), ...VMCALL];
/** MOV BYTE [SAYS],value in real-address mode */
const says = (value: number): number[] => [0xc6, 0x06, SAYS & 0xff, SAYS >> 8, value];

function guest(code: readonly number[], second: readonly number[], processors = 2): Machine {
  const config = {
    ...{ ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: 0, commandLine: '', processors },
    ...{ paravirt: 'kvm' as const, kernel: kernelOf(code) },
  };
  const machine = new Machine(config, { serial: [], disks: [] }, new InstructionClock());
  machine.powerOn();
  machine.board.ram.write(START, Uint8Array.from(second));
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
  it('count instructions and work together, and one by one', () => {
    const machine = guest([...START_IT, ...awaits(1), ...exit], [CLI, ...says(1), HLT]);
    finish(machine);
    const [first, second] = machine.processors;
    expect(second!.instructions).toBe(3);
    expect(machine.instructions).toBe(first!.instructions + 3);
    expect(machine.work).toBe(first!.work + second!.work);
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
