/**
 * The high precision event timer (IA-PC HPET specification 1.0a) with three periodic 64-bit timers, a counter of 100 MHz, and
 * legacy replacement routing: as QEMU's, which guests know. Interrupts by messages on the front side bus are not offered.
 * Registers take aligned accesses of 32 bits, the halves of 64 one after the other; narrower writes are lost.
 */
import { array, nested, pod, u8, whole } from '@tomei/kit';
import { defineDevice, typed, type Width } from '../machine/device.ts';
import {
  big,
  moveOn,
  readConfig,
  ROUTE_CAPABILITY,
  routeOf,
  ticksToMatch,
  TIMER_ENABLED,
  TIMER_LEVEL,
  timerState,
  wide,
  words,
  writeComparator,
  writeConfig,
} from './hpet-timer.ts';

export interface HpetConfig {
  /** First address of the window; 0xFED00000 on a PC. */
  readonly base: number;
}

export const HPET_BASE = 0xfed0_0000;
const WINDOW_BYTES = 0x400;
const TIMERS = 3;
/** Registers (2.3.1). */
const CAPABILITIES = 0x000;
const CAPABILITIES_HIGH = 0x004;
const CONFIGURATION = 0x010;
const INTERRUPT_STATUS = 0x020;
const COUNTER = 0x0f0;
const FIRST_TIMER = 0x100;
const TIMER_BYTES = 0x20;
const TIMER_CONFIG_HIGH = 0x04;
const TIMER_COMPARATOR = 0x08;
const TIMER_COMPARATOR_HIGH = 0x0c;

const TICK_NS = 10;
/** Intel's id, revision 1, legacy replacement, 64-bit counter, three timers: also the block id of the ACPI table. */
export const HPET_BLOCK_ID = 0x8086_a001 | ((TIMERS - 1) << 8);
/** The period in femtoseconds. */
const PERIOD_FS = TICK_NS * 1_000_000;
/** General configuration (2.3.5). */
const ENABLED = 1 << 0;
const LEGACY_ROUTE = 1 << 1;
/** The lines that timers 0 and 1 take over from the interval timer and the clock. */
const LEGACY_LINES = [0, 8] as const;

/** Interrupts nearer to each other than this are merged: no guest can serve them, and a hostile one could stall the host. */
const MIN_INTERVAL_NS = 20_000;
/** Matches further away than this (65 days) lie at the end of the machine's time: they do not come. */
const HORIZON_TICKS = 1n << 49n;

export const hpet = defineDevice({
  kind: 'hpet',
  version: 1,
  summary: 'high precision event timer, three timers',
  config: typed<HpetConfig>({ base: HPET_BASE }),
  state: pod({
    config: u8(),
    /** Which level-triggered timers ask for service. */
    status: u8(),
    /** The counter as it was at `since`; it stands while the timer is disabled. */
    counter: wide(),
    since: whole(),
    timers: array(TIMERS, () => nested(timerState)),
  }).check((s) => (s.config < 4 && s.status < 1 << TIMERS) || "field 'config' or 'status' has reserved bits set"),
  attach({ config, state, host }) {
    const alarms = Array.from({ length: TIMERS }, (_, index) => host.alarm(() => fire(index)));
    const running = (): boolean => (state.config & ENABLED) !== 0;
    const legacy = (): boolean => (state.config & LEGACY_ROUTE) !== 0;
    const count = (): bigint => {
      if (!running()) return big(state.counter);
      const passed = Math.max(0, Math.floor((host.clock.now() - state.since) / TICK_NS));
      return BigInt.asUintN(64, big(state.counter) + BigInt(passed));
    };
    /** Makes now the moment that counting goes on from. */
    const anchor = (): void => {
      const passed = running() ? Math.max(0, Math.floor((host.clock.now() - state.since) / TICK_NS)) : 0;
      state.counter = words(count());
      // What is left of a tick goes on.
      state.since = running() ? state.since + passed * TICK_NS : host.clock.now();
    };

    const lineOf = (index: number): number | undefined => {
      if (legacy() && index < LEGACY_LINES.length) return LEGACY_LINES[index];
      const route = routeOf(state.timers[index]!);
      return route === 0 ? undefined : route;
    };
    /** The level of every line that timers may drive, from those that hold theirs. */
    const driveLines = (): void => {
      const held = new Set<number>();
      for (const [index, timer] of state.timers.entries()) {
        const line = lineOf(index);
        const asks = running() && (timer.config & TIMER_ENABLED) !== 0 && (state.status & (1 << index)) !== 0;
        if (line !== undefined && asks) held.add(line);
      }
      for (const line of LEGACY_LINES) host.replaceLine(line, legacy() && running());
      for (const line of DRIVEN_LINES) host.irq(line, held.has(line));
    };
    const interrupt = (index: number): void => {
      const timer = state.timers[index]!;
      if ((timer.config & TIMER_ENABLED) === 0) return;
      const line = lineOf(index);
      if ((timer.config & TIMER_LEVEL) !== 0) state.status |= 1 << index;
      else if (line !== undefined) {
        host.irq(line, false);
        host.irq(line, true);
      }
      driveLines();
    };

    /** Arms for the next match. `matched`: the one at this very tick is over. */
    const schedule = (index: number, matched: boolean): void => {
      const timer = state.timers[index]!;
      timer.due = null;
      if (running() && (timer.config & TIMER_ENABLED) !== 0) {
        const left = ticksToMatch(timer, count(), matched);
        const now = host.clock.now();
        // From the beginning of the present tick, so that nothing adds up.
        const tick = now - ((now - state.since) % TICK_NS);
        if (left < HORIZON_TICKS) {
          const due = Math.max(tick + Number(left) * TICK_NS, matched ? now + MIN_INTERVAL_NS : 0);
          timer.due = Number.isSafeInteger(due) ? due : null;
        }
      }
      settleAlarm(index);
    };
    const fire = (index: number): void => {
      moveOn(state.timers[index]!, count());
      interrupt(index);
      schedule(index, true);
    };
    const settleAlarm = (index: number): void => {
      const { due } = state.timers[index]!;
      if (due === null) alarms[index]!.cancel();
      else alarms[index]!.set(due);
    };
    const scheduleAll = (): void => {
      for (let index = 0; index < TIMERS; index++) schedule(index, false);
    };
    /** Before any access: what was due is done, however late the alarm is. */
    const catchUp = (): void => {
      for (let index = 0; index < TIMERS; index++) {
        const { due } = state.timers[index]!;
        if (due !== null && due <= host.clock.now()) fire(index);
      }
    };

    const timerAt = (offset: number): number | undefined => {
      const index = Math.floor((offset - FIRST_TIMER) / TIMER_BYTES);
      return offset >= FIRST_TIMER && index < TIMERS ? index : undefined;
    };
    const readTimer = (index: number, register: number): number => {
      const timer = state.timers[index]!;
      switch (register) {
        case 0:
          return readConfig(timer);
        case TIMER_CONFIG_HIGH:
          return ROUTE_CAPABILITY;
        case TIMER_COMPARATOR:
          return timer.comparator[0]!;
        case TIMER_COMPARATOR_HIGH:
          return timer.comparator[1]!;
        default:
          return 0;
      }
    };
    const read = (offset: number): number => {
      const index = timerAt(offset);
      if (index !== undefined) return readTimer(index, (offset - FIRST_TIMER) % TIMER_BYTES);
      switch (offset) {
        case CAPABILITIES:
          return HPET_BLOCK_ID >>> 0;
        case CAPABILITIES_HIGH:
          return PERIOD_FS;
        case CONFIGURATION:
          return state.config;
        case INTERRUPT_STATUS:
          return state.status;
        case COUNTER:
        case COUNTER + 4:
          return words(count())[offset === COUNTER ? 0 : 1]!;
        default:
          return 0;
      }
    };
    const writeTimer = (index: number, register: number, value: number): void => {
      const timer = state.timers[index]!;
      if (register === 0) {
        writeConfig(timer, value);
        // Only level-triggered timers are served by the status register.
        if ((timer.config & TIMER_LEVEL) === 0) state.status &= ~(1 << index);
      } else if (register === TIMER_COMPARATOR) writeComparator(timer, 0, value);
      else if (register === TIMER_COMPARATOR_HIGH) writeComparator(timer, 1, value);
      else return;
      schedule(index, false);
    };
    const write = (offset: number, value: number): void => {
      const index = timerAt(offset);
      if (index !== undefined) writeTimer(index, (offset - FIRST_TIMER) % TIMER_BYTES, value);
      else if (offset === CONFIGURATION) {
        anchor();
        state.config = value & (ENABLED | LEGACY_ROUTE);
        scheduleAll();
      } else if (offset === INTERRUPT_STATUS) state.status &= ~value;
      else if (offset === COUNTER || offset === COUNTER + 4) {
        anchor();
        state.counter[offset === COUNTER ? 0 : 1] = value;
        scheduleAll();
      }
      driveLines();
    };

    return {
      lines: DRIVEN_LINES,
      memory: [
        {
          base: config.base,
          size: WINDOW_BYTES,
          read(offset: number, width: Width) {
            catchUp();
            return Math.floor(read(offset & ~3) / 2 ** (8 * (offset & 3))) % 2 ** (8 * width);
          },
          write(offset: number, width: Width, value: number) {
            catchUp();
            if (width === 4) write(offset, value);
          },
        },
      ],
      settle() {
        driveLines();
        for (let index = 0; index < TIMERS; index++) settleAlarm(index);
      },
    };
  },
});

const DRIVEN_LINES: readonly number[] = [
  ...LEGACY_LINES,
  ...Array.from({ length: 24 }, (_, line) => line).filter((line) => (ROUTE_CAPABILITY & (1 << line)) !== 0),
];
