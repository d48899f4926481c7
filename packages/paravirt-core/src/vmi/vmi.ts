/**
 * The hypervisor's side of VMI: what the option ROM's code cannot do by itself. It has neither ports nor memory: the ROM's hypercalls
 * come here, with numbers alone, so that nothing of a guest's memory is read or written.
 */
import { array, bool, list, nested, pod, u32, whole, type Nanoseconds } from '@tomei/kit';
import { backendKind, defineDevice, typed } from '../machine/device.ts';
import { NEVER, advance, alarmState, arm, disarm, timeOf } from './alarms.ts';
import { ALARM, CALL, CALL_NAMES, COUNTER, HYPERCALL_INIT } from './interface.ts';
import { PageTables } from './page-tables.ts';

export interface VmiConfig {
  /** Unix time in seconds when the machine's clock was 0. */
  readonly epoch: number;
}
/** The local APIC of the processor that calls. */
export interface LocalApic {
  /** Registers by their offset, multiples of 16. */
  readRegister(offset: number): number;
  writeRegister(offset: number, value: number): void;
  /** An interrupt of the timer, by its entry in the local vector table. */
  timerInterrupt(): void;
}
export const localApic = backendKind<LocalApic>('local-apic');

/** A hypercall of the ROM: the number of its call, five arguments, and at which privilege level. */
export interface VmiCall {
  readonly number: number;
  readonly arguments: readonly [number, number, number, number, number];
  readonly cpl: number;
}
/** EAX and EDX afterwards; EDX as it was when absent. */
export type VmiAnswer = readonly [eax: number, edx?: number];

const TIMER_LINE = 0;
const PAGE_BYTES = 4096;
/** More RAM than a 32-bit board has, in pages. */
const MOST_PAGES = 1 << 20;
/** APIC registers are within a page. */
const APIC_OFFSET = 0xfff;
const DONE: VmiAnswer = [0];
const REFUSED: VmiAnswer = [0xffff_ffff];

export const vmi = defineDevice({
  kind: 'vmi',
  version: 1,
  summary: "VMI 3.0: timer, APIC, page tables, power, behind an option ROM's calls",
  config: typed<VmiConfig>({ epoch: 0 }),
  state: pod({
    /** VMI_Init has been called, and where the guest has its ROM: a linear address. */
    active: bool(),
    base: u32(),
    /** By counter: real time, available time. */
    alarms: array(2, () => nested(alarmState)),
    /** The level at which the timer's line is driven. */
    line: bool(),
    /** Nanoseconds for which the guest's processor was ready and had none of the host's. */
    stolen: whole(),
    /** The most that the counter of available time has shown. */
    available: whole(),
    /** Page frame numbers. */
    pageTables: list(MOST_PAGES, u32()),
  }),
  attach({ config: { epoch }, state, host }) {
    const apic = host.backend(localApic);
    const counts = { calls: 0 };
    const ramPages = Math.floor(host.memory.size / PAGE_BYTES);
    let pageTables = new PageTables(state.pageTables, ramPages);

    const counter = (which: number): Nanoseconds => {
      const now = Math.floor(host.clock.now());
      if (which === COUNTER.REAL) return now;
      // What was stolen is told of later, when the guest may have seen it as its own: counters do not go back.
      if (which === COUNTER.AVAILABLE) return (state.available = Math.max(state.available, now - state.stolen));
      return which === COUNTER.STOLEN ? state.stolen : 0;
    };
    /** Each alarm on the machine's clock. */
    const timers = [COUNTER.REAL, COUNTER.AVAILABLE].map((which) => host.alarm(() => expire(which)));
    const settleAlarm = (which: number): void => {
      const { armed, expiry } = state.alarms[which]!,
        at = expiry + (which === COUNTER.AVAILABLE ? state.stolen : 0);
      if (armed && at < NEVER) timers[which]!.set(at);
      else timers[which]!.cancel();
    };
    /** The guest has stopped the PIT, whose output may be high: while an alarm comes on its line, nothing else does. */
    const settleLine = (): void => {
      const uses = state.alarms.some(({ usesLine }) => usesLine);
      state.line &&= uses;
      host.replaceLine(TIMER_LINE, uses);
      host.irq(TIMER_LINE, state.line);
    };
    const expire = (which: number): void => {
      const alarm = state.alarms[which]!,
        now = counter(which);
      if (alarm.armed && now >= alarm.expiry) {
        const { usesLine } = alarm;
        advance(alarm, now);
        if (!usesLine) apic?.timerInterrupt();
        else {
          state.line = true;
          host.irq(TIMER_LINE, false);
          host.irq(TIMER_LINE, true);
        }
      }
      settleAlarm(which);
    };
    const settleAlarms = (): void => {
      settleAlarm(COUNTER.REAL);
      settleAlarm(COUNTER.AVAILABLE);
    };

    /** 64 bits in EDX:EAX. */
    const wide = (n: number): VmiAnswer => [n % 2 ** 32, Math.floor(n / 2 ** 32)];
    const alarmOf = (flags: number): number | undefined => {
      const which = flags & ALARM.COUNTER;
      if (which === COUNTER.REAL || which === COUNTER.AVAILABLE) return which;
      host.trouble(`sets an alarm on counter ${which}, which there is not`);
      return undefined;
    };
    const wrong = (what: string | undefined): VmiAnswer => {
      if (what !== undefined) host.trouble(what);
      return DONE;
    };

    const call = (number: number, [first, second, third, fourth, fifth]: VmiCall['arguments']): VmiAnswer => {
      switch (number) {
        case HYPERCALL_INIT:
          state.active = true;
          state.base = first;
          return DONE;
        case CALL.GetCycleCounter:
          return wide(counter(first));
        case CALL.SetAlarm: {
          const which = alarmOf(first);
          if (which === undefined) return DONE;
          arm(state.alarms[which]!, {
            line: (first & ALARM.LVTT) === 0,
            periodic: (first & ALARM.PERIODIC) !== 0,
            expiry: timeOf(second, third),
            period: timeOf(fourth, fifth),
          });
          settleAlarm(which);
          settleLine();
          return DONE;
        }
        case CALL.CancelAlarm: {
          const which = alarmOf(first),
            was = which !== undefined && disarm(state.alarms[which]!);
          if (which !== undefined) settleAlarm(which);
          settleLine();
          return [was ? 1 : 0];
        }
        case CALL.GetWallclockTime: {
          const time = BigInt(epoch) * 1_000_000_000n + BigInt(Math.floor(host.clock.now()));
          return [Number(BigInt.asUintN(32, time)), Number(BigInt.asUintN(32, time >> 32n))];
        }
        case CALL.APICRead:
          return [apic?.readRegister(first & APIC_OFFSET) ?? 0xffff_ffff];
        case CALL.APICWrite:
          apic?.writeRegister(first & APIC_OFFSET, second);
          return DONE;
        case CALL.AllocatePage:
          return wrong(pageTables.allocate({ page: first, flags: second, source: third, first: fourth, count: fifth }));
        case CALL.ReleasePage:
          return wrong(pageTables.release(first, Math.floor(third / PAGE_BYTES)));
        case CALL.SetInitialAPState:
          // Word `first` of a state, of processor `second`. There is only the one that calls.
          return wrong(
            first === 0 ? `gives a state to start processor ${second} in, and there is none to be started` : undefined,
          );
        case CALL.Reboot:
          host.signal('reset', 0);
          return DONE;
        case CALL.Shutdown:
          host.signal('power-off', 0);
          return DONE;
        default:
          host.trouble(
            `makes call ${CALL_NAMES[number] ?? number} of its hypervisor, which is none of those that come here`,
          );
          return REFUSED;
      }
    };

    return {
      ports: [],
      /** A hypercall of the ROM. Above CPL 0 it is refused. */
      hypercall({ number, arguments: given, cpl }: VmiCall): VmiAnswer {
        counts.calls++;
        if (cpl === 0) return call(number, given);
        host.trouble(`makes call ${CALL_NAMES[number] ?? number} of its hypervisor from outside of its kernel`);
        return REFUSED;
      },
      /** Where the guest's ROM is, once it uses it: a linear address. */
      base: (): number | undefined => (state.active ? state.base : undefined),
      /** Whether the guest wants to hear how long its processor waited for one of the host's. */
      wantsStolenTime: (): boolean => state.active,
      /** The guest's processor was ready and had none of the host's for so many nanoseconds since this was said last. */
      stolen(nanoseconds: number): void {
        state.stolen += nanoseconds;
        settleAlarm(COUNTER.AVAILABLE);
      },
      /** Pages that are announced as page tables now. */
      pageTables: (): number => state.pageTables.length,
      /** Hypercalls since this was made. */
      counts,
      lines: [TIMER_LINE],
      settle(): void {
        pageTables = new PageTables(state.pageTables, ramPages);
        settleLine();
        settleAlarms();
      },
    };
  },
});
