/**
 * One counter of an 8254 (Intel 8254 datasheet, 231164), as pure functions of its state and of the tick count of its clock:
 * nothing runs between two accesses.
 */
import { bool, pod, u16, u32, u8, type Field, type StateOf } from '@tomei/kit';

/** Modes (datasheet, "Mode Definitions"). 6 and 7 are further names of 2 and 3. */
export const MODE_TERMINAL_COUNT = 0;
export const MODE_ONE_SHOT = 1;
export const MODE_RATE = 2;
export const MODE_SQUARE = 3;
export const MODE_SOFTWARE_STROBE = 4;
export const MODE_HARDWARE_STROBE = 5;
/** Read/write bits of the control word: 1 least, 2 most significant byte only, 3 both. */
export const ACCESS_LOW = 1;
export const ACCESS_HIGH = 2;
export const ACCESS_BOTH = 3;

const STATUS_OUT = 0x80;
const STATUS_NULL_COUNT = 0x40;
const BCD_LIMIT = 10_000;
const BINARY_LIMIT = 0x1_0000;

/** A tick count, or null; starts at `initial`. */
const tick = (initial: number | null): Field<number | null> => ({
  initial: () => initial,
  check: (v) =>
    v === null
      ? undefined
      : Number.isSafeInteger(v) && (v as number) >= 0 && (v as number) < 2 ** 48
        ? undefined
        : 'is not a tick count',
  copy: (v) => v,
});

/** After reset the counters run as a PC's firmware leaves counter 0: mode 3, full count. */
export const counterState = (gate: boolean) =>
  pod({
    mode: u8(MODE_SQUARE),
    bcd: bool(),
    access: u8(ACCESS_BOTH),
    /** The count in use: 1..65536. */
    count: u32(BINARY_LIMIT),
    /** Written, but not in use before `switchAt` or the next trigger; 0 means none. */
    pending: u32(),
    switchAt: tick(null),
    /** When `count` went into the counting element; null while it waits for a count or a trigger. */
    loadedAt: tick(0),
    gate: bool(gate),
    /** Ticks counted when the gate stopped the counter; null while it runs. */
    held: tick(null),
    writeLow: u8(),
    writeSecond: bool(),
    readSecond: bool(),
    latch: u16(),
    latched: bool(),
    status: u8(),
    statusLatched: bool(),
  })
    .check((s) => (s.mode <= 5 && s.access >= 1 && s.access <= 3) || "field 'mode' is over 5 or 'access' not 1..3")
    .check((s) => (s.count >= 1 && s.count <= BINARY_LIMIT) || "field 'count' is not 1..65536")
    .check((s) => s.pending <= BINARY_LIMIT || "field 'pending' is over 65536");
export type Counter = StateOf<ReturnType<typeof counterState>>;

const isPeriodic = (c: Counter): boolean => c.mode === MODE_RATE || c.mode === MODE_SQUARE;
const isTriggered = (c: Counter): boolean => c.mode === MODE_ONE_SHOT || c.mode === MODE_HARDWARE_STROBE;
/** A period of one tick is illegal in the periodic modes; the shortest is two. */
const period = (c: Counter): number => Math.max(2, c.count);

/** Ticks counted since the count was loaded; negative before that. */
function elapsed(c: Counter, now: number): number {
  return c.loadedAt === null ? 0 : (c.held ?? now - c.loadedAt);
}

/** Puts a pending count of a periodic mode into use when its time has come. */
export function sync(c: Counter, now: number): void {
  if (c.switchAt === null || now < c.switchAt || c.held !== null) return;
  c.count = Math.max(1, c.pending);
  c.loadedAt = c.switchAt;
  c.pending = 0;
  c.switchAt = null;
}

/** The OUT pin. */
export function output(c: Counter, now: number): boolean {
  const ticks = elapsed(c, now);
  const waiting = c.loadedAt === null;
  switch (c.mode) {
    case MODE_TERMINAL_COUNT:
      return !waiting && ticks >= c.count;
    case MODE_ONE_SHOT:
      return waiting || ticks < 0 || ticks >= c.count;
    case MODE_RATE:
      return waiting || !c.gate || ticks < 0 || ticks % period(c) !== period(c) - 1;
    case MODE_SQUARE:
      return waiting || !c.gate || ticks < 0 || ticks % period(c) < Math.ceil(period(c) / 2);
    default:
      return waiting || ticks !== c.count;
  }
}

/** The first tick after `now` at which OUT rises by itself, or null. */
export function nextRise(c: Counter, now: number): number | null {
  if (c.loadedAt === null || c.held !== null) return null;
  if (isPeriodic(c)) {
    if (!c.gate) return null;
    const rise = c.loadedAt + (Math.floor(Math.max(0, now - c.loadedAt) / period(c)) + 1) * period(c);
    if (c.switchAt === null || rise <= c.switchAt) return rise;
    const fresh = Math.max(2, c.pending);
    return c.switchAt + (Math.floor(Math.max(0, now - c.switchAt) / fresh) + 1) * fresh;
  }
  const strobe = c.mode === MODE_SOFTWARE_STROBE || c.mode === MODE_HARDWARE_STROBE;
  const rise = c.loadedAt + c.count + (strobe ? 1 : 0);
  return rise > now ? rise : null;
}

/** What the counter divides its clock by while OUT goes up and down for ever; 0 while it does not. A count that waits counts. */
export function frequencyDivisor(c: Counter): number {
  const count = Math.max(2, c.pending === 0 ? c.count : c.pending);
  return isPeriodic(c) && c.gate && c.loadedAt !== null ? count : 0;
}

/** What the counting element holds, as the guest reads it. */
function value(c: Counter, now: number): number {
  const ticks = Math.max(0, elapsed(c, now));
  let left: number;
  if (c.mode === MODE_RATE) left = period(c) - (ticks % period(c));
  else if (c.mode === MODE_SQUARE) {
    const phase = ticks % period(c);
    const half = Math.ceil(period(c) / 2);
    left = period(c) - (period(c) % 2) - 2 * (phase < half ? phase : phase - half);
  } else left = c.count - ticks;
  const limit = c.bcd ? BCD_LIMIT : BINARY_LIMIT;
  const wrapped = ((left % limit) + limit) % limit;
  return c.bcd ? toBcd(wrapped) : wrapped;
}

const toBcd = (n: number): number =>
  (Math.floor(n / 1000) % 10) * 0x1000 +
  (Math.floor(n / 100) % 10) * 0x100 +
  (Math.floor(n / 10) % 10) * 0x10 +
  (n % 10);
const fromBcd = (n: number): number => (n >> 12) * 1000 + ((n >> 8) & 15) * 100 + ((n >> 4) & 15) * 10 + (n & 15);

/** A control word for this counter (bits 5:0), other than a latch command. */
export function program(c: Counter, word: number): void {
  const mode = (word >> 1) & 7;
  c.mode = mode > 5 ? mode - 4 : mode;
  c.bcd = (word & 1) !== 0;
  c.access = (word >> 4) & 3;
  c.loadedAt = c.switchAt = c.held = null;
  c.pending = 0;
  c.writeSecond = c.readSecond = c.latched = c.statusLatched = false;
}

/** Freezes what the guest reads next; a latch that was not read yet stays. */
export function latchCount(c: Counter, now: number): void {
  if (c.latched) return;
  c.latch = value(c, now);
  c.latched = true;
  c.readSecond = false;
}

/** Freezes the status byte (datasheet, "Status Byte"). */
export function latchStatus(c: Counter, now: number): void {
  if (c.statusLatched) return;
  const unused = c.loadedAt === null || now < c.loadedAt || c.pending !== 0;
  c.status =
    (output(c, now) ? STATUS_OUT : 0) |
    (unused ? STATUS_NULL_COUNT : 0) |
    (c.access << 4) |
    (c.mode << 1) |
    (c.bcd ? 1 : 0);
  c.statusLatched = true;
}

export function readByte(c: Counter, now: number): number {
  if (c.statusLatched) {
    c.statusLatched = false;
    return c.status;
  }
  const count = c.latched ? c.latch : value(c, now);
  const high = c.access === ACCESS_HIGH || (c.access === ACCESS_BOTH && c.readSecond);
  if (c.access === ACCESS_BOTH) c.readSecond = !c.readSecond;
  if (!c.readSecond) c.latched = false;
  return high ? count >> 8 : count & 0xff;
}

export function writeByte(c: Counter, now: number, byte: number): void {
  if (c.access === ACCESS_BOTH && !c.writeSecond) {
    c.writeLow = byte;
    c.writeSecond = true;
    // The first byte of a new count stops a mode 0 count.
    if (c.mode === MODE_TERMINAL_COUNT) c.loadedAt = c.held = null;
    return;
  }
  c.writeSecond = false;
  const raw = c.access === ACCESS_LOW ? byte : c.access === ACCESS_HIGH ? byte << 8 : (byte << 8) | c.writeLow;
  const decoded = c.bcd ? fromBcd(raw) : raw;
  newCount(c, now, decoded === 0 ? (c.bcd ? BCD_LIMIT : BINARY_LIMIT) : Math.min(decoded, BINARY_LIMIT));
}

/** A count is complete: when it goes into use depends on the mode. */
function newCount(c: Counter, now: number, count: number): void {
  if (isTriggered(c)) {
    if (c.loadedAt === null) c.count = count;
    else c.pending = count;
  } else if (isPeriodic(c) && c.loadedAt !== null) {
    c.pending = count;
    if (c.held === null) c.switchAt ??= nextRise(c, now);
  } else {
    c.count = count;
    load(c, now);
  }
}

/** The next clock pulse moves the count into the counting element; it does not count itself. */
function load(c: Counter, now: number): void {
  c.loadedAt = now + 1;
  c.held = c.gate || isTriggered(c) ? null : 0;
}

export function setGate(c: Counter, now: number, gate: boolean): void {
  if (c.gate === gate) return;
  sync(c, now);
  c.gate = gate;
  if (isTriggered(c) || (isPeriodic(c) && c.loadedAt !== null)) {
    if (gate) {
      if (c.pending !== 0) c.count = c.pending;
      c.pending = 0;
      c.switchAt = null;
      load(c, now);
    } else if (isPeriodic(c)) c.held = Math.max(0, elapsed(c, now));
    return;
  }
  if (c.loadedAt === null) return;
  if (gate) {
    c.loadedAt = Math.max(0, now - (c.held ?? 0));
    c.held = null;
  } else c.held = Math.max(0, elapsed(c, now));
}
