/**
 * The programmable interval timer of a PC (Intel 8254 datasheet, 231164): counter 0 drives interrupt 0, counter 1 is unused,
 * counter 2 the speaker, with its gate in NMI status and control port 0x61 (82371SB datasheet, 2.5.5.1).
 */
import { array, bool, deadline, nested, pod, u32, u8 } from '@tomei/kit';
import { backendKind, defineDevice, typed, type PortClaim } from '../machine/device.ts';
import { PIT_HZ, ticksAt, timeOfTick } from './pit-clock.ts';
import {
  counterState,
  frequencyDivisor,
  latchCount,
  latchStatus,
  MODE_RATE,
  MODE_SQUARE,
  nextRise,
  output,
  program,
  readByte,
  setGate,
  sync,
  writeByte,
} from './pit-counter.ts';

/** The speaker. */
export interface SpeakerBackend {
  /** A tone of so many hertz begins, or silence where it is 0. Told of changes, and of what is after a reset or restore. */
  tone(hertz: number): void;
}
export const speakerBackend = backendKind<SpeakerBackend>('speaker');

const CONTROL_WORD = 3;
/** Control word bits 7:6 = 11: the read-back command; its two latch bits are active low. */
const READ_BACK = 3;
const READ_BACK_NO_COUNT = 1 << 5;
const READ_BACK_NO_STATUS = 1 << 4;

/** Port 0x61. */
const PORT61_GATE2 = 1 << 0;
const PORT61_SPEAKER = 1 << 1;
const PORT61_WRITABLE = 0x0f;
const PORT61_REFRESH_TOGGLE = 1 << 4;
const PORT61_OUT2 = 1 << 5;
/** Counter 1 requests a refresh every 18 ticks (15.1 us). */
const REFRESH_TICKS = 18;

const TIMER_LINE = 0;
/** Interrupts nearer to each other than this are merged: no guest can serve them, and a hostile one could stall the host. */
const MIN_INTERVAL_NS = 20_000;

export const pit8254 = defineDevice({
  kind: 'pit8254',
  version: 2,
  summary: 'interval timer with speaker and its gate',
  config: typed<Record<string, never>>({}),
  state: pod({
    counters: array(3, (index) => nested(counterState(index !== 2))),
    port61: u8(),
    /** The divisor of the tone that the speaker gives; 0 for silence. */
    tone: u32(),
    /** The level of interrupt 0. */
    irq: bool(),
    /** When OUT of counter 0 rises next. */
    due: deadline(),
  })
    .check((s) => s.port61 <= PORT61_WRITABLE || "field 'port61' has read-only bits set")
    .check((s) => s.tone <= 0x1_0000 || "field 'tone' is over 65536"),
  /** Version 1 had no speaker. */
  migrate: (_version, saved) => ({ tone: 0, ...(saved as object | null) }),
  attach({ state, host }) {
    const speaker = host.backend(speakerBackend);
    const alarm = host.alarm(() => fire());
    const now = (): number => ticksAt(host.clock.now());
    const counter = (index: number) => state.counters[index]!;

    const fire = (): void => {
      state.due = null;
      state.irq = true;
      host.irq(TIMER_LINE, false);
      host.irq(TIMER_LINE, true);
      schedule();
    };
    /** Arms the alarm for the next rise of OUT of counter 0. Computed from absolute ticks, so nothing adds up. */
    const schedule = (): void => {
      const first = counter(0);
      const time = host.clock.now();
      sync(first, now());
      const periodic = first.mode === MODE_RATE || first.mode === MODE_SQUARE;
      const tick = nextRise(first, periodic && state.irq ? ticksAt(time + MIN_INTERVAL_NS) : now());
      state.due = tick === null ? null : timeOfTick(tick);
      settleAlarm();
    };
    const settleAlarm = (): void => {
      if (state.due === null) alarm.cancel();
      else alarm.set(state.due);
    };
    /** Before any access: what was due is done, however late the alarm is. */
    const catchUp = (): number => {
      if (state.due !== null && state.due <= host.clock.now()) fire();
      const tick = now();
      for (const one of state.counters) sync(one, tick);
      return tick;
    };
    /** Counter 0 was given a control word or a count. */
    const reprogrammed = (): void => {
      state.irq = output(counter(0), now());
      host.irq(TIMER_LINE, state.irq);
      schedule();
    };

    const tell = (): void => speaker?.tone(state.tone === 0 ? 0 : PIT_HZ / state.tone);
    /** A tone is what counter 2 gives in a periodic mode while gate and data bit are set; clicks are not reported. */
    const updateTone = (): void => {
      const both = PORT61_GATE2 | PORT61_SPEAKER;
      const tone = (state.port61 & both) === both ? frequencyDivisor(counter(2)) : 0;
      if (tone === state.tone) return;
      state.tone = tone;
      tell();
    };

    const control = (tick: number, word: number): void => {
      const select = word >> 6;
      if (select === READ_BACK) {
        for (let index = 0; index < 3; index++) {
          if ((word & (2 << index)) === 0) continue;
          if ((word & READ_BACK_NO_COUNT) === 0) latchCount(counter(index), tick);
          if ((word & READ_BACK_NO_STATUS) === 0) latchStatus(counter(index), tick);
        }
      } else if ((word & 0x30) === 0) latchCount(counter(select), tick);
      else {
        program(counter(select), word);
        if (select === 0) reprogrammed();
        if (select === 2) updateTone();
      }
    };

    return {
      lines: [TIMER_LINE],
      ports: [
        {
          base: 0x40,
          count: 4,
          unit: 1,
          // The control word register cannot be read; the bus floats.
          read(offset) {
            const tick = catchUp();
            return offset === CONTROL_WORD ? 0xff : readByte(counter(offset), tick);
          },
          write(offset, _width, value) {
            const tick = catchUp();
            if (offset === CONTROL_WORD) return control(tick, value);
            writeByte(counter(offset), tick, value);
            if (offset === 0) reprogrammed();
            if (offset === 2) updateTone();
          },
        },
        {
          base: 0x61,
          count: 1,
          unit: 1,
          read() {
            const tick = catchUp();
            const toggle = Math.floor(tick / REFRESH_TICKS) % 2 === 1 ? PORT61_REFRESH_TOGGLE : 0;
            return state.port61 | toggle | (output(counter(2), tick) ? PORT61_OUT2 : 0);
          },
          write(_offset, _width, value) {
            const tick = catchUp();
            state.port61 = value & PORT61_WRITABLE;
            setGate(counter(2), tick, (value & PORT61_GATE2) !== 0);
            updateTone();
          },
        },
      ] satisfies PortClaim[],
      settle() {
        // After a reset nothing is scheduled yet; after a restore the saved time stands.
        host.irq(TIMER_LINE, state.irq);
        tell();
        if (state.due === null) schedule();
        else settleAlarm();
      },
    };
  },
});
