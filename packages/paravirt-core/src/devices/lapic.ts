/**
 * The local APIC of a processor in xAPIC mode (Intel SDM vol. 3, chapter 11), wherever IA32_APIC_BASE
 * puts it. The 8259 pair's INTR arrives at LINT0: it reaches the processor while the APIC is disabled
 * or LINT0 is unmasked in ExtINT mode, which is how a PC's firmware leaves it ("virtual wire mode", MP 1.4, 3.6.2.2).
 * INIT of the bootstrap processor resets the machine, and start-up messages find it running; system management interrupts find no such
 * mode. Neither has an effect there. An application processor is stopped by the one, and started by the other.
 */
import { array, nested, pod, u16, u32, u8, whole, type Nanoseconds } from '@tomei/kit';
import { defineDevice, typed, type ApicMessage, type MemoryClaim } from '../machine/device.ts';
import { eoiAssist } from './eoi-assist.ts';
import * as R from './lapic-registers.ts';
import {
  armDeadline,
  currentCount,
  nextExpiry,
  setDivide,
  startCount,
  timerState,
  withoutDeadline,
} from './lapic-timer.ts';

export interface LapicConfig {
  /** The processor's number, and so its APIC ID after reset: 0 is the bootstrap processor. */
  readonly id: number;
}

const BROADCAST = 0xff;
/** Destination format register, bits 31:28 (11.6.2.2). */
const DFR_FLAT = 0xf;
const LVT_RESET = R.LVT_MASKED;
const LINT0_RESET = R.LVT_MODE_EXTINT;

const isPin = (entry: number): boolean => entry === R.LINT0 || entry === R.LINT1;

const lapicState = pod({
  base: whole(R.LAPIC_BASE + R.BASE_ENABLED + R.BASE_BOOT_PROCESSOR),
  /** APIC ID as written by the guest, plus 256; 0 means the configured one. */
  id: u16(),
  tpr: u8(),
  ldr: u8(),
  dfr: u8(DFR_FLAT),
  svr: u16(0xff),
  isr: R.vectors(),
  tmr: R.vectors(),
  irr: R.vectors(),
  /** Errors as shown, and those recorded since the register was last written. */
  esr: u8(),
  errors: u8(),
  lvt: array(R.LVT_ENTRIES, (index) => u32(index === R.LINT0 ? LINT0_RESET : LVT_RESET)),
  icrLow: u32(),
  icrHigh: u8(),
  timer: nested(timerState),
  /** Levels of LINT0 and LINT1. */
  pins: u8(),
})
  .check((s) => s.dfr < 16 || "field 'dfr' is over 15")
  .check((s) => s.id < 512 || "field 'id' is over 511")
  .check(
    (s) =>
      s.lvt.every((entry, i) => (entry & ~(R.LVT_WRITABLE[i]! | (isPin(i) ? R.LVT_REMOTE_IRR : 0))) === 0) ||
      "field 'lvt' has reserved bits set",
  );

const isApplicationProcessor = ({ id }: LapicConfig): boolean => id !== 0;

export const lapic = defineDevice({
  kind: 'lapic',
  version: 2,
  summary: 'local APIC with timer',
  config: typed<LapicConfig>({ id: 0 }),
  state: lapicState,
  /** Version 1 knew no deadlines. */
  migrate: (_version, old) => ({
    ...(old as object),
    timer: { ...(old as { readonly timer?: object } | null)?.timer, ...withoutDeadline },
  }),
  attach({ config, state, host }) {
    const alarm = host.alarm(() => expire());
    const assist = host.backend(eoiAssist);
    const id = (): number => (state.id === 0 ? config.id : state.id & 0xff);
    const globallyEnabled = (): boolean => Math.floor(state.base / R.BASE_ENABLED) % 2 === 1;
    const enabled = (): boolean => globallyEnabled() && (state.svr & R.SVR_ENABLED) !== 0;

    /** Processor priority (11.8.3.1). */
    const ppr = (): number => {
      const serving = R.highestVector(state.isr);
      return serving < 0 || state.tpr >> 4 >= serving >> 4 ? state.tpr : serving & 0xf0;
    };
    /** The vector that may interrupt the processor now, or -1. */
    const deliverable = (): number => {
      const vector = R.highestVector(state.irr);
      return globallyEnabled() && vector >> 4 > ppr() >> 4 ? vector : -1;
    };
    const update = (): void => host.interruptRequest(deliverable() >= 0);

    const recordError = (error: number): void => {
      // One interrupt for each kind of error until the guest has looked.
      if ((state.errors & error) !== 0) return;
      state.errors |= error;
      localInterrupt(R.ERROR);
    };
    const accept = (vector: number, level: boolean): void => {
      if (!enabled()) return;
      settleEoi();
      if (vector < R.FIRST_VECTOR) return recordError(R.ESR_RECEIVE_ILLEGAL_VECTOR);
      R.setVector(state.irr, vector, true);
      R.setVector(state.tmr, vector, level);
      update();
    };
    const awaitsLevel = (lvt: number): boolean =>
      (lvt & (R.LVT_LEVEL | R.LVT_MODE)) === (R.LVT_LEVEL | R.LVT_MODE_FIXED);
    /** A pin whose entry awaits a level: taken once until it is ended (11.5.1, "Remote IRR Flag"). */
    const serveLevel = (entry: number): void => {
      const lvt = state.lvt[entry]!;
      const ready = awaitsLevel(lvt) && (lvt & (R.LVT_MASKED | R.LVT_REMOTE_IRR)) === 0 && enabled();
      if (!ready || (state.pins & (1 << (entry - R.LINT0))) === 0) return;
      state.lvt[entry] = lvt | R.LVT_REMOTE_IRR;
      accept(lvt & 0xff, true);
    };
    const localInterrupt = (entry: number): void => {
      const lvt = state.lvt[entry]!;
      if ((lvt & R.LVT_MASKED) !== 0) return;
      if (isPin(entry) && awaitsLevel(lvt)) return serveLevel(entry);
      const mode = entry === R.TIMER || entry === R.ERROR ? R.LVT_MODE_FIXED : lvt & R.LVT_MODE;
      if (mode === R.LVT_MODE_FIXED) accept(lvt & 0xff, false);
      else if (mode === R.LVT_MODE_NMI && globallyEnabled()) host.signal('nmi', config.id);
    };

    const timerMode = (): number => state.lvt[R.TIMER]! & R.LVT_TIMER_MODE;
    const isPeriodic = (): boolean => timerMode() === R.LVT_PERIODIC;
    const isCounting = (): boolean => timerMode() < R.LVT_DEADLINE;
    const settleAlarm = (): void => {
      if (state.timer.due === null) alarm.cancel();
      else alarm.set(state.timer.due);
    };
    const schedule = (fired = false): void => {
      const masked = (state.lvt[R.TIMER]! & R.LVT_MASKED) !== 0;
      const next = isCounting() ? nextExpiry(state.timer, host.clock.now(), isPeriodic(), fired) : state.timer.reached;
      state.timer.due = masked ? null : next;
      settleAlarm();
    };
    const disarm = (): void => armDeadline(state.timer, 0, 0, null);
    const expire = (): void => {
      state.timer.due = null;
      disarm();
      localInterrupt(R.TIMER);
      schedule(true);
    };

    const endOfInterrupt = (): void => {
      const vector = R.highestVector(state.isr);
      if (vector < 0) return;
      R.setVector(state.isr, vector, false);
      if (R.hasVector(state.tmr, vector)) {
        for (const entry of [R.LINT0, R.LINT1]) {
          const lvt = state.lvt[entry]!;
          if ((lvt & R.LVT_REMOTE_IRR) === 0 || (lvt & 0xff) !== vector) continue;
          state.lvt[entry] = lvt & ~R.LVT_REMOTE_IRR;
          serveLevel(entry);
        }
        host.apicEoi(vector);
      }
      update();
    };

    /** The guest may have ended the interrupt in service without a word: before anything depends on what is in service. */
    const settleEoi = (): void => {
      if (assist?.settle() === true) endOfInterrupt();
    };
    assist?.onMove(settleEoi);
    /** An end that only clears the one vector in service need not come here: nothing waits for it, neither here nor at an I/O APIC. */
    const offerEoi = (vector: number): void => {
      if (R.isAlone(state.isr, vector) && !R.hasVector(state.tmr, vector) && R.highestVector(state.irr) < 0)
        assist?.offer();
    };

    const sendCommand = (): void => {
      const low = state.icrLow;
      const mode = R.ICR_MODES[((low >> 8) & 7) as 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7];
      const vector = low & 0xff;
      const shorthand = (low >> 18) & 3;
      if (mode === undefined) return;
      if ((mode === 'fixed' || mode === 'lowest') && vector < R.FIRST_VECTOR)
        return recordError(R.ESR_SEND_ILLEGAL_VECTOR);
      // INIT level de-assert only resets arbitration IDs.
      if (mode === 'init' && (low & R.ICR_TRIGGER_LEVEL) !== 0 && (low & R.ICR_LEVEL_ASSERT) === 0) return;
      if (shorthand === R.SHORTHAND_SELF) return accept(vector, false);
      host.apic({
        destination: shorthand === R.SHORTHAND_NONE ? state.icrHigh : BROADCAST,
        logical: shorthand === R.SHORTHAND_NONE && (low & R.ICR_LOGICAL) !== 0,
        mode,
        vector,
        level: false,
        excludeSender: shorthand === R.SHORTHAND_ALL_BUT_SELF,
      });
    };

    /** Whether a message is for this APIC (11.6.2). */
    const isMeant = ({ destination, logical }: ApicMessage): boolean => {
      if (destination === BROADCAST) return true;
      if (!logical) return destination === id();
      if (state.dfr === DFR_FLAT) return (destination & state.ldr) !== 0;
      return destination >> 4 === state.ldr >> 4 && (destination & state.ldr & 0x0f) !== 0;
    };

    const read = (register: number): number => {
      if (register >= R.APIC_ISR && register < R.APIC_ESR) {
        const words = register < R.APIC_TMR ? state.isr : register < R.APIC_IRR ? state.tmr : state.irr;
        return words[(register >> 4) & 7]!;
      }
      if (register >= R.APIC_LVT_TIMER && register <= R.APIC_LVT_ERROR) {
        return state.lvt[(register - R.APIC_LVT_TIMER) >> 4]!;
      }
      switch (register) {
        case R.APIC_ID:
          return (id() << 24) >>> 0;
        case R.APIC_VERSION:
          return R.VERSION;
        case R.APIC_TPR:
          return state.tpr;
        case R.APIC_APR:
        case R.APIC_PPR:
          return ppr();
        case R.APIC_LDR:
          return (state.ldr << 24) >>> 0;
        case R.APIC_DFR:
          return ((state.dfr << 28) | 0x0fff_ffff) >>> 0;
        case R.APIC_SVR:
          return state.svr;
        case R.APIC_ESR:
          return state.esr;
        case R.APIC_ICR_LOW:
          return state.icrLow;
        case R.APIC_ICR_HIGH:
          return (state.icrHigh << 24) >>> 0;
        case R.APIC_TIMER_INITIAL:
          return state.timer.initial;
        case R.APIC_TIMER_CURRENT:
          return isCounting() ? currentCount(state.timer, host.clock.now(), isPeriodic()) : 0;
        case R.APIC_TIMER_DIVIDE:
          return state.timer.divide;
        case R.APIC_EOI:
        case R.APIC_RRD:
          return 0;
        default:
          recordError(R.ESR_ILLEGAL_REGISTER);
          return 0;
      }
    };

    const writeLvt = (entry: number, value: number): void => {
      const mode = timerMode(),
        wasPeriodic = isPeriodic(),
        wasCounting = isCounting();
      const masked = enabled() ? 0 : R.LVT_MASKED;
      const remote = isPin(entry) && awaitsLevel(value) ? state.lvt[entry]! & R.LVT_REMOTE_IRR : 0;
      state.lvt[entry] = (value & R.LVT_WRITABLE[entry]!) | masked | remote;
      if (isPin(entry)) serveLevel(entry);
      if (entry !== R.TIMER) return;
      // A periodic count that becomes one-shot ends with its present round: counted afresh from where it stands.
      if (wasPeriodic && timerMode() === 0) setDivide(state.timer, host.clock.now(), state.timer.divide, true);
      // To and from deadlines the timer is disarmed; between the other two, processors count on.
      if (mode !== timerMode() && !(wasCounting && isCounting())) {
        startCount(state.timer, host.clock.now(), 0);
        disarm();
      }
      schedule();
    };
    const writeSvr = (value: number): void => {
      state.svr = value & R.SVR_WRITABLE;
      if ((state.svr & R.SVR_ENABLED) === 0) state.lvt = state.lvt.map((entry) => entry | R.LVT_MASKED);
      schedule();
      update();
    };
    const write = (register: number, value: number): void => {
      if (register >= R.APIC_LVT_TIMER && register <= R.APIC_LVT_ERROR) {
        writeLvt((register - R.APIC_LVT_TIMER) >> 4, value);
        return update();
      }
      switch (register) {
        case R.APIC_ID:
          state.id = 256 + (value >>> 24);
          return;
        case R.APIC_TPR:
          state.tpr = value & 0xff;
          return update();
        case R.APIC_EOI:
          return endOfInterrupt();
        case R.APIC_LDR:
          state.ldr = value >>> 24;
          return;
        case R.APIC_DFR:
          state.dfr = value >>> 28;
          return;
        case R.APIC_SVR:
          return writeSvr(value);
        case R.APIC_ESR:
          state.esr = state.errors;
          state.errors = 0;
          return;
        case R.APIC_ICR_LOW:
          state.icrLow = value & R.ICR_WRITABLE;
          return sendCommand();
        case R.APIC_ICR_HIGH:
          state.icrHigh = value >>> 24;
          return;
        case R.APIC_TIMER_INITIAL:
          if (!isCounting()) return;
          startCount(state.timer, host.clock.now(), value);
          return schedule();
        case R.APIC_TIMER_DIVIDE:
          setDivide(state.timer, host.clock.now(), value, isPeriodic());
          return schedule();
        default:
          // Read-only registers take a write without effect; only reserved places are errors.
          read(register);
      }
    };
    /** Before any access: what was due is done, however late the alarm is. */
    const catchUp = (): void => {
      settleEoi();
      catchUpTimer();
    };
    const catchUpTimer = (): void => {
      const { due, reached } = state.timer;
      if (due !== null && due <= host.clock.now()) expire();
      // While it is masked nobody is told.
      else if (reached !== null && reached <= host.clock.now()) disarm();
    };
    const takesDeadline = (): boolean => globallyEnabled() && timerMode() === R.LVT_DEADLINE;

    /** Where its registers are; of no size while the guest has it disabled (11.4.3), when what lies below is seen. */
    const page = (): { base: number; size: number } => ({
      base: state.base - (state.base % R.LAPIC_SIZE),
      size: globallyEnabled() ? R.LAPIC_SIZE : 0,
    });
    let placed = page();
    const place = (): void => {
      const now = page();
      if (now.base === placed.base && now.size === placed.size) return;
      placed = now;
      host.memoryMoved();
      host.signal('apic-moved', 0);
    };

    const registers: MemoryClaim = {
      get base() {
        return placed.base;
      },
      get size() {
        return placed.size;
      },
      first: true,
      // Registers are 32 bits wide on 16-byte boundaries; other accesses are undefined (11.4.1.2).
      read(offset: number, width: number) {
        catchUp();
        if ((offset & 0x0c) !== 0) return 0;
        return Math.floor(read(offset & 0xff0) / 2 ** (8 * (offset & 3))) % 2 ** (8 * width);
      },
      write(offset: number, width: number, value: number) {
        catchUp();
        if (width === 4 && (offset & 0x0f) === 0) write(offset, value);
      },
    };
    /** INIT: as after reset, but for the identifier and the place (11.4.7.3). */
    const initialise = (): void => {
      settleEoi();
      Object.assign(state, lapicState.initial(), { base: state.base, id: state.id, pins: state.pins });
      settleAlarm();
      update();
    };

    return {
      /** The bootstrap processor's: those of another are reached by that one alone. */
      memory: isApplicationProcessor(config) ? [] : [registers],
      registers,
      acknowledge() {
        const vector = deliverable();
        if (vector < 0) return state.svr & 0xff;
        R.setVector(state.irr, vector, false);
        R.setVector(state.isr, vector, true);
        update();
        if (assist !== undefined) offerEoi(vector);
        return vector;
      },
      apicMessage(message: ApicMessage): boolean {
        if (!globallyEnabled() || !isMeant(message)) return false;
        if (message.mode === 'fixed' || message.mode === 'lowest') {
          if (!enabled()) return false;
          accept(message.vector & 0xff, message.level);
        } else if (message.mode === 'nmi') host.signal('nmi', config.id);
        else if (message.mode === 'init' && !isApplicationProcessor(config)) host.signal('reset', 0);
        else if (message.mode === 'init') {
          initialise();
          host.signal('init', config.id);
        } else if (message.mode === 'startup' && isApplicationProcessor(config))
          host.signal('start-up', config.id * 0x100 + (message.vector & 0xff));
        return true;
      },
      priority: ppr,
      localPin(pin: 0 | 1, level: boolean) {
        const bit = 1 << pin;
        const rises = level && (state.pins & bit) === 0;
        state.pins = level ? state.pins | bit : state.pins & ~bit;
        if (!rises) return;
        // While the APIC is disabled by IA32_APIC_BASE the pins are INTR and NMI (11.4.3).
        if (pin === 1 && !globallyEnabled()) host.signal('nmi', config.id);
        else localInterrupt(pin === 0 ? R.LINT0 : R.LINT1);
      },
      passesExternal: () => !enabled() || (state.lvt[R.LINT0]! & (R.LVT_MASKED | R.LVT_MODE)) === R.LVT_MODE_EXTINT,
      /** Registers by offset, where the guest's processor has them; as the open bus while the APIC is disabled. */
      readRegister(offset: number): number {
        catchUp();
        return globallyEnabled() ? read(offset & 0xff0) : 0xffff_ffff;
      },
      writeRegister(offset: number, value: number): void {
        catchUp();
        if (globallyEnabled()) write(offset & 0xff0, value);
      },
      /** The timer's interrupt by its local vector table entry, for a hypervisor whose timer is wired so. */
      timerInterrupt(): void {
        settleEoi();
        localInterrupt(R.TIMER);
      },
      /** IA32_TSC_DEADLINE (11.5.4.1): 0 in other modes of the timer, and once it has interrupted. */
      deadline(): bigint {
        if (!takesDeadline()) return 0n;
        catchUpTimer();
        return (BigInt(state.timer.deadlineHigh) << 32n) | BigInt(state.timer.deadlineLow);
      },
      /**
       * The same register is written, by halves; no effect in other modes. `reached` is when the time stamp counter gets there, which may
       * have been already; null: not in the machine's time.
       */
      setDeadline(low: number, high: number, reached: Nanoseconds | null): void {
        if (!takesDeadline()) return;
        catchUpTimer();
        armDeadline(state.timer, low, high, reached);
        if (state.timer.reached !== null && state.timer.reached <= host.clock.now()) expire();
        else schedule();
      },
      /** IA32_APIC_BASE as the processor reads and writes it. */
      base: () => state.base,
      setBase(value: number) {
        settleEoi();
        const flags = value % R.LAPIC_SIZE;
        state.base = value - flags + (flags & (R.BASE_ENABLED | R.BASE_BOOT_PROCESSOR));
        place();
        update();
      },
      /** The task priority, bits 7:4, as CR8 shows it. */
      taskPriority: () => state.tpr >> 4,
      setTaskPriority(value: number) {
        settleEoi();
        state.tpr = (value & 0x0f) << 4;
        update();
      },
      /** The page of its registers. */
      page: () => placed,
      settle() {
        place();
        settleAlarm();
        update();
      },
    };
  },
});
