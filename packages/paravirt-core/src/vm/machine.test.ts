/** A whole machine on virtual time, booting kernels of a few bytes: how it starts, sleeps, ends, and goes on elsewhere. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureNumerics } from '../numerics/build.ts';
import { InstructionClock } from './clocks.ts';
import { Machine, type SliceEnd } from './machine.ts';

const LOAD = 0x10_0000,
  ENTRY = LOAD + 32;
const RAM = 8 << 20;
const HLT = 0xf4,
  CLI = 0xfa,
  STI = 0xfb;
const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const u16 = (n: number): number[] => u32(n).slice(0, 2);
/** MOV AL,value ; OUT port,AL */
const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];
/** MOV DX,3F8h, then each byte of the text. */
const say = (text: string): number[] => [
  0x66,
  0xba,
  ...u16(0x3f8),
  ...[...text].flatMap((c) => [0xb0, c.charCodeAt(0), 0xee]),
];
const exit = (value: number): number[] => [...out(0xf4, value), HLT];

/** A multiboot image by its address fields (multiboot 0.6.96, 3.1.3): header, then code. */
function kernel(...code: readonly number[]): Uint8Array {
  const flags = 1 << 16,
    end = ENTRY + code.length;
  const words = [0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, LOAD, LOAD, end, end, ENTRY];
  return Uint8Array.from([...words.flatMap(u32), ...code]);
}
interface Guest {
  readonly machine: Machine;
  readonly clock: InstructionClock;
  text(): string;
}
function guest(...code: readonly number[]): Guest {
  const written: number[] = [];
  const clock = new InstructionClock();
  const config = {
    ramBytes: RAM,
    videoMemoryBytes: 1 << 20,
    epoch: 1_700_000_000,
    commandLine: '',
    kernel: { name: 'test.kernel', bytes: kernel(...code) },
  };
  const serial = { write: (byte: number) => void written.push(byte) };
  const machine = new Machine(config, { serial: [serial], disks: [] }, clock);
  return { machine, clock, text: () => String.fromCharCode(...written) };
}
/** Runs until it stops, or for so many slices. */
function finish({ machine }: Guest, slices = 10_000): SliceEnd {
  let end: SliceEnd = { kind: 'running' };
  for (let i = 0; i < slices && end.kind !== 'stopped'; i++) end = machine.runSlice();
  return end;
}

beforeAll(() => ensureNumerics());

describe('a machine', () => {
  it('boots a kernel, whose serial port and exit status come out', () => {
    const g = guest(...say('hello'), ...exit(3));
    g.machine.powerOn();
    expect(finish(g)).toEqual({ kind: 'stopped', why: 'exit', status: (3 << 1) | 1 });
    expect(g.text()).toBe('hello');
  });
  it('has nothing to boot without a kernel, and says what to name', () => {
    const config = { ramBytes: RAM, videoMemoryBytes: 1 << 20, epoch: 0, commandLine: '' };
    const machine = new Machine(config, { serial: [], disks: [] }, new InstructionClock());
    expect(() => machine.powerOn()).toThrow(/tomei.kernel/);
  });
  it('can be switched on again', () => {
    const g = guest(...say('a'), ...exit(0));
    g.machine.powerOn();
    finish(g);
    g.machine.powerOn();
    expect(finish(g)).toMatchObject({ why: 'exit' });
    expect(g.text()).toBe('aa');
  });
  it('lacks serial ports that are not given: they read as all ones', () => {
    const g = guest(0x66, 0xba, ...u16(0x2fd), 0xec, 0x88, 0xc3, ...exit(0));
    g.machine.powerOn();
    finish(g);
    expect(g.machine.processor.cpu.getRegister(3) & 0xff).toBe(0xff);
  });
});

describe('the end of a guest', () => {
  it.each([
    ['a triple fault', [0x0f, 0x01, 0x1d, ...u32(0), 0x0f, 0x0b], 'triple-fault'],
    ['HLT with interrupts off', [CLI, HLT], 'halted'],
    ['the reset line of the keyboard controller', [...out(0x64, 0xfe), HLT], 'reset'],
    ['the fast reset of port 92h', [...out(0x92, 1), HLT], 'reset'],
  ] as const)('by %s', (_, code, why) => {
    const g = guest(...code);
    g.machine.powerOn();
    expect(finish(g)).toEqual({ kind: 'stopped', why, status: 0 });
  });
  it('comes with the instruction that asks for it', () => {
    const g = guest(...out(0xf4, 0), ...say('never'));
    g.machine.powerOn();
    finish(g);
    expect(g.text()).toBe('');
  });
  it('is described by where the processor stands', () => {
    const g = guest(0x0f, 0x01, 0x1d, ...u32(0), 0x0f, 0x0b);
    g.machine.powerOn();
    finish(g);
    expect(g.machine.describe()).toContain((ENTRY + 7).toString(16).padStart(8, '0'));
  });
});

describe('time', () => {
  it('passes by instructions and accesses: the same guest takes the same time twice', () => {
    const run = (): number[] => {
      const g = guest(0xb9, ...u32(100_000), 0xe2, 0xfe, ...say('x'), ...exit(0));
      g.machine.powerOn();
      finish(g);
      return [g.clock.now(), g.machine.processor.instructions];
    };
    const first = run();
    expect(run()).toEqual(first);
    expect(first[0]).toBeGreaterThan(200_000);
  });
  it('jumps over sleeps to the next alarm, and the timer wakes the guest', () => {
    // PIT channel 0, mode 0, 0FFFFh counts of 838 ns: IRQ 0 by the PIC, vector 20h, whose handler says so and ends the guest.
    const handler = ENTRY + 0x100;
    const idt = LOAD + 0x1000;
    const gate = [0xc7, 0x05, ...u32(idt + 0x20 * 8), ...u16(handler & 0xffff), ...u16(0x10)];
    const setUp = [
      ...[...gate, 0xc7, 0x05, ...u32(idt + 0x20 * 8 + 4), ...u16(0x8e00), ...u16(handler >>> 16)],
      ...[0x8c, 0xc8, 0x66, 0xa3, ...u32(idt + 0x20 * 8 + 2)], // MOV EAX,CS ; the gate's selector
      ...[0x66, 0xc7, 0x05, ...u32(idt - 6), ...u16(0x7ff), 0xc7, 0x05, ...u32(idt - 4), ...u32(idt)],
      ...[0x0f, 0x01, 0x1d, ...u32(idt - 6)], // LIDT
      ...[...out(0x20, 0x11), ...out(0x21, 0x20), ...out(0x21, 4), ...out(0x21, 1), ...out(0x21, 0xfe)],
      ...[...out(0x43, 0x30), ...out(0x40, 0xff), ...out(0x40, 0xff)],
    ];
    const code = [...setUp, STI, HLT, 0xeb, 0xfd];
    const padding = Array<number>(0x100 - code.length).fill(0x90);
    const g = guest(...code, ...padding, ...say('tick'), ...exit(0));
    g.machine.powerOn();
    let slept: SliceEnd | undefined;
    let end: SliceEnd;
    do {
      end = g.machine.runSlice();
      if (end.kind === 'halted') slept ??= end;
    } while (end.kind !== 'stopped');

    expect([end.why, g.text()]).toEqual(['exit', 'tick']);
    expect(slept).toMatchObject({ kind: 'halted' });
    expect(g.clock.now()).toBeGreaterThan(0xffff * 838);
    expect(g.machine.processor.instructions).toBeLessThan(1000);
  });
  it('a slice ends near the next alarm, and no later than its limit', () => {
    const g = guest(0xeb, 0xfe);
    g.machine.powerOn();
    let rang = -1;
    const alarm = g.machine.alarms.create(() => (rang = g.clock.now()));
    alarm.set(g.clock.now() + 10_000);
    while (rang < 0) g.machine.runSlice(1000);
    expect(rang).toBeGreaterThanOrEqual(10_000);
    expect(rang).toBeLessThan(10_000 + 1000);
  });
});

describe('saving and restoring', () => {
  it('goes on in another machine exactly where it was', () => {
    // MOV EBX,6 ; again: MOV ECX,10000 ; LOOP $ ; say '.' ; DEC EBX ; JNZ again
    const round = [0xb9, ...u32(10_000), 0xe2, 0xfe, ...say('.'), 0x4b];
    const code = [0xbb, ...u32(6), ...round, 0x75, 256 - (round.length + 2), ...exit(1)];
    const whole = guest(...code);
    whole.machine.powerOn();
    const wholeEnd = finish(whole);

    const first = guest(...code);
    first.machine.powerOn();
    while (first.text().length < 3) first.machine.runSlice(5000);
    const second = guest(...code);
    const from = first.machine.memoryAreas(),
      to = second.machine.memoryAreas();
    from.forEach(({ bytes }, i) => to[i]!.bytes.set(bytes));
    second.machine.restore(structuredClone(first.machine.save()));

    expect(finish(second)).toEqual(wholeEnd);
    expect(first.text() + second.text()).toBe(whole.text());
    expect([second.machine.processor.instructions, second.clock.now()]).toEqual([
      whole.machine.processor.instructions,
      whole.clock.now(),
    ]);
  });
  it('refuses a state of another kind of machine', () => {
    const g = guest(HLT);
    const other = { ...g.machine.save(), version: 99 } as unknown as ReturnType<Machine['save']>;
    expect(() => g.machine.restore(other)).toThrow();
  });
  it('keeps the A20 gate shut', () => {
    const g = guest(...out(0x92, 0), HLT);
    g.machine.powerOn();
    finish(g);
    const second = guest(HLT);
    second.machine.restore(structuredClone(g.machine.save()));
    const at = 0x50_0000;
    second.machine.board.ram.write32(at - 0x10_0000, 0x1234);
    expect(second.machine.processor.mmu.readLinear(at, 4, false)).toBe(0x1234);
  });
});

describe('video memory', () => {
  const CONFIG_ADDRESS = 0xcf8,
    CONFIG_DATA = 0xcfc,
    VGA = 2 << 11,
    COMMAND = 4,
    BAR0 = 0x10;
  const config = (machine: Machine, register: number, value?: number): number => {
    machine.board.portWrite(CONFIG_ADDRESS, 4, (0x8000_0000 | VGA | register) >>> 0);
    if (value === undefined) return machine.board.portRead(CONFIG_DATA, 4);
    machine.board.portWrite(CONFIG_DATA, 4, value);
    return value;
  };
  it('lies where its base address says, runs code there, and follows when it moves', () => {
    const g = guest(HLT);
    g.machine.powerOn();
    const { machine } = g;
    const { mmu } = machine.processor;
    const old = config(machine, BAR0) & ~0xf;
    expect(config(machine, COMMAND) & 2).toBe(2);
    const memory = machine.view().memory;
    memory.set([0x78, 0x56, 0x34, 0x12], 0x100);
    expect(mmu.readPhysical((old + 0x100) >>> 0, 4)).toBe(0x1234_5678);

    const moved = (old + 0x1000_0000) >>> 0;
    config(machine, BAR0, moved);

    expect(mmu.readPhysical((moved + 0x100) >>> 0, 4)).toBe(0x1234_5678);
    expect(mmu.readPhysical((old + 0x100) >>> 0, 4)).not.toBe(0x1234_5678);
  });
});
