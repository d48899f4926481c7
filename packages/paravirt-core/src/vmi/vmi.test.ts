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
import { localApic, vmi } from './vmi.ts';

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

function rig() {
  const clock = new ManualClock();
  const troubles: string[] = [],
    signals: unknown[] = [],
    ticks: number[] = [],
    local: number[] = [];
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
  const registers = new Map<number, number>();
  const apic = {
    readRegister: (offset: number) => registers.get(offset) ?? 0,
    writeRegister: (offset: number, value: number) => void registers.set(offset, value),
    timerInterrupt: () => void local.push(clock.now()),
  };
  const device = board.add(vmi, { epoch: EPOCH }, { backends: [backend(localApic, apic)] });
  board.reset();
  const call = (number: number, ...given: number[]): readonly number[] => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = given;
    return device.parts.hypercall({ number, arguments: [a, b, c, d, e], cpl: 0 }) as readonly number[];
  };
  return { board, clock, device, call, troubles, signals, ticks, local };
}

describe('the counters', () => {
  it('are real time, what was available of it, and what was stolen; nothing else counts', () => {
    const { clock, device, call } = rig();
    clock.advance(5 * 2 ** 32 + 7);
    device.parts.stolen(2 ** 32 + 3);

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
    device.parts.stolen(60);
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
    expect([ticks, local]).toEqual([[], [1 * MS, 2 * MS, 3 * MS]]);
  });
  it('on available time waits for what was stolen meanwhile', () => {
    const { clock, device, call, ticks } = rig();
    call(CALL.SetAlarm, 1, 10 * MS, 0);
    clock.advance(5 * MS);
    device.parts.stolen(3 * MS);
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
    expect(pages.release(5, 6)).toBeUndefined();
    expect([5, 6, 7].map((page) => pages.has(page))).toEqual([false, true, true]);
    expect(pages.release(5, 6)).toMatch(/^releases page 5h/);
    expect(announce(256)).toMatch(/^announces page 100h .* not in RAM/);
    expect(announce(0xffff_ffff)).toMatch(/not in RAM/);
    expect(announce(8, { flags: 0x62, source: 5 })).toMatch(/copy of page 5h/);
    expect(announce(8, { flags: 0x62, source: 6, first: 1000, count: 25 })).toMatch(/25 entries from 1000/);
    expect(announce(8, { flags: 0x72, source: 6, first: 500, count: 13 })).toMatch(/13 entries/);
    expect(pages.has(8)).toBe(false);
    expect(pages.release(6, 6)).toMatch(/^releases page 6h, the root .* in use/);
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
            : pages.release(page, 99);
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
    expect(device.parts.hypercall({ number: CALL.Shutdown, arguments: [0, 0, 0, 0, 0], cpl: 3 })).toEqual([
      0xffff_ffff,
    ]);
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

deviceBattery(vmi, {
  config: { epoch: EPOCH },
  disturb({ parts }) {
    const call = (number: number, ...given: number[]): void => {
      const [a = 0, b = 0, c = 0, d = 0, e = 0] = given;
      parts.hypercall({ number, arguments: [a, b, c, d, e], cpl: 0 });
    };
    call(HYPERCALL_INIT, 0xc00c_8000);
    parts.stolen(77);
    call(CALL.AllocatePage, 3, 0x42);
    call(CALL.SetAlarm, 0x101, 0, 0, 5 * MS, 0);
    call(CALL.SetAlarm, 0x1_0100, 900 * MS, 0, 7 * MS, 0);
  },
});
