/** The device behind the ROM's hypercalls: counters and alarms, page tables, the APIC, and guests that mean ill. */
import { ManualClock, pod } from '@tomei/kit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board, backend } from '../machine/board.ts';
import { IrqLines } from '../machine/irq-lines.ts';
import { defineDevice, typed } from '../machine/device.ts';
import { advance, alarmState, arm } from './alarms.ts';
import { CALL, HYPERCALL_INIT } from './interface.ts';
import { PageTables } from './page-tables.ts';
import { vmi, vmiProcessors } from './vmi.ts';

const RAM = 1 << 20;
const EPOCH = 1_700_000_000;
const MS = 1_000_000;

/** Writes down when line 0 rises. */
const listener = defineDevice({
  kind: 'listener',
  version: 1,
  config: typed<(level: boolean) => void>(),
  state: pod({}),
  attach: ({ config }) => ({
    interruptLine: (line: number, level: boolean) => void (line === 0 && config(level)),
  }),
});

function rig(processors = 1) {
  const clock = new ManualClock();
  const troubles: string[] = [],
    signals: unknown[] = [],
    ticks: number[] = [],
    local: [number, number][] = [];
  let high = false;
  const board = new Board({
    ram: new Uint8Array(RAM),
    clock,
    alarms: clock.alarms,
    trouble: (_device, what) => void troubles.push(what),
    signal: (signal) => void signals.push(signal),
  });
  board.add(listener, (level: boolean) => {
    if (level && !high) ticks.push(clock.now());
    high = level;
  });
  const roots: (number | undefined)[] = [];
  const apics = Array.from({ length: processors }, (_, index) => {
    const registers = new Map<number, number>();
    return {
      readRegister: (offset: number) => registers.get(offset) ?? 0,
      writeRegister: (offset: number, value: number) => void registers.set(offset, value),
      timerInterrupt: () => void local.push([index, clock.now()]),
      root: () => roots[index],
    };
  });
  const device = board.add(vmi, { epoch: EPOCH, processors }, { backends: [backend(vmiProcessors, apics)] });
  board.reset();
  const callOf = (processor: number, number: number, ...given: number[]): readonly number[] => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = given;
    return device.parts.hypercall({ number, arguments: [a, b, c, d, e], processor, cpl: 0 }) as readonly number[];
  };
  const call = (number: number, ...given: number[]): readonly number[] => callOf(0, number, ...given);
  return { board, clock, device, call, callOf, troubles, signals, ticks, local, roots };
}

describe('the counters', () => {
  it('are real time, what was available of it, and what was stolen; nothing else counts', () => {
    const { clock, device, call } = rig();
    clock.advance(5 * 2 ** 32 + 7);
    device.parts.stolen(0, 2 ** 32 + 3);

    expect(call(CALL.GetCycleCounter, 0)).toEqual([7, 5]);
    expect(call(CALL.GetCycleCounter, 1)).toEqual([4, 4]);
    expect(call(CALL.GetCycleCounter, 2)).toEqual([3, 1]);
    expect(call(CALL.GetCycleCounter, 3)).toEqual([0, 0]);
    expect(call(CALL.GetCycleCounter, 0xffff_ffff)).toEqual([0, 0]);
  });
  it('never go back, though what was stolen is told of later', () => {
    const { clock, device, call } = rig();
    clock.advance(100);
    expect(call(CALL.GetCycleCounter, 1)).toEqual([100, 0]);
    device.parts.stolen(0, 60);
    clock.advance(10);
    expect(call(CALL.GetCycleCounter, 1)).toEqual([100, 0]);
    clock.advance(60);
    expect(call(CALL.GetCycleCounter, 1)).toEqual([110, 0]);
  });
  it('and the calendar is the machine time behind its epoch, in nanoseconds', () => {
    const { clock, call } = rig();
    clock.advance(123);
    const [low, high] = call(CALL.GetWallclockTime);
    expect(BigInt(low!) + (BigInt(high!) << 32n)).toBe(BigInt(EPOCH) * 1_000_000_000n + 123n);
  });
});

describe('an alarm', () => {
  it('comes once on the timer line, however late', () => {
    const { clock, call, ticks } = rig();
    call(CALL.SetAlarm, 0, 5 * MS, 0);
    clock.advance(4 * MS);
    expect(ticks).toEqual([]);
    clock.advance(20 * MS);
    expect(ticks).toEqual([5 * MS]);
    call(CALL.SetAlarm, 0, 1, 0);
    clock.advance(1);
    expect(ticks).toEqual([5 * MS, 24 * MS]);
  });
  it('comes again and again, and one for all that were missed, until it is cancelled', () => {
    const { clock, call, ticks } = rig();
    call(CALL.SetAlarm, 0x100, 1 * MS, 0, 2 * MS, 0);
    clock.advance(6 * MS);
    expect(ticks).toEqual([1 * MS, 3 * MS, 5 * MS]);
    expect(call(CALL.CancelAlarm, 0)).toEqual([1]);
    expect(call(CALL.CancelAlarm, 0)).toEqual([0]);
    clock.advance(100 * MS);
    expect(ticks).toHaveLength(3);
  });
  it('of the local APIC does not touch the line', () => {
    const { clock, call, ticks, local } = rig();
    call(CALL.SetAlarm, 0x1_0100, 1 * MS, 0, 1 * MS, 0);
    clock.advance(3 * MS);
    expect([ticks, local]).toEqual([
      [],
      [
        [0, 1 * MS],
        [0, 2 * MS],
        [0, 3 * MS],
      ],
    ]);
  });
  it('on available time waits for what was stolen meanwhile', () => {
    const { clock, device, call, ticks } = rig();
    call(CALL.SetAlarm, 1, 10 * MS, 0);
    clock.advance(5 * MS);
    device.parts.stolen(0, 3 * MS);
    clock.advance(20 * MS);
    expect(ticks).toEqual([13 * MS]);
  });
  it('of a period that nobody can serve comes as often as can be served', () => {
    const { clock, call, ticks } = rig();
    call(CALL.SetAlarm, 0x100, 0, 0, 1, 0);
    clock.advance(1 * MS);
    expect(ticks.length).toBeGreaterThan(40);
    expect(ticks.length).toBeLessThan(52);
  });
  it('at the end of all counters never comes', () => {
    const { clock, call, ticks } = rig();
    call(CALL.SetAlarm, 0x100, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff);
    clock.advance(2 ** 50);
    expect(ticks).toEqual([]);
    expect(call(CALL.CancelAlarm, 0)).toEqual([1]);
  });
  it('takes the line from a PIT that holds it, and gives it back', () => {
    const lines = new IrqLines(),
      pit = lines.source(),
      alarm = lines.source(),
      seen: boolean[] = [];
    lines.listen((line, level) => void (line === 0 && seen.push(level)));
    pit.set(0, true);
    alarm.replace(0, true);
    alarm.set(0, true);
    expect(seen).toEqual([true, false, true]);
  });
  it('comes next at the smallest e0 + k * p in the future', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 2 ** 40 }),
        fc.integer({ min: 0, max: 2 ** 51 }),
        (expiry, period, late) => {
          const alarm = alarmState.initial(),
            now = expiry + late;
          arm(alarm, { line: true, periodic: true, expiry, period });
          advance(alarm, now);
          const next = BigInt(alarm.expiry),
            least = BigInt(now) + 20_000n;
          expect((next - BigInt(expiry)) % BigInt(period)).toBe(0n);
          expect(next >= least && next - BigInt(period) < least).toBe(true);
        },
      ),
      { seed: 3 },
    );
  });
});

describe('page tables', () => {
  it('are known from when they are announced until they are released', () => {
    const pages = new PageTables([], 256);
    const announce = (page: number, more = {}) =>
      pages.allocate({ page, flags: 0x41, source: 0, first: 0, count: 0, ...more });
    expect([announce(5), announce(6), announce(5)]).toEqual([undefined, undefined, undefined]);
    expect(announce(7, { flags: 0x62, source: 5, first: 768, count: 256 })).toBeUndefined();
    expect(pages.release(5, [6])).toBeUndefined();
    expect([5, 6, 7].map((page) => pages.has(page))).toEqual([false, true, true]);
    expect(pages.release(5, [6])).toMatch(/^releases page 5h/);
    expect(announce(256)).toMatch(/^announces page 100h .* not in RAM/);
    expect(announce(0xffff_ffff)).toMatch(/not in RAM/);
    expect(announce(8, { flags: 0x62, source: 5 })).toMatch(/copy of page 5h/);
    expect(announce(8, { flags: 0x62, source: 6, first: 1000, count: 25 })).toMatch(/25 entries from 1000/);
    expect(announce(8, { flags: 0x72, source: 6, first: 500, count: 13 })).toMatch(/13 entries/);
    expect(pages.has(8)).toBe(false);
    expect(pages.release(6, [5, 6])).toMatch(/^releases page 6h, the root .* in use/);
    expect(pages.has(6)).toBe(false);
  });
  it('are a set, whatever is done', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 20 })), { maxLength: 200 }), (steps) => {
        const state: number[] = [],
          pages = new PageTables(state, 16),
          model = new Set<number>();
        for (const [allocates, page] of steps) {
          const wrong = allocates
            ? pages.allocate({ page, flags: 1, source: 0, first: 0, count: 0 })
            : pages.release(page, [99]);
          expect(wrong !== undefined).toBe(allocates ? page >= 16 : !model.has(page));
          if (allocates && page < 16) model.add(page);
          if (!allocates) model.delete(page);
        }
        expect(new Set(state)).toEqual(model);
        expect(state).toHaveLength(model.size);
      }),
      { seed: 9 },
    );
  });
});

describe('calls', () => {
  it('reach the local APIC by the offset of a register alone', () => {
    const { call } = rig();
    call(CALL.APICWrite, 0xfee0_0320, 0x41);
    expect(call(CALL.APICRead, 0x320)).toEqual([0x41]);
  });
  it('reset the machine, and turn it off', () => {
    const { call, signals } = rig();
    call(CALL.Reboot, 1);
    call(CALL.Shutdown);
    expect(signals).toEqual(['reset', 'power-off']);
  });
  it('of nonsense are told of and have no effect', () => {
    const { call, device, troubles } = rig();
    for (const number of [74, 200, CALL.SetCallbacks, CALL.IRET]) expect(call(number)).toEqual([0xffff_ffff]);
    call(CALL.SetAlarm, 2, 0, 0);
    call(CALL.CancelAlarm, 9);
    call(CALL.SetInitialAPState, 0, 1);
    call(CALL.SetInitialAPState, 1, 1);
    expect(troubles).toHaveLength(7);
    expect(device.parts.hypercall({ number: CALL.Shutdown, arguments: [0, 0, 0, 0, 0], processor: 0, cpl: 3 })).toEqual(
      [0xffff_ffff],
    );
    expect(troubles.at(-1)).toMatch(/Shutdown .* outside of its kernel/);
  });
  it('of any numbers break nothing', () => {
    const number = fc.oneof(fc.nat({ max: 0xff }), fc.constantFrom(44, 45, 62, 63, 64, 67, 68, 69, 70));
    const word = fc.oneof(fc.nat({ max: 0xffff_ffff }), fc.nat({ max: 300 }), fc.constantFrom(0x100, 0x1_0100));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(number, word, word, word, word, word, fc.nat({ max: 1e6 })), { maxLength: 60 }),
        (calls) => {
          const { board, clock, call, device } = rig();
          for (const [which, a, b, c, d, e, time] of calls) {
            const answer = call(which, a, b, c, d, e);
            for (const half of answer) expect(half >>> 0).toBe(half);
            clock.advance(time);
          }
          const saved = device.save();
          device.restore(structuredClone(saved));
          expect(device.save()).toEqual(saved);
          board.reset();
        },
      ),
      { seed: 5, numRuns: 60 },
    );
  });
});

describe('several processors', () => {
  /** A state that a processor could start in, by its words. */
  const words = Array.from({ length: 23 }, (_, index) => index * 0x1_0001)
    .with(0, 0x8000_0001)
    .with(7, 0x206);
  const give = ({ callOf }: ReturnType<typeof rig>, to: number, given: readonly number[], by = 0): void =>
    given.forEach((word, index) => void callOf(by, CALL.SetInitialAPState, index, to, word));

  it('have alarms of their own, which come at the local APIC of each', () => {
    const { clock, callOf, local, ticks } = rig(3);
    callOf(1, CALL.SetAlarm, 0x1_0000, 2 * MS, 0);
    callOf(2, CALL.SetAlarm, 0x1_0101, 1 * MS, 0, 2 * MS, 0);
    expect([0, 1, 2].map((each) => callOf(each, CALL.CancelAlarm, 0)[0])).toEqual([0, 1, 0]);
    callOf(1, CALL.SetAlarm, 0x1_0000, 2 * MS, 0);
    clock.advance(3 * MS);
    expect(ticks).toEqual([]);
    expect(local).toEqual([
      [2, 1 * MS],
      [1, 2 * MS],
      [2, 3 * MS],
    ]);
  });
  it('share the line of the timer', () => {
    const { clock, callOf, ticks } = rig(2);
    callOf(0, CALL.SetAlarm, 0, 1 * MS, 0);
    callOf(1, CALL.SetAlarm, 0, 2 * MS, 0);
    clock.advance(5 * MS);
    expect(ticks).toEqual([1 * MS, 2 * MS]);
  });
  it('have been available for times of their own', () => {
    const { clock, device, callOf } = rig(2);
    clock.advance(100);
    device.parts.stolen(1, 30);
    expect([0, 1].map((each) => callOf(each, CALL.GetCycleCounter, 0)[0])).toEqual([100, 100]);
    expect([0, 1].map((each) => callOf(each, CALL.GetCycleCounter, 1)[0])).toEqual([100, 70]);
    expect([0, 1].map((each) => callOf(each, CALL.GetCycleCounter, 2)[0])).toEqual([0, 30]);
  });
  it('reach local APICs of their own, and are warned of roots that another one uses', () => {
    const { callOf, roots, troubles } = rig(2);
    callOf(1, CALL.APICWrite, 0x320, 5);
    expect([0, 1].map((each) => callOf(each, CALL.APICRead, 0x320)[0])).toEqual([0, 5]);
    roots[1] = 7;
    callOf(0, CALL.AllocatePage, 7, 0x42);
    callOf(0, CALL.ReleasePage, 7, 0x42);
    expect(troubles).toEqual([expect.stringMatching(/^releases page 7h, the root/)]);
  });
  it('start as they do by themselves until VMI is used, and in the state that is given then', () => {
    const it = rig(3),
      { device, call, troubles } = it;
    expect(device.parts.start(1)).toBeUndefined();
    call(HYPERCALL_INIT, 0xc00c_8000);
    expect(device.parts.start(1)).toBeNull();
    expect(troubles).toEqual(['starts processor 1, and has given it no state to start in']);
    give(it, 1, words);
    expect(device.parts.start(1)).toEqual({
      ...{ cr0: 0x8000_0001, cr2: 0x1_0001, cr3: 0x2_0002, cr4: 0x3_0003, efer: 0x5_0005_0004_0004n },
      ...{ eip: 0x6_0006, eflags: 0x206 },
      registers: [8, 10, 11, 9, 12, 13, 14, 15].map((n) => n * 0x1_0001),
      selectors: [17, 16, 16, 17, 18, 18],
      ...{ ldt: 19, gdtLimit: 19, gdtBase: 20 * 0x1_0001, idtBase: 21 * 0x1_0001, idtLimit: 22 },
    });
    expect(device.parts.start(2)).toBeNull();
    const saved = device.save(),
      other = rig(3);
    other.device.restore(structuredClone(saved));
    expect(other.device.parts.start(1)).toEqual(device.parts.start(1));
  });
  it('start in no state that has not been given whole, in order, for one that there is', () => {
    const it = rig(2),
      { device, call, callOf, troubles } = it;
    call(HYPERCALL_INIT, 0);
    give(it, 1, words.slice(0, 22));
    expect(device.parts.start(1)).toBeNull();
    callOf(0, CALL.SetInitialAPState, 23, 1, 5);
    callOf(0, CALL.SetInitialAPState, 0xffff_ffff, 1, 5);
    expect(device.parts.start(1)).toBeNull();
    // Another processor gives one meanwhile: what is left of the first has no place.
    give(it, 1, words.slice(0, 5));
    give(it, 1, words, 1);
    words.slice(5).forEach((word, i) => call(CALL.SetInitialAPState, i + 5, 1, word ^ 1));
    expect(device.parts.start(1)!.eip).toBe(words[6]);
    troubles.length = 0;
    for (const nobody of [0, 2, 255, 0xffff_ffff]) give(it, nobody, words);
    expect(troubles).toEqual([
      'gives a state to start processor 0 in, which runs when the others start',
      ...['2', '255', '4294967295'].map((n) => `gives a state to start processor ${n} in, which there is not`),
    ]);
    for (const [cr0, flags, why] of [
      [0x8000_0000, 0, /without protection/],
      [1, 0, /without .*paging/],
      [0x8000_0001, 0x2_0002, /virtual-8086/],
    ] as const) {
      give(it, 1, words.with(0, cr0).with(7, flags));
      expect(troubles.at(-1)).toMatch(why);
      expect(device.parts.start(1)).toBeNull();
    }
  });
  it('have no alarms when they are started', () => {
    const { clock, call, callOf, device, local, ticks } = rig(2);
    call(HYPERCALL_INIT, 0);
    callOf(1, CALL.SetAlarm, 0x1_0100, 1 * MS, 0, 1 * MS, 0);
    callOf(1, CALL.SetAlarm, 0x101, 1 * MS, 0, 1 * MS, 0);
    callOf(0, CALL.SetAlarm, 0x1_0000, 2 * MS, 0);
    device.parts.start(1);
    clock.advance(5 * MS);
    expect([ticks, local]).toEqual([[], [[0, 2 * MS]]]);
  });
  it("were none in states of before: the clock was the machine's", () => {
    const { clock, device, call } = rig(),
      { state } = device.save() as { state: Record<string, unknown> };
    const alarm = { armed: true, usesLine: false, periodic: false, expiry: 5 * MS, period: 0 };
    const { processors: _, ...rest } = state;
    clock.advance(10);
    device.restore({
      ...{ kind: 'vmi', version: 1 },
      state: { ...rest, alarms: [alarm, { ...alarm, armed: false }], stolen: 4, available: 2 },
    });
    expect(call(CALL.GetCycleCounter, 2)).toEqual([4, 0]);
    expect(call(CALL.GetCycleCounter, 1)).toEqual([6, 0]);
    expect(call(CALL.CancelAlarm, 0)).toEqual([1]);
    expect(() => device.restore({ kind: 'vmi', version: 1, state: null })).toThrow(/state/);
  });
});

deviceBattery(vmi, {
  config: { epoch: EPOCH, processors: 2 },
  disturb({ parts }) {
    const callOf = (processor: number, number: number, ...given: number[]): void => {
      const [a = 0, b = 0, c = 0, d = 0, e = 0] = given;
      parts.hypercall({ number, arguments: [a, b, c, d, e], processor, cpl: 0 });
    };
    const call = (number: number, ...given: number[]): void => callOf(0, number, ...given);
    call(HYPERCALL_INIT, 0xc00c_8000);
    parts.stolen(0, 77);
    parts.stolen(1, 78);
    call(CALL.AllocatePage, 3, 0x42);
    call(CALL.SetAlarm, 0x101, 0, 0, 5 * MS, 0);
    call(CALL.SetAlarm, 0x1_0100, 900 * MS, 0, 7 * MS, 0);
    callOf(1, CALL.SetAlarm, 0x1_0101, 2 * MS, 0, 11 * MS, 0);
    for (let word = 0; word < 12; word++) callOf(1, CALL.SetInitialAPState, word, 1, 0x8000_0001);
  },
});
