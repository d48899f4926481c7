/** The calendar of an MC146818: seconds since the start of year 0 to registers and back (Motorola MC146818 data sheet, table 3). */

/** Calendar fields as the registers mean them; `hour` 0..23, `weekday` 1..7 from Sunday. */
export interface Calendar {
  readonly second: number;
  readonly minute: number;
  readonly hour: number;
  readonly weekday: number;
  readonly day: number;
  readonly month: number;
  /** 0..9999. */
  readonly year: number;
}

/** Seconds from the start of year 0 (proleptic Gregorian) to the start of 1970. */
export const UNIX_EPOCH = 62_167_219_200;
const LAST_SECOND = 315_569_519_999;
export const DAY_SECONDS = 86_400;

export function calendarAt(seconds: number): Calendar {
  const date = new Date((Math.min(Math.max(seconds, 0), LAST_SECOND) - UNIX_EPOCH) * 1000);
  return {
    second: date.getUTCSeconds(),
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    weekday: date.getUTCDay() + 1,
    day: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    year: date.getUTCFullYear(),
  };
}

/** Fields that no calendar has (month 13) carry over into the next ones; the weekday does not matter. */
export function secondsOf(calendar: Calendar): number {
  const { year, month, day, hour, minute, second } = calendar;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  return Math.min(Math.max(date.getTime() / 1000 + UNIX_EPOCH, 1), LAST_SECOND);
}

export const toBcd = (n: number): number => (Math.floor(n / 10) % 10) * 16 + (n % 10);
export const fromBcd = (n: number): number => (n >> 4) * 10 + (n & 15);

/** The afternoon in 12-hour mode. */
const PM = 0x80;

/** How the data mode bits of register B write a number and an hour. */
export interface DataMode {
  readonly binary: boolean;
  readonly hours24: boolean;
}

export const encode = (mode: DataMode, n: number): number => (mode.binary ? n & 0xff : toBcd(n));
export const decode = (mode: DataMode, byte: number): number => (mode.binary ? byte : fromBcd(byte));

export function encodeHour(mode: DataMode, hour: number): number {
  if (mode.hours24) return encode(mode, hour);
  return encode(mode, hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? PM : 0);
}

export function decodeHour(mode: DataMode, byte: number): number {
  if (mode.hours24) return decode(mode, byte);
  return (decode(mode, byte & ~PM) % 12) + ((byte & PM) !== 0 ? 12 : 0);
}
