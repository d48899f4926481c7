/** Names of addresses, for traces: out of an ELF file's symbol table (System V ABI, 4) or a `System.map`. Files are hostile. */
import { readFileSync } from 'node:fs';
import { TomeiError, messageOf } from '@tomei/kit';

/** Sorted by address; plain data, so that it can go to another thread. */
export interface Symbols {
  readonly addresses: Uint32Array;
  readonly names: readonly string[];
}

const MOST_SYMBOLS = 1 << 20;
const ELF_MAGIC = 0x464c_457f;
const SHT_SYMTAB = 2;
const SECTION_BYTES = 40,
  SYMBOL_BYTES = 16;
/** Symbol types without an address of code or data: sections and files. */
const STT_SECTION = 3,
  STT_FILE = 4;
const SHN_UNDEF = 0;
const LONGEST_NAME = 512;
/** Bytes of the largest function that is believed. */
const LARGEST_FUNCTION = 1 << 16;

/** Throws `symbols.unreadable`, naming the option that named the file, and `symbols.bad-file`. */
export function readSymbols(path: string, option: string): Symbols {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new TomeiError('symbols.unreadable', `${option} ${path}: ${messageOf(cause)}`, { cause });
  }
  return parseSymbols(bytes, path);
}
/** Throws `symbols.bad-file`, naming the file. */
export function parseSymbols(bytes: Uint8Array, fileName: string): Symbols {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isElf = bytes.length >= 52 && data.getUint32(0, true) === ELF_MAGIC;
  const found = isElf ? fromElf(data, bytes, fileName) : fromMap(bytes, fileName);
  found.sort((a, b) => a.address - b.address);
  return { addresses: Uint32Array.from(found, ({ address }) => address), names: found.map(({ name }) => name) };
}

interface Symbol {
  readonly address: number;
  readonly name: string;
}
const bad = (fileName: string, what: string): TomeiError =>
  new TomeiError('symbols.bad-file', `${fileName}: ${what}; give an ELF file with symbols, or a System.map`);

function fromMap(bytes: Uint8Array, fileName: string): Symbol[] {
  const found: Symbol[] = [];
  for (const line of new TextDecoder('latin1').decode(bytes).split('\n')) {
    const match = /^([0-9a-f]{8}) [a-zA-Z?] (\S{1,512})/.exec(line);
    if (match === null) continue;
    if (found.length >= MOST_SYMBOLS) throw bad(fileName, `has more than ${MOST_SYMBOLS} symbols`);
    found.push({ address: Number.parseInt(match[1]!, 16), name: match[2]! });
  }
  if (found.length === 0) throw bad(fileName, 'has no line of a System.map and is no ELF file');
  return found;
}

function fromElf(data: DataView, bytes: Uint8Array, fileName: string): Symbol[] {
  if (data.getUint8(4) !== 1 || data.getUint8(5) !== 1) throw bad(fileName, 'is not of 32 bits, little-endian');
  const inside = (at: number, length: number): void => {
    if (at + length > bytes.length) throw bad(fileName, `its field at ${at} lies outside of it`);
  };
  const table = data.getUint32(32, true),
    count = data.getUint16(48, true);
  if (data.getUint16(46, true) !== SECTION_BYTES) throw bad(fileName, 'its section headers have an unknown size');
  inside(table, count * SECTION_BYTES);
  const section = (n: number): { type: number; at: number; size: number; link: number } => {
    const at = table + n * SECTION_BYTES;
    return {
      type: data.getUint32(at + 4, true),
      at: data.getUint32(at + 16, true),
      size: data.getUint32(at + 20, true),
      link: data.getUint32(at + 24, true),
    };
  };
  const symbols = Array.from({ length: count }, (_, n) => section(n)).find(({ type }) => type === SHT_SYMTAB);
  if (symbols === undefined || symbols.link >= count) throw bad(fileName, 'has no symbol table');
  const strings = section(symbols.link);
  inside(symbols.at, symbols.size);
  inside(strings.at, strings.size);
  if (symbols.size / SYMBOL_BYTES > MOST_SYMBOLS) throw bad(fileName, `has more than ${MOST_SYMBOLS} symbols`);
  const found: Symbol[] = [];
  for (let at = symbols.at; at + SYMBOL_BYTES <= symbols.at + symbols.size; at += SYMBOL_BYTES) {
    const type = data.getUint8(at + 12) & 0xf;
    if (type === STT_SECTION || type === STT_FILE || data.getUint16(at + 14, true) === SHN_UNDEF) continue;
    const from = data.getUint32(at, true);
    if (from >= strings.size) continue;
    const text = bytes.subarray(
        strings.at + from,
        Math.min(strings.at + strings.size, strings.at + from + LONGEST_NAME),
      ),
      end = text.indexOf(0);
    const name = new TextDecoder('latin1').decode(end < 0 ? text : text.subarray(0, end));
    if (name !== '') found.push({ address: data.getUint32(at + 4, true), name });
  }
  return found;
}

/** The address of a name, or undefined. */
export function addressOf({ addresses, names }: Symbols, name: string): number | undefined {
  const at = names.indexOf(name);
  return at < 0 ? undefined : addresses[at];
}
/** `name` or `name+offset` in hexadecimal of the last symbol at or before an address. */
export function nameOf(symbols: Symbols, address: number): string | undefined {
  const at = indexOf(symbols, address);
  if (at < 0) return undefined;
  const offset = address - symbols.addresses[at]!;
  return offset === 0 ? symbols.names[at]! : `${symbols.names[at]!}+${offset.toString(16)}`;
}
/** The function around an address: its name alone; undefined where the symbol before it is too far away to be its own. */
export function functionOf(symbols: Symbols, address: number): string | undefined {
  const at = indexOf(symbols, address);
  return at < 0 || address - symbols.addresses[at]! > LARGEST_FUNCTION ? undefined : symbols.names[at];
}
/** Of the last symbol at or before an address, or -1. */
function indexOf({ addresses }: Symbols, address: number): number {
  let low = 0,
    high = addresses.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (addresses[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
