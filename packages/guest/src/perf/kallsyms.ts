/**
 * The names of a Linux kernel's functions, out of its memory: the tables behind /proc/kallsyms (scripts/kallsyms.c), which give the
 * addresses as they are, wherever the kernel has put itself. What is read is the guest's: whatever does not fit is no table.
 */
import type { Symbols } from '../trace/symbols.ts';

/** The tokens of the characters 0 to 9, as they lie in the table of tokens. */
const DIGITS = Uint8Array.from([...'0123456789'].flatMap((digit) => [digit.charCodeAt(0), 0]));
const FIRST_DIGIT = 0x30;
const TOKENS = 256;
/** Bytes of all tokens at most, and of one symbol. */
const MOST_TOKEN_BYTES = 1 << 14,
  LONGEST_NAME = 512;
const FEWEST_SYMBOLS = 1000,
  MOST_SYMBOLS = 1 << 20;
/** How far the names may lie before the tokens. */
const MOST_NAME_BYTES = 16 << 20;
/** Every so many symbols a marker says where its name lies. */
const MARKED = 256;
/** Tables that are looked at: copies that a boot loader has left are among them. */
const MOST_TABLES = 16;

const aligned = (at: number): number => (at + 3) & ~3;

/**
 * The symbols of the kernel in this RAM, or undefined. Of several tables it is the one that names the most of `addresses`, which are
 * known to be code of the kernel.
 */
export function findKallsyms(ram: Uint8Array<ArrayBufferLike>, addresses: readonly number[]): Symbols | undefined {
  const bytes = Buffer.from(ram.buffer, ram.byteOffset, ram.length);
  let best: { readonly symbols: Symbols; readonly named: number } | undefined;
  for (let at = bytes.indexOf(DIGITS), n = 0; at >= 0 && n < MOST_TABLES; at = bytes.indexOf(DIGITS, at + 1), n++) {
    const tokens = tokensAround(bytes, at),
      symbols = tokens === undefined ? undefined : symbolsBefore(bytes, tokens);
    if (symbols === undefined) continue;
    const first = symbols.addresses[0]!,
      last = symbols.addresses.at(-1)!;
    const named = addresses.filter((address) => address >= first && address <= last).length;
    if (best === undefined || named > best.named) best = { symbols, named };
  }
  return best !== undefined && (best.named > 0 || addresses.length === 0) ? best.symbols : undefined;
}

interface Tokens {
  readonly texts: readonly string[];
  /** Where the tokens begin, and where the table of their places ends. */
  readonly begin: number;
  readonly end: number;
}
/** `digits` is where the token of 0 lies. */
function tokensAround(bytes: Buffer, digits: number): Tokens | undefined {
  let at = digits;
  for (let token = FIRST_DIGIT; token < TOKENS; token++) {
    const end = bytes.indexOf(0, at);
    if (end < 0 || end - digits > MOST_TOKEN_BYTES) return undefined;
    at = end + 1;
  }
  // Behind the tokens: where each of them lies, 16 bits each.
  const index = aligned(at);
  if (index + TOKENS * 2 > bytes.length) return undefined;
  const offsets = Array.from({ length: TOKENS }, (_, i) => bytes.readUInt16LE(index + i * 2)),
    begin = digits - offsets[FIRST_DIGIT]!;
  const isOrdered = offsets.every((offset, i) => i === 0 || offset > offsets[i - 1]!);
  if (offsets[0] !== 0 || !isOrdered || begin < 0) return undefined;
  const texts = offsets.map((offset) => {
    const from = begin + offset;
    return bytes.toString('latin1', from, bytes.indexOf(0, from));
  });
  return { texts, begin, end: index + TOKENS * 2 };
}

function symbolsBefore(bytes: Buffer, tokens: Tokens): Symbols | undefined {
  const lowest = Math.max(4, tokens.begin - MOST_NAME_BYTES);
  for (let at = (tokens.begin & ~3) - 4; at >= lowest; at -= 4) {
    const count = bytes.readUInt32LE(at);
    if (count < FEWEST_SYMBOLS || count > MOST_SYMBOLS) continue;
    const places = namesFrom(bytes, at + 4, count, tokens.begin);
    if (places === undefined) continue;
    const addresses = addressesOf(bytes, { count, at, end: tokens.end });
    return addresses === undefined
      ? undefined
      : { addresses, names: Array.from(places, (place) => nameAt(bytes, place, tokens)) };
  }
  return undefined;
}
/** Where each name begins, when so many of them are followed by markers that agree. */
function namesFrom(bytes: Buffer, begin: number, count: number, limit: number): Uint32Array | undefined {
  const places = new Uint32Array(count);
  let at = begin;
  for (let n = 0; n < count; n++) {
    if (at >= limit) return undefined;
    places[n] = at;
    const { length, from } = lengthAt(bytes, at);
    if (length === 0 || length > LONGEST_NAME) return undefined;
    at = from + length;
  }
  const markers = aligned(at),
    marked = Math.ceil(count / MARKED);
  if (markers + marked * 4 > limit) return undefined;
  for (let n = 0; n < marked; n++)
    if (bytes.readUInt32LE(markers + n * 4) !== places[n * MARKED]! - begin) return undefined;
  return places;
}
/** One byte, or two where the first has bit 7 (Linux 6.1 on). */
function lengthAt(bytes: Buffer, at: number): { readonly length: number; readonly from: number } {
  const first = bytes[at]!;
  if ((first & 0x80) === 0) return { length: first, from: at + 1 };
  return { length: (first & 0x7f) | (bytes[at + 1]! << 7), from: at + 2 };
}
/** The first character of what the tokens say is the symbol's type. */
function nameAt(bytes: Buffer, place: number, { texts }: Tokens): string {
  const { length, from } = lengthAt(bytes, place);
  let text = '';
  for (let i = 0; i < length; i++) text += texts[bytes[from + i]!]!;
  return text.slice(1, 1 + LONGEST_NAME);
}
/** Offsets from a base: before the number of symbols (up to Linux 6.4) or behind the tokens. */
function addressesOf(
  bytes: Buffer,
  { count, at, end }: { readonly count: number; readonly at: number; readonly end: number },
): Uint32Array | undefined {
  for (const [offsets, base] of [
    [at - 4 - count * 4, at - 4],
    [aligned(end), aligned(end) + count * 4],
  ] as const) {
    if (offsets < 0 || base + 4 > bytes.length) continue;
    const first = bytes.readUInt32LE(base),
      addresses = Uint32Array.from({ length: count }, (_, i) => first + bytes.readUInt32LE(offsets + i * 4));
    if (addresses.every((address, i) => i === 0 || address >= addresses[i - 1]!)) return addresses;
  }
  return undefined;
}
