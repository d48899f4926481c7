/** A trace shows what is executed, and what is executed is the same without it. */
import { describe, expect, it } from 'vitest';
import { InstructionClock } from './clocks.ts';
import { InstructionTrace, type TraceOptions } from './instruction-trace.ts';
import { Machine } from './machine.ts';

const LOAD = 0x10_0000,
  ENTRY = LOAD + 32;
const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
function kernel(code: readonly number[]): Uint8Array {
  const flags = 1 << 16,
    end = ENTRY + code.length;
  const words = [0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, LOAD, LOAD, end, end, ENTRY];
  return Uint8Array.from([...words.flatMap(u32), ...code]);
}
const IDT = 0x20_0000;
const CODE = [
  ...[0xbc, ...u32(0x30_0000)], // MOV ESP
  ...[0xc7, 0x05, ...u32(IDT + 6 * 8), ...u32(0x0010_0000 | (0x80 & 0xffff))], // gate of #UD: 0010:00100080
  ...[0xc7, 0x05, ...u32(IDT + 6 * 8 + 4), ...u32(0x0010_8e00)],
  ...[0x68, ...u32(IDT), 0x66, 0x68, 0xff, 0x07, 0x0f, 0x01, 0x1c, 0x24], // PUSH IDT ; PUSH 7FFh ; LIDT [ESP]
  ...[0xbf, ...u32(0x20_8000), 0xb9, ...u32(5), 0xf3, 0xaa], // REP STOSB
  ...[0x0f, 0x0b, 0x40], // UD2 ; INC EAX
  ...[0xb9, ...u32(500), 0xe4, 0x80, 0x43, 0xe2, 0xfb], // a loop with IN AL,80h ; INC EBX
  ...[0xb0, 1, 0xe6, 0xf4, 0xf4], // exit
];
const HANDLER = [0x83, 0x04, 0x24, 2, 0xcf]; // ADD [ESP],2 ; IRET
const PADDED = [...CODE, ...Array<number>(0x60 - CODE.length).fill(0x90), ...HANDLER];

function run(options?: TraceOptions): { lines: string[]; end: unknown } {
  const lines: string[] = [];
  const machine = new Machine(
    {
      ramBytes: 8 << 20,
      videoMemoryBytes: 1 << 20,
      epoch: 0,
      commandLine: '',
      kernel: { name: 'test', bytes: kernel(PADDED) },
    },
    { serial: [], disks: [] },
    new InstructionClock(),
  );
  machine.powerOn();
  const trace = options === undefined ? undefined : new InstructionTrace(machine, options, (line) => lines.push(line));
  for (let n = 0; n < 10_000; n++) {
    const room = trace?.room ?? Infinity;
    const end = machine.runSlice(Math.min(50_000, room));
    trace?.settle();
    if (end.kind === 'breakpoint') {
      expect(trace?.takes(machine.processor.debug.stop)).toBe(true);
      machine.processor.debug.stop = undefined;
    }
    if (end.kind === 'stopped') {
      const { processor, clock } = machine;
      const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => processor.cpu.getRegister(i));
      return { lines, end: { end, registers, work: processor.work, count: processor.instructions, time: clock.now() } };
    }
  }
  throw new Error('the kernel does not end');
}

describe('a trace', () => {
  const plain = run();
  const whole = run({ from: { kind: 'begin' }, count: Infinity });

  it('does not change what the guest does, nor when', () => {
    expect(plain.end).toMatchObject({ end: { kind: 'stopped', why: 'exit' } });
    expect(whole.end).toEqual(plain.end);
    expect(run({ from: { kind: 'count', instructions: 30 }, count: 10 }).end).toEqual(plain.end);
  });
  it('has a line for each instruction, with what it changed, and one for each exception', () => {
    const { count } = plain.end as { count: number };
    const instructions = whole.lines.filter((line) => !line.includes('vector'));
    // The one that faulted is in it, though it was not executed.
    expect(instructions).toHaveLength(count + 1);
    expect(whole.lines[0]).toMatch(/^ {9}0 {2}0010:00100020 {2}bc 00 00 30 00 +mov esp, 0x300000 +esp=00300000/);
    expect(whole.lines.filter((line) => line.includes('rep stos'))).toHaveLength(1);
    expect(whole.lines.find((line) => line.includes('rep stos'))).toContain('ecx=00000000');
    const at = whole.lines.findIndex((line) => line.includes('ud2'));
    expect(whole.lines[at + 1]!.trim()).toBe('vector 6');
    expect(whole.lines[at + 2]).toContain('00100080');
  });
  it('begins at an instruction, at an address, and ends after so many', () => {
    const counted = run({ from: { kind: 'count', instructions: 9 }, count: 5 }).lines;
    expect(counted.filter((line) => !line.includes('vector'))).toHaveLength(5);
    expect(counted[0]).toBe(whole.lines.find((line) => line.startsWith('         9 ')));
    const from = run({
      from: { kind: 'address', linear: LOAD + 0x80 },
      count: 2,
      nameOf: (n) => `at_${n.toString(16)}`,
    });
    expect(from.end).toEqual(plain.end);
    expect(from.lines.map((line) => /<(.*?)>/.exec(line)?.[1])).toEqual(['at_100080', 'at_100084']);
  });
});
