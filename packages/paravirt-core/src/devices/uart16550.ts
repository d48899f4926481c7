/**
 * A 16550A serial port (National Semiconductor PC16550D datasheet). Bytes written leave at once, so the transmitter is always
 * empty; bytes from the host wait there until the receiver has room. Baud rate matters only for the receiver's timeout.
 */
import { bool, deadline, fifo, pod, u8 } from '@tomei/kit';
import { backendKind, defineDevice, typed, type PortClaim } from '../machine/device.ts';

/** Where the bytes go. */
export interface SerialBackend {
  write(byte: number): void;
  /** The receiver took bytes or was emptied: `input` may take more now. */
  ready?(): void;
}
export const serialBackend = backendKind<SerialBackend>('serial');

export interface UartConfig {
  /** First of eight ports: 0x3F8, 0x2F8, 0x3E8, 0x2E8 for COM1..COM4. */
  readonly base: number;
  /** Interrupt line: 4, 3, 4, 3. */
  readonly irq: number;
}

/** Registers by offset (datasheet, table II). DLL and DLM take the first two places while LCR.DLAB is set. */
const RBR_THR = 0;
const IER = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;

/** Interrupt enable. */
const IER_RECEIVED = 1 << 0;
const IER_THR_EMPTY = 1 << 1;
const IER_LINE_STATUS = 1 << 2;
const IER_MODEM_STATUS = 1 << 3;
/** Interrupt identification: bits 3:0 by priority, bits 7:6 while the FIFOs are on. */
const IIR_NONE = 0x01;
const IIR_LINE_STATUS = 0x06;
const IIR_RECEIVED = 0x04;
const IIR_TIMEOUT = 0x0c;
const IIR_THR_EMPTY = 0x02;
const IIR_MODEM_STATUS = 0x00;
const IIR_FIFOS_ON = 0xc0;
/** FIFO control. */
const FCR_ENABLE = 1 << 0;
const FCR_CLEAR_RECEIVER = 1 << 1;
/** Bytes at which the receiver interrupts, by FCR bits 7:6. */
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;
/** Line control: the divisor latches replace RBR/THR and IER. */
const LCR_DLAB = 1 << 7;
/** Modem control. */
const MCR_OUT2 = 1 << 3;
const MCR_LOOP = 1 << 4;
const MCR_WRITABLE = 0x1f;
/** Line status. */
const LSR_DATA_READY = 1 << 0;
const LSR_OVERRUN = 1 << 1;
const LSR_BREAK = 1 << 4;
const LSR_THR_EMPTY = 1 << 5;
const LSR_IDLE = 1 << 6;
const LSR_ERRORS = 0x1e;
const LCR_BREAK = 1 << 6;
/** Modem status: bits 7:4 are the lines DCD, RI, DSR, CTS, bits 3:0 their changes; RI counts only when it falls. */
const MSR_LINES = 0xf0;
const MSR_RING = 1 << 6;
const MSR_RING_FELL = 1 << 2;
/** The far end is always there: carrier, data set ready, clear to send. */
const FAR_END = 0xb0;

const FIFO_BYTES = 16;
/** The receiver's clock: 1.8432 MHz, sixteen per bit; ten bits per character; the timeout is four characters. */
const CLOCK_HZ = 1_843_200;
const TIMEOUT_BITS = 4 * 10;
/** A divisor of 0 stops a real chip's clock. */
const SLOWEST_DIVISOR = 0x1_0000;

const uartState = pod({
  ier: u8(),
  lcr: u8(),
  mcr: u8(),
  fcr: u8(),
  scratch: u8(),
  divisorLow: u8(12),
  divisorHigh: u8(),
  rx: fifo(FIFO_BYTES),
  /** Error bits of LSR, until it is read. */
  errors: u8(),
  /** Change bits of MSR, until it is read. */
  modemChanges: u8(),
  /** The modem lines as last seen, as MSR bits 7:4. */
  modemLines: u8(FAR_END),
  thrEmptyPending: bool(),
  timeoutPending: bool(),
  timeoutAt: deadline(),
})
  .check((s) => (s.errors & ~LSR_ERRORS) === 0 || "field 'errors' holds more than error bits")
  .check((s) => (s.ier < 16 && s.mcr <= MCR_WRITABLE) || "field 'ier' or 'mcr' has reserved bits set")
  .check(
    (s) => (s.modemChanges < 16 && (s.modemLines & ~MSR_LINES) === 0) || "field 'modemChanges' or 'modemLines' overlap",
  );

export const uart16550 = defineDevice({
  kind: 'uart16550',
  version: 1,
  summary: 'serial port',
  config: typed<UartConfig>({ base: 0x3f8, irq: 4 }),
  state: uartState,
  attach({ config, state, host }) {
    const backend = host.backend(serialBackend);
    const timeout = host.alarm(() => {
      state.timeoutAt = null;
      state.timeoutPending = true;
      update();
    });
    const fifosOn = (): boolean => (state.fcr & FCR_ENABLE) !== 0;
    const capacity = (): number => (fifosOn() ? FIFO_BYTES : 1);
    const trigger = (): number => (fifosOn() ? TRIGGER_LEVELS[(state.fcr >> 6) as 0 | 1 | 2 | 3] : 1);

    /** The pending interrupt of highest priority, as IIR bits 3:0. */
    const pending = (): number => {
      if ((state.ier & IER_LINE_STATUS) !== 0 && state.errors !== 0) return IIR_LINE_STATUS;
      if ((state.ier & IER_RECEIVED) !== 0 && state.rx.length >= trigger()) return IIR_RECEIVED;
      if ((state.ier & IER_RECEIVED) !== 0 && state.timeoutPending) return IIR_TIMEOUT;
      if ((state.ier & IER_THR_EMPTY) !== 0 && state.thrEmptyPending) return IIR_THR_EMPTY;
      if ((state.ier & IER_MODEM_STATUS) !== 0 && state.modemChanges !== 0) return IIR_MODEM_STATUS;
      return IIR_NONE;
    };
    /** A PC gates the chip's interrupt output with OUT2. */
    const update = (): void => {
      const gated = (state.mcr & MCR_OUT2) !== 0 && (state.mcr & MCR_LOOP) === 0;
      host.irq(config.irq, gated && pending() !== IIR_NONE);
    };

    const startTimeout = (): void => {
      state.timeoutPending = false;
      if (!fifosOn() || state.rx.length === 0) {
        state.timeoutAt = null;
        return timeout.cancel();
      }
      const divisor = state.divisorHigh * 256 + state.divisorLow || SLOWEST_DIVISOR;
      state.timeoutAt = host.clock.now() + Math.ceil((TIMEOUT_BITS * 16 * divisor * 1e9) / CLOCK_HZ);
      timeout.set(state.timeoutAt);
    };
    const receive = (byte: number): void => {
      if (state.rx.length < capacity()) state.rx.push(byte);
      else {
        // A full FIFO keeps what it has; without FIFOs the new byte replaces the old one.
        if (!fifosOn()) state.rx[0] = byte;
        state.errors |= LSR_OVERRUN;
      }
    };
    const clearReceiver = (): void => {
      state.rx = [];
      startTimeout();
    };

    /** The lines as the chip sees them: the far end's, or its own outputs in loopback (datasheet, "Modem Control"). */
    const modemLines = (): number => {
      if ((state.mcr & MCR_LOOP) === 0) return FAR_END;
      const { mcr } = state;
      return ((mcr & 2) << 3) | ((mcr & 1) << 5) | ((mcr & 4) << 4) | ((mcr & 8) << 4);
    };
    const noteModemChanges = (): void => {
      const lines = modemLines();
      const changed = lines ^ state.modemLines;
      const ringFell = (changed & state.modemLines & MSR_RING) !== 0 ? MSR_RING_FELL : 0;
      state.modemChanges |= ((changed >> 4) & ~MSR_RING_FELL) | ringFell;
      state.modemLines = lines;
    };

    const transmit = (byte: number): void => {
      if ((state.mcr & MCR_LOOP) !== 0) {
        receive(byte);
        startTimeout();
      } else backend?.write(byte);
      state.thrEmptyPending = true;
    };
    const writeFifoControl = (value: number): void => {
      const toggled = ((value ^ state.fcr) & FCR_ENABLE) !== 0;
      const on = (value & FCR_ENABLE) !== 0;
      // Other bits take effect only together with the enable bit.
      state.fcr = on ? value & 0xc9 : 0;
      if (toggled || (on && (value & FCR_CLEAR_RECEIVER) !== 0)) clearReceiver();
    };
    const writeLineControl = (value: number): void => {
      const breakStarts = (value & ~state.lcr & LCR_BREAK) !== 0;
      state.lcr = value;
      if (!breakStarts || (state.mcr & MCR_LOOP) === 0) return;
      receive(0);
      state.errors |= LSR_BREAK;
      startTimeout();
    };

    const read = (offset: number): number => {
      switch (offset) {
        case RBR_THR: {
          if ((state.lcr & LCR_DLAB) !== 0) return state.divisorLow;
          const byte = state.rx.shift() ?? 0;
          startTimeout();
          return byte;
        }
        case IER:
          return (state.lcr & LCR_DLAB) !== 0 ? state.divisorHigh : state.ier;
        case IIR_FCR: {
          const id = pending();
          if (id === IIR_THR_EMPTY) state.thrEmptyPending = false;
          return id | (fifosOn() ? IIR_FIFOS_ON : 0);
        }
        case LCR:
          return state.lcr;
        case MCR:
          return state.mcr;
        case LSR: {
          const status = state.errors | LSR_THR_EMPTY | LSR_IDLE | (state.rx.length > 0 ? LSR_DATA_READY : 0);
          state.errors = 0;
          return status;
        }
        case MSR: {
          const status = state.modemLines | state.modemChanges;
          state.modemChanges = 0;
          return status;
        }
        default:
          return state.scratch;
      }
    };
    const write = (offset: number, value: number): void => {
      switch (offset) {
        case RBR_THR:
          if ((state.lcr & LCR_DLAB) !== 0) state.divisorLow = value;
          else transmit(value);
          return;
        case IER:
          if ((state.lcr & LCR_DLAB) !== 0) state.divisorHigh = value;
          else {
            // Enabling the interrupt with an empty transmitter raises it: drivers start to send so.
            if ((value & ~state.ier & IER_THR_EMPTY) !== 0) state.thrEmptyPending = true;
            state.ier = value & 0x0f;
          }
          return;
        case IIR_FCR:
          return writeFifoControl(value);
        case LCR:
          return writeLineControl(value);
        case MCR:
          state.mcr = value & MCR_WRITABLE;
          return noteModemChanges();
        case LSR:
        case MSR:
          return;
        default:
          state.scratch = value;
      }
    };

    const roomFor = (): number => ((state.mcr & MCR_LOOP) !== 0 ? 0 : Math.max(0, capacity() - state.rx.length));
    const claim: PortClaim = {
      base: config.base,
      count: 8,
      unit: 1,
      read(offset) {
        const room = roomFor();
        const value = read(offset);
        update();
        if (roomFor() > room) backend?.ready?.();
        return value;
      },
      write(offset, _width, value) {
        const room = roomFor();
        write(offset, value);
        update();
        if (roomFor() > room) backend?.ready?.();
      },
    };

    return {
      lines: [config.irq],
      ports: [claim],
      /** Takes as many bytes as the receiver has room for. */
      input(bytes: Uint8Array): number {
        const taken = Math.min(bytes.length, roomFor());
        for (let i = 0; i < taken; i++) receive(bytes[i]!);
        if (taken > 0) startTimeout();
        update();
        return taken;
      },
      settle() {
        if (state.timeoutAt === null) timeout.cancel();
        else timeout.set(state.timeoutAt);
        update();
      },
    };
  },
});
