/**
 * The I/O APIC (Intel 82093AA datasheet, 290566): 24 inputs, each with a redirection entry. As on other PCs the timer's
 * interrupt 0 arrives at input 2; polarity bits are stored but inputs are logical levels. Messages reach local APICs at once.
 */
import { array, pod, u32, u8 } from '@tomei/kit';
import { defineDevice, typed, type ApicMessage } from '../machine/device.ts';

export interface IoApicConfig {
  /** First address of the window; 0xFEC00000 on a PC. */
  readonly base: number;
}

export const IOAPIC_BASE = 0xfec0_0000;
const WINDOW_BYTES = 0x1000;
/** Memory-mapped registers (3.1): select and window. */
const IOREGSEL = 0x00;
const IOWIN = 0x10;
/** Registers behind the window (3.2). */
const IOAPICID = 0x00;
const IOAPICVER = 0x01;
const IOAPICARB = 0x02;
const REDIRECTION_TABLE = 0x10;

const PINS = 24;
/** Version 0x11 with 24 entries. */
const VERSION = 0x11 | ((PINS - 1) << 16);
const ID_MASK = 0x0f00_0000;

/** Redirection entry, low word (3.2.4). */
const ENTRY_LOGICAL = 1 << 11;
const ENTRY_REMOTE_IRR = 1 << 14;
const ENTRY_LEVEL = 1 << 15;
const ENTRY_MASKED = 1 << 16;
const ENTRY_WRITABLE = 0x0001_afff;
const MODES: readonly (ApicMessage['mode'] | undefined)[] = [
  'fixed',
  'lowest',
  'smi',
  undefined,
  'nmi',
  'init',
  undefined,
  'extint',
];

/** Interrupt 0 is wired to input 2, as the interrupt source override in firmware tables says. */
const pinOf = (line: number): number => (line === 0 ? 2 : line === 2 ? 0 : line);

export const ioapic = defineDevice({
  kind: 'ioapic',
  version: 1,
  summary: 'I/O APIC, 24 inputs',
  config: typed<IoApicConfig>({ base: IOAPIC_BASE }),
  state: pod({
    select: u8(),
    id: u8(),
    /** Low and high words of the redirection entries. */
    low: array(PINS, () => u32(ENTRY_MASKED)),
    high: array(PINS, () => u8()),
    /** Levels of the inputs, bit by bit. */
    lines: u32(),
  })
    .check((s) => s.id < 16 || "field 'id' is over 15")
    .check((s) => s.lines < 2 ** PINS || "field 'lines' has more than 24 inputs")
    .check(
      (s) =>
        s.low.every((w) => (w & ~(ENTRY_WRITABLE | ENTRY_REMOTE_IRR)) === 0) || "field 'low' has reserved bits set",
    ),
  attach({ config, state, host }) {
    const send = (pin: number): void => {
      const low = state.low[pin]!;
      const mode = MODES[(low >> 8) & 7];
      if ((low & ENTRY_LEVEL) !== 0) state.low[pin] = (low | ENTRY_REMOTE_IRR) >>> 0;
      // ExtINT would pass on the 8259 pair's vector, which has a wire of its own on this board.
      if (mode === undefined || mode === 'extint') return;
      host.apic({
        destination: state.high[pin]!,
        logical: (low & ENTRY_LOGICAL) !== 0,
        mode,
        vector: low & 0xff,
        level: (low & ENTRY_LEVEL) !== 0,
      });
    };
    /** Sends a level-triggered input that is up, unmasked and not being served. */
    const serveLevel = (pin: number): void => {
      const low = state.low[pin]!;
      const ready = (low & (ENTRY_LEVEL | ENTRY_MASKED | ENTRY_REMOTE_IRR)) === ENTRY_LEVEL;
      if (ready && (state.lines & (1 << pin)) !== 0) send(pin);
    };

    const readRegister = (): number => {
      const index = state.select - REDIRECTION_TABLE;
      if (index >= 0 && index < 2 * PINS) {
        return index % 2 === 0 ? state.low[index >> 1]! : (state.high[index >> 1]! << 24) >>> 0;
      }
      if (state.select === IOAPICVER) return VERSION;
      if (state.select === IOAPICID || state.select === IOAPICARB) return (state.id << 24) & ID_MASK;
      return 0;
    };
    const writeRegister = (value: number): void => {
      const index = state.select - REDIRECTION_TABLE;
      if (state.select === IOAPICID) state.id = (value & ID_MASK) >> 24;
      if (index < 0 || index >= 2 * PINS) return;
      const pin = index >> 1;
      if (index % 2 === 1) {
        state.high[pin] = value >>> 24;
        return;
      }
      // Remote IRR is read-only but has no meaning for edges: switching to edge and back is how a driver clears it.
      const remote = (value & ENTRY_LEVEL) !== 0 ? state.low[pin]! & ENTRY_REMOTE_IRR : 0;
      state.low[pin] = (value & ENTRY_WRITABLE) | remote;
      serveLevel(pin);
    };

    return {
      memory: [
        {
          base: config.base,
          size: WINDOW_BYTES,
          read(offset: number, width: number) {
            const register = offset & 0x0ff;
            const value =
              register >= IOWIN && register < IOWIN + 4 ? readRegister() : register === IOREGSEL ? state.select : 0;
            return Math.floor(value / 2 ** (8 * (offset & 3))) % 2 ** (8 * width);
          },
          write(offset: number, width: number, value: number) {
            const register = offset & 0x0ff;
            if (register === IOREGSEL) state.select = value & 0xff;
            else if (register === IOWIN && width === 4) writeRegister(value);
          },
        },
      ],
      interruptLine(line: number, level: boolean) {
        const pin = pinOf(line);
        const bit = 1 << pin;
        const rises = level && (state.lines & bit) === 0;
        state.lines = level ? state.lines | bit : state.lines & ~bit;
        const low = state.low[pin]!;
        if ((low & ENTRY_LEVEL) !== 0) serveLevel(pin);
        // An edge at a masked input is lost (3.2.4, "Interrupt Mask").
        else if (rises && (low & ENTRY_MASKED) === 0) send(pin);
      },
      apicEoi(vector: number) {
        for (let pin = 0; pin < PINS; pin++) {
          const low = state.low[pin]!;
          if ((low & 0xff) !== vector || (low & ENTRY_REMOTE_IRR) === 0) continue;
          state.low[pin] = low & ~ENTRY_REMOTE_IRR;
          serveLevel(pin);
        }
      },
    };
  },
});
