/** KVM's interface as the processor asks for it, on a board without one: each register, each hypercall, and guests that mean ill. */
import { ManualClock } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery, seededRandom } from '../machine/battery.ts';
import { Board, backend } from '../machine/board.ts';
import type { ApicMessage } from '../machine/device.ts';
import { hypercall } from './hypercalls.ts';
import { ALL_FEATURES, FEATURE, HYPERCALL, KVM_EINVAL, KVM_ENOSYS, KVM_EPERM, MSR } from './kvm-interface.ts';
import { kvm, otherProcessors } from './kvm.ts';

const RAM = 1 << 16;
const EPOCH = 1_700_000_000;
const AT = 0x1000;

function rig({ features = ALL_FEATURES, processors = 1 } = {}) {
  const bytes = new Uint8Array(RAM),
    view = new DataView(bytes.buffer);
  const board = new Board({ ram: bytes, clock: new ManualClock() });
  const device = board.add(kvm, { features, epoch: EPOCH, processors });
  board.reset();
  return { ...device.parts, board, bytes, view };
}
type Guest = ReturnType<typeof rig>;
/** Time as a guest computes it from its counter (msr.rst, MSR_KVM_SYSTEM_TIME_NEW). */
function timeOf({ view }: Guest, address: number, counter: bigint): bigint {
  const passed = BigInt.asUintN(64, counter - view.getBigUint64(address + 8, true));
  const shift = view.getInt8(address + 28);
  const shifted = BigInt.asUintN(64, shift >= 0 ? passed << BigInt(shift) : passed >> BigInt(-shift));
  return ((shifted * BigInt(view.getUint32(address + 24, true))) >> 32n) + view.getBigUint64(address + 16, true);
}

describe('CPUID', () => {
  it('names KVM, and the features that are there', () => {
    const { leaf } = rig();
    const [last, ...signature] = leaf(0x4000_0000)!;

    expect(Buffer.from(Uint32Array.from(signature).buffer).toString('latin1')).toBe('KVMKVMKVM\0\0\0');
    expect(last).toBe(0x4000_0001);
    expect(leaf(0x4000_0001)).toEqual([0x0100_3aeb, 0, 0, 0]);
    expect([0, 1, 0x4000_0002, 0x4000_0100, 0x8000_0000].map(leaf)).toEqual(Array(5).fill(undefined));
  });
});

describe('the clock', () => {
  it.each([
    ['its new registers', MSR.SYSTEM_TIME],
    ['its old ones', MSR.SYSTEM_TIME_OLD],
  ])('at %s tells the machine its time from its counter, to the nanosecond', (_, register) => {
    const guest = rig();
    guest.view.setUint32(AT, 6, true);

    expect(guest.writeMsr(register, BigInt(AT) | 1n, 5000n)).toBe(true);

    expect(guest.readMsr(register)).toBe(BigInt(AT) | 1n);
    expect(guest.view.getUint32(AT, true)).toBe(8);
    expect(guest.view.getUint8(AT + 29)).toBe(1);
    // The counter stands 5000 beyond the machine's clock.
    const times = [5000n, 5001n, 123_456_789_012_345n].map((counter) => timeOf(guest, AT, counter));
    expect(times).toEqual([0n, 1n, 123_456_789_007_345n]);
  });
  it('goes on when the guest moves its counter, be it behind 0', () => {
    const guest = rig();
    guest.writeMsr(MSR.SYSTEM_TIME, BigInt(AT) | 1n, 0n);

    guest.timestampMoved(-1_000_000n);

    expect(guest.view.getUint32(AT, true)).toBe(4);
    expect(timeOf(guest, AT, BigInt.asUintN(64, 250_000n - 1_000_000n))).toBe(250_000n);
  });
  it('is written to no more when it is switched off', () => {
    const guest = rig();
    guest.writeMsr(MSR.SYSTEM_TIME, BigInt(AT) | 1n, 0n);
    guest.writeMsr(MSR.SYSTEM_TIME, BigInt(AT), 0n);
    guest.bytes.fill(0xee, AT, AT + 32);

    guest.timestampMoved(77n);

    expect(guest.bytes.subarray(AT, AT + 32).every((byte) => byte === 0xee)).toBe(true);
  });
  it.each([
    ['new', MSR.WALL_CLOCK],
    ['old', MSR.WALL_CLOCK_OLD],
  ])('says by its %s register what the calendar showed when it began', (_, register) => {
    const guest = rig();
    guest.view.setUint32(AT, 3, true);

    guest.writeMsr(register, BigInt(AT), 0n);

    expect([0, 4, 8].map((at) => guest.view.getUint32(AT + at, true))).toEqual([4, EPOCH, 0]);
  });
  it('has two names for one thing', () => {
    const { writeMsr, readMsr } = rig();
    writeMsr(MSR.WALL_CLOCK_OLD, 0x2000n, 0n);
    writeMsr(MSR.SYSTEM_TIME, 0x3001n, 0n);

    expect([readMsr(MSR.WALL_CLOCK), readMsr(MSR.SYSTEM_TIME_OLD)]).toEqual([0x2000n, 0x3001n]);
  });
});

describe('steal time', () => {
  it('adds up in the memory of the guest, with an even version', () => {
    const guest = rig();
    expect(guest.wantsStolenTime()).toBe(false);
    guest.writeMsr(MSR.STEAL_TIME, BigInt(AT) | 1n, 0n);
    expect(guest.wantsStolenTime()).toBe(true);

    guest.stolen(2 ** 33);
    guest.stolen(5);

    expect(guest.view.getBigUint64(AT, true)).toBe(2n ** 33n + 5n);
    expect(guest.view.getUint32(AT + 8, true)).toBe(4);
  });
  const PREEMPTED = AT + 16;
  it('says whether the processor waits, and hears whether to flush it', () => {
    const guest = rig();
    guest.bytes[PREEMPTED] = 0xff;
    guest.preempted();
    expect([guest.resumes(), guest.bytes[PREEMPTED]]).toEqual([false, 0xff]);

    // Whoever names the place executes.
    guest.writeMsr(MSR.STEAL_TIME, BigInt(AT) | 1n, 0n);
    expect(guest.bytes[PREEMPTED]).toBe(0);
    guest.preempted();
    expect(guest.bytes[PREEMPTED]).toBe(1);
    guest.stolen(5);
    expect(guest.bytes[PREEMPTED]).toBe(1);
    expect([guest.resumes(), guest.bytes[PREEMPTED]]).toEqual([false, 0]);
    guest.preempted();
    guest.bytes[PREEMPTED]! |= 2;
    expect([guest.resumes(), guest.bytes[PREEMPTED], guest.resumes()]).toEqual([true, 0, false]);
  });
  it('flushes nobody where that feature is left out', () => {
    const guest = rig({ features: ALL_FEATURES & ~FEATURE.PV_TLB_FLUSH });
    guest.writeMsr(MSR.STEAL_TIME, BigInt(AT) | 1n, 0n);
    guest.preempted();
    guest.bytes[PREEMPTED]! |= 2;

    expect([guest.resumes(), guest.bytes[PREEMPTED]]).toEqual([false, 0]);
  });
  it('refuses reserved bits', () => {
    const { writeMsr, readMsr } = rig();

    for (let bit = 1n; bit <= 5n; bit++) expect(writeMsr(MSR.STEAL_TIME, (1n << bit) | 1n, 0n)).toBe(false);
    expect(readMsr(MSR.STEAL_TIME)).toBe(0n);
  });
});

describe('the end of an interrupt', () => {
  const enabled = (): Guest => {
    const guest = rig();
    expect(guest.writeMsr(MSR.PV_EOI, BigInt(AT) | 1n, 0n)).toBe(true);
    return guest;
  };
  it('is offered by a bit that the guest clears', () => {
    const { eoi, bytes } = enabled();
    eoi.offer();
    expect(bytes[AT]).toBe(1);
    bytes[AT] = 0;

    expect([eoi.settle(), eoi.settle()]).toEqual([true, false]);
  });
  it('is no longer offered once something has come up', () => {
    const { eoi, bytes } = enabled();
    eoi.offer();

    expect([eoi.settle(), bytes[AT]]).toEqual([false, 0]);
  });
  it('is settled before its place changes', () => {
    const guest = enabled(),
      settled: boolean[] = [];
    guest.eoi.onMove(() => settled.push(guest.eoi.settle()));
    guest.eoi.offer();

    guest.writeMsr(MSR.PV_EOI, BigInt(AT + 4) | 1n, 0n);

    expect([settled, guest.bytes[AT]]).toEqual([[false], 0]);
  });
  it('is not offered where the guest has not asked for it', () => {
    const { eoi, bytes } = rig();
    eoi.offer();
    expect([bytes[0], eoi.settle()]).toEqual([0, false]);
  });
  it('refuses what is not aligned, and what is no RAM', () => {
    const { writeMsr } = rig();

    for (const value of [0x1003n, 0x1002n, BigInt(RAM) | 1n, (1n << 63n) | 1n])
      expect(writeMsr(MSR.PV_EOI, value, 0n)).toBe(false);
    expect(writeMsr(MSR.PV_EOI, BigInt(RAM - 4) | 1n, 0n)).toBe(true);
    expect(writeMsr(MSR.PV_EOI, BigInt(RAM), 0n)).toBe(true);
  });
});

describe('registers', () => {
  it('poll control has one bit, set at first', () => {
    const { readMsr, writeMsr } = rig();

    expect(readMsr(MSR.POLL_CONTROL)).toBe(1n);
    expect([0n, 2n, 1n << 63n].map((value) => writeMsr(MSR.POLL_CONTROL, value, 0n))).toEqual([true, false, false]);
    expect(readMsr(MSR.POLL_CONTROL)).toBe(0n);
  });
  it('of features that are left out are not there, nor are those of asynchronous page faults', () => {
    const absent = (features: number): number[] =>
      Object.values(MSR).filter((n) => rig({ features }).readMsr(n) === undefined);

    expect(absent(ALL_FEATURES & ~FEATURE.CLOCKSOURCE)).toEqual([0x11, 0x12]);
    expect(absent(ALL_FEATURES & ~FEATURE.PV_EOI)).toEqual([MSR.PV_EOI]);
    expect(absent(0)).toEqual(Object.values(MSR));
    const { readMsr, writeMsr } = rig();
    for (const n of [0x4b56_4d02, 0x4b56_4d06, 0x4b56_4d07, 0x4b56_4d08, 0x4b56_4dff, 0x10, 0x13])
      expect([readMsr(n), writeMsr(n, 0n, 0n)]).toEqual([undefined, false]);
  });
});

describe('hypercalls', () => {
  const call = (
    guest: Guest,
    number: number,
    given: readonly [number, number, number, number] = [0, 0, 0, 0],
    cpl = 0,
  ): number => guest.hypercall({ number, arguments: given, cpl });

  it('are answered at CPL 0 alone', () => {
    for (const cpl of [1, 2, 3]) expect(call(rig(), HYPERCALL.VAPIC_POLL_IRQ, [0, 0, 0, 0], cpl)).toBe(-KVM_EPERM);
    expect(call(rig(), HYPERCALL.VAPIC_POLL_IRQ)).toBe(0);
  });
  it('have a word for those that are not there, features that are left out included', () => {
    for (const number of [0, 2, 3, 4, 6, 7, 8, 9, 12, 1000, 0xffff_ffff]) expect(call(rig(), number)).toBe(-KVM_ENOSYS);
    expect(call(rig({ features: 0 }), HYPERCALL.KICK_CPU)).toBe(-KVM_ENOSYS);
    expect(call(rig({ features: 0 }), HYPERCALL.SEND_IPI)).toBe(-KVM_ENOSYS);
    expect(call(rig({ features: 0 }), HYPERCALL.SCHED_YIELD)).toBe(-KVM_ENOSYS);
  });
  it('wake a processor, once, and none that is not there', () => {
    const guest = rig();
    expect([call(guest, HYPERCALL.KICK_CPU, [0, 7, 0, 0]), guest.takeKick()]).toEqual([0, false]);
    expect(call(guest, HYPERCALL.KICK_CPU)).toBe(0);
    expect([guest.takeKick(), guest.takeKick()]).toEqual([true, false]);
  });

  it('give the turn to a processor that is there', () => {
    const heirs: number[] = [];
    const board = new Board({ ram: new Uint8Array(RAM), clock: new ManualClock() }),
      others = backend(otherProcessors, { kick: () => undefined, yieldTo: (apicId) => void heirs.push(apicId) });
    const { parts } = board.add(kvm, { features: ALL_FEATURES, epoch: 0, processors: 3 }, { backends: [others] });
    const answers = [2, 3, 0xffff_ffff].map((apicId) =>
      parts.hypercall({ number: HYPERCALL.SCHED_YIELD, arguments: [apicId, 0, 0, 0], cpl: 0 }),
    );
    expect([answers, heirs]).toEqual([[0, 0, 0], [2]]);
    expect(call(rig(), HYPERCALL.SCHED_YIELD)).toBe(0);
  });

  const sent = (processors: number, ...given: [number, number, number, number]): [number, ApicMessage[]] => {
    const messages: ApicMessage[] = [];
    const send = (message: ApicMessage): void => void messages.push(message);
    const parts = { features: ALL_FEATURES, processors, send, kick: () => undefined, yieldTo: () => undefined };
    return [hypercall({ number: HYPERCALL.SEND_IPI, arguments: given, cpl: 0 }, parts), messages];
  };
  const fixed = (destination: number, vector: number): ApicMessage => ({
    ...{ destination, logical: false, mode: 'fixed', vector, level: false },
  });
  it('send an interrupt to each processor of two words that there is', () => {
    expect(sent(1, 0xffff_ffff, 0xffff_ffff, 0, 0x40)).toEqual([1, [fixed(0, 0x40)]]);
    expect(sent(70, 0x8000_0001, 2, 4, 0xfd)).toEqual([3, [fixed(4, 0xfd), fixed(35, 0xfd), fixed(37, 0xfd)]]);
    expect(sent(1, 0, 0, 0, 0x40)).toEqual([0, []]);
    expect(sent(1, 1, 0, 0xffff_ffff, 0x40)).toEqual([0, []]);
    expect(sent(1, 1, 0, 0, 0x402)[1]).toEqual([{ ...fixed(0, 2), mode: 'nmi' }]);
  });
  it.each([
    ['a destination of its own', 0x0800],
    ['a shorthand', 0x4_0000],
    ['INIT', 0x0500],
    ['a start-up', 0x0600],
    ['a system management interrupt', 0x0200],
  ])('do not send %s', (_, command) => {
    expect(sent(1, 1, 0, 0, command | 0x40)).toEqual([-KVM_EINVAL, []]);
  });
});

describe('a guest that means ill', () => {
  /** Values around everything that a register could take for an address. */
  const hostile = (next: (n: number) => number): bigint => {
    const edges = [0, AT, RAM - 64, RAM - 32, RAM - 12, RAM - 4, RAM - 1, RAM, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 52];
    const value = BigInt(edges[next(edges.length)]!) + BigInt(next(70)) - 3n;
    return BigInt.asUintN(64, next(8) === 0 ? value | (BigInt(next(2 ** 32)) << 32n) : value | BigInt(next(2)));
  };
  it('writes to no byte outside of its memory, and breaks nothing (seeds 1 to 40)', () => {
    const numbers = [...Object.values(MSR), 0x4b56_4d02, 0x4b56_4dff, 0, 0xffff_ffff];
    for (let seed = 1; seed <= 40; seed++) {
      const { next } = seededRandom(seed);
      // RAM in the middle of something that must stay as it is.
      const around = new Uint8Array(RAM + 256).fill(0xa5),
        ram = around.subarray(128, 128 + RAM);
      const board = new Board({ ram, clock: new ManualClock() });
      const { parts } = board.add(kvm, { features: ALL_FEATURES, epoch: 2 ** 33 + 5, processors: 1 + next(4) });
      board.reset();
      for (let step = 0; step < 2_000; step++) {
        const n = numbers[next(numbers.length)]!;
        switch (next(10)) {
          case 8:
            parts.preempted();
            break;
          case 9:
            parts.resumes();
            break;
          case 0:
            parts.readMsr(n);
            break;
          case 1:
            parts.timestampMoved(hostile(next) - (1n << 63n));
            break;
          case 2:
            parts.stolen([0, 1, -5, NaN, 2 ** 60][next(5)]! || 0);
            break;
          case 3:
            parts.eoi.offer();
            break;
          case 4:
            parts.eoi.settle();
            break;
          case 5: {
            const word = (): number => [0, 1, 0xffff_ffff, next(2 ** 32)][next(4)]!;
            const given = [word(), word(), word(), word()] as const;
            const answer = parts.hypercall({ number: next(14), arguments: given, cpl: next(4) });
            expect(Number.isInteger(answer) && answer >= -KVM_ENOSYS && answer <= 64).toBe(true);
            break;
          }
          default:
            parts.writeMsr(n, hostile(next), hostile(next));
        }
      }
      const outside = [...around.subarray(0, 128), ...around.subarray(128 + RAM)];
      expect(
        outside.every((byte) => byte === 0xa5),
        `seed ${seed}`,
      ).toBe(true);
    }
  });
});

deviceBattery(kvm, {
  config: { features: ALL_FEATURES, epoch: EPOCH, processors: 1 },
  disturb({ parts }) {
    parts.writeMsr(MSR.SYSTEM_TIME, 0x101n, 99n);
    parts.writeMsr(MSR.WALL_CLOCK, 0x200n, 0n);
    parts.writeMsr(MSR.STEAL_TIME, 0x241n, 0n);
    parts.writeMsr(MSR.POLL_CONTROL, 0n, 0n);
    parts.writeMsr(MSR.PV_EOI, 0x301n, 0n);
    parts.eoi.offer();
    parts.hypercall({ number: HYPERCALL.KICK_CPU, arguments: [0, 0, 0, 0], cpl: 0 });
  },
});
