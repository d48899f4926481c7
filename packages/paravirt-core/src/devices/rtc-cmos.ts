/**
 * The real-time clock and its battery-backed memory (Motorola MC146818 data sheet; what is in the memory at first is
 * `rtc-setup.ts`'s business). Time is computed from the machine's clock: nothing ticks unless the guest asked for an interrupt.
 * All of it survives a reset but the interrupt enables.
 */
import { bool, bytes, deadline, pod, u8, whole } from '@tomei/kit';
import { defineDevice, typed, type PortClaim } from '../machine/device.ts';
import { cmosBytes, type CmosSetup } from './rtc-setup.ts';
import {
  calendarAt,
  DAY_SECONDS,
  decode,
  decodeHour,
  encode,
  encodeHour,
  secondsOf,
  UNIX_EPOCH,
  type Calendar,
  type DataMode,
} from './rtc-time.ts';

export interface RtcConfig {
  /** Unix time at the machine's power-on (clock 0), in seconds; what the clock shows, so UTC or local as the guest expects. */
  readonly epoch: number;
  /** Bytes of RAM, for the memory size registers. */
  readonly memoryBytes: number;
  /** Drives, boot order and processors, as the machine's set-up would have stored them. */
  readonly setup?: CmosSetup;
  /** Further bytes of the memory, by index. */
  readonly cmos?: Readonly<Record<number, number>>;
}

/** Registers 0..9 hold time and alarm; 0x32 the century on a PC. */
const SECONDS = 0;
const SECONDS_ALARM = 1;
const MINUTES = 2;
const MINUTES_ALARM = 3;
const HOURS = 4;
const HOURS_ALARM = 5;
const WEEKDAY = 6;
const DAY = 7;
const MONTH = 8;
const YEAR = 9;
const REG_A = 10;
const REG_B = 11;
const REG_C = 12;
const REG_D = 13;
const CENTURY = 0x32;
const TIME_REGISTERS: readonly number[] = [SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY];

const A_UPDATING = 1 << 7;
const A_DIVIDER = 0x70;
/** Divider chain held in reset: DV2 and DV1 set. */
const A_DIVIDER_RESET = 0x60;
const A_RATE = 0x0f;
const A_INITIAL = 0x26;
const B_SET = 1 << 7;
const B_PERIODIC = 1 << 6;
const B_ALARM = 1 << 5;
const B_UPDATE = 1 << 4;
const B_SQUARE_WAVE = 1 << 3;
const B_BINARY = 1 << 2;
const B_HOURS_24 = 1 << 1;
/** Cleared by the reset pin. */
const B_ENABLES = B_PERIODIC | B_ALARM | B_UPDATE | B_SQUARE_WAVE;
/** Flags of register C have the places of their enables in B. */
const C_REQUEST = 1 << 7;
const C_FLAGS = B_PERIODIC | B_ALARM | B_UPDATE;
const D_VALID = 1 << 7;
const ALARM_DONT_CARE = 0xc0;

const CMOS_BYTES = 128;
const INDEX_NMI_OFF = 0x80;

const CLOCK_LINE = 8;
const SECOND_NS = 1_000_000_000;
/** UIP rises this long before an update (data sheet, table 6). */
const UPDATE_WARNING_NS = 244_000;
/** The first update after the divider chain is let go. */
const DIVIDER_START_NS = 500_000_000;
/** 64 ticks of the 32.768 kHz oscillator in lowest terms. */
const OSCILLATOR_SPAN_NS = 1_953_125;

const oscillatorTicks = (now: number): number => {
  const spans = Math.floor(now / OSCILLATOR_SPAN_NS);
  return spans * 64 + Math.floor(((now - spans * OSCILLATOR_SPAN_NS) * 64) / OSCILLATOR_SPAN_NS);
};
const oscillatorTime = (ticks: number): number => {
  const spans = Math.floor(ticks / 64);
  return spans * OSCILLATOR_SPAN_NS + Math.ceil(((ticks - spans * 64) * OSCILLATOR_SPAN_NS) / 64);
};
/** Oscillator ticks between periodic interrupts by the rate bits (data sheet, table 5), or null for none. */
const periodOf = (a: number): number | null => {
  const rate = a & A_RATE;
  return rate === 0 ? null : rate < 3 ? 64 << rate : 1 << (rate - 1);
};

const rtcState = pod({
  index: u8(),
  a: u8(A_INITIAL),
  /** Register B without and with the bits that a reset clears. */
  modes: u8(B_HOURS_24),
  enables: u8(),
  flags: u8(),
  cmos: bytes(CMOS_BYTES),
  /** The clock showed `anchorSeconds` (since year 0; 0 before the first power-on) at time `anchorAt`, a second's beginning. */
  anchorSeconds: whole(),
  anchorAt: whole(),
  /** The clock stands: SET is set or the divider chain is held; the time registers are plain memory. */
  halted: bool(),
  /** Up to here updates and periodic ticks have raised their flags. */
  seenSecond: whole(),
  seenTick: whole(),
  due: deadline(),
})
  .check((s) => (s.a & A_UPDATING) === 0 || "field 'a' has UIP set")
  .check((s) => (s.enables & ~B_ENABLES) === 0 || "field 'enables' has other bits set")
  .check((s) => (s.modes & B_ENABLES) === 0 || "field 'modes' has enable bits set")
  .check((s) => (s.flags & ~C_FLAGS) === 0 || "field 'flags' has other bits set")
  .check((s) => s.anchorSeconds < 2 ** 40 || "field 'anchorSeconds' is after year 9999");

export const rtcCmos = defineDevice({
  kind: 'rtc-cmos',
  version: 1,
  summary: 'real-time clock and battery-backed memory',
  config: typed<RtcConfig>({ epoch: 0, memoryBytes: 1 << 28 }),
  state: rtcState,
  retained: ['a', 'modes', 'cmos', 'anchorSeconds', 'anchorAt', 'halted', 'seenSecond', 'seenTick'],
  attach({ config, state, host }) {
    const alarm = host.alarm(() => {
      state.due = null;
      catchUp();
    });
    const mode = (): DataMode => ({
      binary: (state.modes & B_BINARY) !== 0,
      hours24: (state.modes & B_HOURS_24) !== 0,
    });
    /** Seconds since year 0 that the running clock shows. */
    const seconds = (): number =>
      Math.max(0, state.anchorSeconds + Math.floor((host.clock.now() - state.anchorAt) / SECOND_NS));
    /** When the clock shows `value` for the first time. */
    const timeOf = (value: number): number => state.anchorAt + (value - state.anchorSeconds) * SECOND_NS;

    const alarmMatches = (second: number): boolean => {
      const inDay = second % DAY_SECONDS;
      const wanted = (register: number, at: number): boolean => {
        const byte = state.cmos[register]!;
        if ((byte & ALARM_DONT_CARE) === ALARM_DONT_CARE) return true;
        return (register === HOURS_ALARM ? decodeHour(mode(), byte) : decode(mode(), byte)) === at;
      };
      return (
        wanted(HOURS_ALARM, Math.floor(inDay / 3600)) &&
        wanted(MINUTES_ALARM, Math.floor(inDay / 60) % 60) &&
        wanted(SECONDS_ALARM, inDay % 60)
      );
    };
    /** The first second of `from .. to` (at most a day) that the alarm is set for, or null. */
    const nextAlarm = (from: number, to: number): number | null => {
      for (let second = from; second <= Math.min(to, from + DAY_SECONDS); second++)
        if (alarmMatches(second)) return second;
      return null;
    };

    /** Raises the flags of everything that happened since the last look, drives the line, and arms for what comes next. */
    const catchUp = (): void => {
      const now = host.clock.now();
      const period = periodOf(state.a);
      const tick = oscillatorTicks(now);
      if (period !== null && Math.floor(tick / period) > Math.floor(state.seenTick / period)) state.flags |= B_PERIODIC;
      state.seenTick = tick;
      if (!state.halted) {
        const second = seconds();
        if (second > state.seenSecond) {
          state.flags |= B_UPDATE;
          if ((state.flags & B_ALARM) === 0 && nextAlarm(state.seenSecond + 1, second) !== null) state.flags |= B_ALARM;
        }
        state.seenSecond = second;
      }
      host.irq(CLOCK_LINE, (state.flags & state.enables & C_FLAGS) !== 0);
      arm(tick, period);
    };
    const arm = (tick: number, period: number | null): void => {
      // Only a flag that is not up yet can change the line, and only while the line is down.
      const waiting = (state.flags & state.enables & C_FLAGS) !== 0 ? 0 : state.enables;
      const times: number[] = [];
      if (period !== null && (waiting & B_PERIODIC) !== 0) {
        times.push(oscillatorTime((Math.floor(tick / period) + 1) * period));
      }
      if (!state.halted && (waiting & B_UPDATE) !== 0) times.push(timeOf(state.seenSecond + 1));
      if (!state.halted && (waiting & B_ALARM) !== 0) times.push(timeOf(state.seenSecond + 1));
      state.due = times.length === 0 ? null : Math.min(...times);
      settleAlarm();
    };
    const settleAlarm = (): void => {
      if (state.due === null) alarm.cancel();
      else alarm.set(state.due);
    };

    const timeByte = (calendar: Calendar, register: number): number => {
      switch (register) {
        case SECONDS:
          return encode(mode(), calendar.second);
        case MINUTES:
          return encode(mode(), calendar.minute);
        case HOURS:
          return encodeHour(mode(), calendar.hour);
        case WEEKDAY:
          return encode(mode(), calendar.weekday);
        case DAY:
          return encode(mode(), calendar.day);
        case MONTH:
          return encode(mode(), calendar.month);
        case YEAR:
          return encode(mode(), calendar.year % 100);
        default:
          return encode(mode(), Math.floor(calendar.year / 100));
      }
    };
    const storeTime = (): void => {
      const calendar = calendarAt(seconds());
      for (const register of TIME_REGISTERS) state.cmos[register] = timeByte(calendar, register);
    };
    const storedTime = (): number => {
      const number = (register: number): number => decode(mode(), state.cmos[register]!);
      return secondsOf({
        second: number(SECONDS),
        minute: number(MINUTES),
        hour: decodeHour(mode(), state.cmos[HOURS]!),
        weekday: 1,
        day: number(DAY),
        month: number(MONTH),
        year: (number(CENTURY) % 100) * 100 + number(YEAR),
      });
    };
    /** The clock shows the stored time from now on; the next second begins `untilNext` from now. */
    const startAt = (untilNext: number): void => {
      state.anchorSeconds = storedTime() + 1;
      state.anchorAt = Math.floor(host.clock.now() + untilNext);
      state.seenSecond = seconds();
    };
    /** How long the running second still lasts; the divider chain runs on while SET is set. */
    const untilNextSecond = (): number => {
      const into = (host.clock.now() - state.anchorAt) % SECOND_NS;
      return into < 0 ? -into : SECOND_NS - into;
    };

    const setHalted = (dividerReleased: boolean): void => {
      const halt = (state.modes & B_SET) !== 0 || (state.a & A_DIVIDER_RESET) === A_DIVIDER_RESET;
      if (halt && !state.halted) storeTime();
      if (!halt && state.halted) startAt(dividerReleased ? DIVIDER_START_NS : untilNextSecond());
      state.halted = halt;
    };

    const readRegister = (register: number): number => {
      if (register === REG_A) {
        const updating = !state.halted && untilNextSecond() <= UPDATE_WARNING_NS;
        return state.a | (updating ? A_UPDATING : 0);
      }
      if (register === REG_B) return state.modes | state.enables;
      if (register === REG_C) {
        const request = (state.flags & state.enables) !== 0 ? C_REQUEST : 0;
        const value = state.flags | request;
        state.flags = 0;
        catchUp();
        return value;
      }
      if (register === REG_D) return D_VALID;
      if (!state.halted && TIME_REGISTERS.includes(register)) return timeByte(calendarAt(seconds()), register);
      return state.cmos[register]!;
    };
    const writeRegister = (register: number, value: number): void => {
      if (register === REG_A) {
        const wasHeld = (state.a & A_DIVIDER_RESET) === A_DIVIDER_RESET;
        state.a = value & (A_DIVIDER | A_RATE);
        setHalted(wasHeld);
      } else if (register === REG_B) {
        state.modes = value & ~B_ENABLES;
        state.enables = value & B_ENABLES;
        setHalted(false);
      } else if (register === REG_C || register === REG_D) return;
      else if (!state.halted && TIME_REGISTERS.includes(register)) {
        const untilNext = untilNextSecond();
        storeTime();
        state.cmos[register] = value;
        startAt(untilNext);
      } else state.cmos[register] = value;
      catchUp();
    };

    /** Fills what a factory and firmware set-up would have left in the battery-backed memory. */
    const powerOn = (): void => {
      state.anchorSeconds = UNIX_EPOCH + Math.max(0, Math.floor(config.epoch));
      state.seenSecond = seconds();
      for (const [index, value] of cmosBytes(config.memoryBytes, config.setup)) state.cmos[index] = value;
      for (const [index, value] of Object.entries(config.cmos ?? {})) state.cmos[Number(index)] = value;
    };

    return {
      lines: [CLOCK_LINE],
      ports: [
        {
          base: 0x70,
          count: 2,
          unit: 1,
          read(offset) {
            // The index register is write-only on a PC.
            if (offset === 0) return 0xff;
            catchUp();
            return readRegister(state.index & ~INDEX_NMI_OFF);
          },
          write(offset, _width, value) {
            if (offset === 0) {
              state.index = value;
              return;
            }
            catchUp();
            writeRegister(state.index & ~INDEX_NMI_OFF, value);
          },
        },
      ] satisfies PortClaim[],
      /** Whether the guest has switched off the non-maskable interrupt by bit 7 of port 0x70. */
      nmiMasked: () => (state.index & INDEX_NMI_OFF) !== 0,
      settle() {
        if (state.anchorSeconds === 0) powerOn();
        host.irq(CLOCK_LINE, (state.flags & state.enables & C_FLAGS) !== 0);
        settleAlarm();
      },
    };
  },
});
