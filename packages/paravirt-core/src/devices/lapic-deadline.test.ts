/** The local APIC's timer in TSC-deadline mode, sentence by sentence of SDM vol. 3, 11.5.4.1. */
import { us } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { machine } from './apic-rig.ts';
import * as R from './lapic-registers.ts';
import { lapic } from './lapic.ts';

const VECTOR = 0x60;
const ONE_SHOT = VECTOR,
  PERIODIC = R.LVT_PERIODIC | VECTOR,
  DEADLINE = R.LVT_DEADLINE | VECTOR,
  RESERVED = R.LVT_TIMER_MODE | VECTOR;
/** Beyond what the machine's clock reaches. */
const FAR = [0xffff_ffff, 0xffff_ffff, null] as const;

/** An enabled APIC with its timer in a mode. The time stamp counter is the machine's clock. */
function timer(lvt: number) {
  const m = machine();
  m.enable();
  m.write(R.APIC_LVT_TIMER, lvt);
  const { parts } = m.local;
  return {
    ...m,
    arm: (at: number) => parts.setDeadline(at % 2 ** 32, Math.floor(at / 2 ** 32), at),
    deadline: () => Number(parts.deadline()),
    /** The vectors that come. */
    served(): number[] {
      const vectors: number[] = [];
      while (m.board.interruptRequested) {
        vectors.push(m.board.acknowledge());
        m.write(R.APIC_EOI, 0);
      }
      return vectors;
    },
  };
}

describe('a deadline', () => {
  it('interrupts once, when the counter reaches it, and is 0 from there on', () => {
    const t = timer(DEADLINE);
    t.clock.advance(1000);
    t.arm(2 ** 32 + 5000);
    expect([t.deadline(), t.board.alarms.next()]).toEqual([2 ** 32 + 5000, 2 ** 32 + 5000]);

    t.clock.advance(2 ** 32 + 3999);
    expect([t.served(), t.deadline()]).toEqual([[], 2 ** 32 + 5000]);
    t.clock.advance(1);
    expect([t.served(), t.deadline(), t.board.alarms.next()]).toEqual([[VECTOR], 0, null]);
    t.clock.advance(2 ** 33);
    expect(t.served()).toEqual([]);
  });
  it('that is past, or now, interrupts at once', () => {
    const t = timer(DEADLINE);
    t.clock.advance(1000);
    for (const at of [1, 999, 1000]) {
      t.arm(at);
      expect([t.deadline(), t.served(), t.board.alarms.next()], String(at)).toEqual([0, [VECTOR], null]);
    }
  });
  it('is disarmed by 0, and moved forward and backward by another', () => {
    const t = timer(DEADLINE);
    t.arm(us(5));
    t.arm(0);
    expect([t.deadline(), t.board.alarms.next()]).toEqual([0, null]);
    t.clock.advance(us(10));
    expect(t.served()).toEqual([]);
    t.arm(us(20));
    t.arm(us(30));
    t.clock.advance(us(15));
    expect([t.served(), t.deadline()]).toEqual([[], us(30)]);
    t.arm(us(26));
    t.clock.advance(us(1));
    expect(t.served()).toEqual([VECTOR]);
  });
  it('that was reached before anybody looked is not lost when the next one is written', () => {
    const { local, write, clock, board, enable } = machine();
    enable();
    write(R.APIC_LVT_TIMER, DEADLINE);
    local.parts.setDeadline(500, 0, 500);
    // The alarm is late.
    board.alarms.create(() => local.parts.setDeadline(900, 0, 900)).set(500);
    clock.advance(500);
    expect([board.interruptRequested, local.parts.deadline()]).toEqual([true, 900n]);
  });
  it('far beyond the life of the machine is kept, and never comes', () => {
    const t = timer(DEADLINE);
    t.local.parts.setDeadline(...FAR);
    expect([t.local.parts.deadline(), t.board.alarms.next()]).toEqual([2n ** 64n - 1n, null]);
  });
  it('is ignored and reads as 0 in every other mode', () => {
    for (const lvt of [ONE_SHOT, PERIODIC, RESERVED]) {
      const t = timer(lvt);
      t.arm(us(5));
      expect([t.deadline(), t.board.alarms.next()]).toEqual([0, null]);
      t.arm(0);
      t.clock.advance(us(10));
      t.write(R.APIC_LVT_TIMER, DEADLINE);
      expect([t.deadline(), t.served()]).toEqual([0, []]);
    }
  });
  it('is ignored while the APIC is disabled by its base', () => {
    const t = timer(DEADLINE);
    t.local.parts.setBase(0xfee0_0000);
    t.arm(us(5));
    expect(t.deadline()).toBe(0);
    t.local.parts.setBase(0xfee0_0800);
    expect([t.deadline(), t.board.alarms.next()]).toEqual([0, null]);
  });
  it('passes in silence while the entry is masked, be it by the guest or by disabling', () => {
    const t = timer(DEADLINE | R.LVT_MASKED);
    t.arm(us(5));
    expect([t.deadline(), t.board.alarms.next()]).toEqual([us(5), null]);
    t.clock.advance(us(5));
    expect(t.deadline()).toBe(0);
    t.arm(us(10));
    t.clock.advance(us(6));
    t.write(R.APIC_LVT_TIMER, DEADLINE);
    expect([t.served(), t.deadline()]).toEqual([[], 0]);
    t.arm(us(20));
    t.write(R.APIC_SVR, 0xff);
    t.enable();
    expect([t.deadline(), t.board.alarms.next()]).toEqual([us(20), null]);
    t.clock.advance(us(2));
    t.write(R.APIC_LVT_TIMER, DEADLINE);
    t.clock.advance(us(10));
    expect(t.served()).toEqual([VECTOR]);
    t.write(R.APIC_LVT_TIMER, DEADLINE | R.LVT_MASKED);
    t.arm(1);
    expect([t.served(), t.deadline()]).toEqual([[], 0]);
  });
});

describe('the mode', () => {
  it('has no count: writes of the initial count do nothing, and the current count is 0', () => {
    const t = timer(DEADLINE);
    t.write(R.APIC_TIMER_DIVIDE, 0xb);
    t.write(R.APIC_TIMER_INITIAL, 1000);
    expect([R.APIC_TIMER_INITIAL, R.APIC_TIMER_CURRENT].map(t.read)).toEqual([0, 0]);
    t.clock.advance(us(10));
    expect([t.served(), t.board.alarms.next()]).toEqual([[], null]);
  });
  it.each([
    ['one-shot', ONE_SHOT],
    ['periodic', PERIODIC],
  ])('disarms the timer when it comes after %s, and when it goes', (_, other) => {
    const t = timer(other);
    t.write(R.APIC_TIMER_DIVIDE, 0xb);
    t.write(R.APIC_TIMER_INITIAL, us(50));
    t.write(R.APIC_LVT_TIMER, DEADLINE);
    expect([R.APIC_TIMER_INITIAL, R.APIC_TIMER_CURRENT].map(t.read)).toEqual([0, 0]);
    t.clock.advance(us(100));
    expect(t.served()).toEqual([]);
    t.arm(us(150));
    t.write(R.APIC_LVT_TIMER, other);
    expect([t.deadline(), t.board.alarms.next()]).toEqual([0, null]);
    t.write(R.APIC_LVT_TIMER, DEADLINE);
    t.clock.advance(us(100));
    expect([t.served(), t.deadline()]).toEqual([[], 0]);
  });
  it('is kept, with its deadline, when the vector or the mask changes', () => {
    const t = timer(DEADLINE);
    t.arm(us(5));
    t.write(R.APIC_LVT_TIMER, R.LVT_DEADLINE | 0x71);
    expect([t.read(R.APIC_LVT_TIMER), t.deadline()]).toEqual([0x4_0071, us(5)]);
    t.clock.advance(us(5));
    expect(t.served()).toEqual([0x71]);
  });
  it('of both bits, which is reserved, has no timer', () => {
    const t = timer(RESERVED);
    expect(t.read(R.APIC_LVT_TIMER)).toBe(0x6_0060);
    t.write(R.APIC_TIMER_INITIAL, 1000);
    t.clock.advance(us(100));
    expect([t.served(), t.read(R.APIC_TIMER_CURRENT)]).toEqual([[], 0]);
  });
  it('is gone after reset', () => {
    const t = timer(DEADLINE);
    t.arm(us(5));
    t.board.reset();
    expect([t.deadline(), t.read(R.APIC_LVT_TIMER), t.board.alarms.next()]).toEqual([0, 0x1_0000, null]);
  });
});

it('reads states from before there was the mode', () => {
  const then = timer(ONE_SHOT);
  then.write(R.APIC_TIMER_DIVIDE, 0xb);
  then.write(R.APIC_TIMER_INITIAL, us(5));
  const { kind, state } = then.local.save() as { kind: string; state: { timer: Record<string, unknown> } };
  for (const field of ['deadlineLow', 'deadlineHigh', 'reached']) delete state.timer[field];

  const t = timer(DEADLINE);
  t.arm(us(1));
  t.local.restore({ kind, version: 1, state });
  expect([t.deadline(), t.board.alarms.next()]).toEqual([0, us(5)]);
  t.clock.advance(us(5));
  expect(t.served()).toEqual([VECTOR]);
  for (const hostile of [null, undefined, 1, {}, { timer: null }, { ...state, timer: 7 }])
    expect(() => t.local.restore({ kind, version: 1, state: hostile })).toThrow(
      expect.objectContaining({ code: 'state.invalid' }),
    );
});
it('refuses a time without a deadline', () => {
  const t = timer(DEADLINE);
  const saved = structuredClone(t.local.save()) as {
    kind: string;
    version: number;
    state: { timer: { reached: number } };
  };
  saved.state.timer.reached = 5;
  expect(() => t.local.restore(saved)).toThrow(/reached/);
});

deviceBattery(lapic, {
  config: { id: 0 },
  disturb({ parts }, { clock }) {
    const write = (register: number, value: number): void => parts.memory[0]!.write(register, 4, value);
    write(R.APIC_SVR, 0x1ef);
    write(R.APIC_LVT_TIMER, DEADLINE);
    write(R.APIC_TIMER_DIVIDE, 1);
    clock.advance(700_000);
    parts.setDeadline(700_000, 0, 700_000);
    parts.acknowledge();
    parts.setDeadline(5_000_000, 0, 5_000_000);
  },
  actions: [
    ({ parts }, random) => {
      const at = random.next(20_000_000);
      parts.setDeadline(at, random.next(4), random.next(4) === 0 ? null : at);
    },
    ({ parts }) => String(parts.deadline()),
    ({ parts }, random) => parts.memory[0]!.write(R.APIC_LVT_TIMER, 4, (random.next(8) << 16) | random.next(256)),
    ({ parts }, random) => parts.setBase(0xfee0_0000 + random.next(2) * 0x800),
    ({ parts }) => parts.memory[0]!.write(R.APIC_SVR, 4, 0x1ef),
  ],
});
