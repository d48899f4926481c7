/** What a probe sees of guests of a few bytes: where they are, in what code, and by whom they were called. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureNumerics } from '../numerics/build.ts';
import { HostClock } from './clocks.ts';
import { MachineProbe } from './machine-probe.ts';
import { Machine } from './machine.ts';

const LOAD = 0x10_0000,
  ENTRY = LOAD + 32;
const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];

/** A multiboot image of this code (multiboot 0.6.96, 3.1.3), switched on. */
function machine(code: readonly number[], { interpreted = false } = {}): Machine {
  const flags = 1 << 16,
    end = ENTRY + code.length;
  const header = [0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, LOAD, LOAD, end, end, ENTRY];
  const made = new Machine(
    {
      ...{ ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: 1_700_000_000, commandLine: '', interpreted },
      kernel: { name: 'test.kernel', bytes: Uint8Array.from([...header.flatMap(u32), ...code]) },
    },
    { serial: [], disks: [] },
    new HostClock(),
    undefined,
    { hotLandings: 16 },
  );
  made.powerOn();
  return made;
}

/** MOV ESP,stack ; MOV EBP,0 ; CALL outer ; outer: PUSH EBP ; MOV EBP,ESP ; CALL inner ; inner: the same ; INC EAX ; JMP back. */
const FRAME = [0x55, 0x89, 0xe5];
const NESTED = [
  ...[0xbc, ...u32(0x20_0000), 0xbd, ...u32(0)],
  ...[0xe8, ...u32(0)],
  ...[...FRAME, 0xe8, ...u32(0)],
  ...[...FRAME, 0x40, 0xeb, 0xfd],
];
const AFTER_OUTER = ENTRY + 15,
  AFTER_INNER = AFTER_OUTER + 8,
  LOOP = AFTER_INNER + 3;

beforeAll(() => ensureNumerics());

describe('a probe', () => {
  it('finds the instruction, the ring, and the callers by their frames', () => {
    const guest = machine(NESTED);
    guest.runSlice(100, true);

    const place = new MachineProbe(guest).look();

    expect([LOOP, LOOP + 1]).toContain(place.address);
    expect(place).toMatchObject({ ring: 0, space: 0, callers: [AFTER_INNER, AFTER_OUTER] });
  });
  it('takes no frames where EBP is no frame pointer', () => {
    // MOV EBP,ffff0001h ; JMP self
    const guest = machine([0xbd, ...u32(0xffff_0001), 0xeb, 0xfe]);
    guest.runSlice(100, true);

    expect(new MachineProbe(guest).look().callers).toEqual([]);
  });
  it('tells compiled code from interpreted code', () => {
    const compiled = machine(NESTED),
      interpreted = machine(NESTED, { interpreted: true });
    const before = new MachineProbe(compiled).isAtCompiledCode;
    for (const guest of [compiled, interpreted]) for (let i = 0; i < 5; i++) guest.runSlice(1000);

    expect(before).toBe(false);
    expect(new MachineProbe(compiled).isAtCompiledCode).toBe(true);
    expect(new MachineProbe(interpreted).isAtCompiledCode).toBe(false);
  });
});
