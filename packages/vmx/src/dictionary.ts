/**
 * The text of a `.vmx`: VMware's dictionary format, one `name = "value"` a line, as its open-source reader takes it
 * (open-vm-tools, lib/dict/dictll.c: line grammar and escapes). Everything that is not edited is written back byte for byte.
 */
import { TomeiError } from '@tomei/kit';
import { charsetOf, type Charset } from './encoding.ts';
import { Problems, type VmxProblem } from './problem.ts';

/** Far beyond any real file (VMware's have hundreds of lines), and small enough to parse without a thought. */
export const VMX_MAX_BYTES = 4 * 1024 * 1024;

export interface VmxEntry {
  /** As the file spells it; compare with `vmxKey`. */
  readonly key: string;
  /** Unescaped. */
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

/** One line with its bytes, line end excluded; `entry` is absent for comments, blank lines and lines that are wrong. */
interface Line {
  readonly raw: Uint8Array;
  readonly end: Uint8Array;
  readonly entry?: VmxEntry;
  /** Bytes `from .. to - 1` of `raw` are the value with its quotes. */
  readonly from: number;
  readonly to: number;
}

export interface VmxFile {
  readonly fileName: string;
  /** What `.encoding` says; UTF-8 when it is absent. */
  readonly encoding: string;
  /** In file order, duplicates included. */
  readonly entries: readonly VmxEntry[];
  readonly warnings: readonly VmxProblem[];
  readonly text: { readonly bom: boolean; readonly lines: readonly Line[]; readonly charset: Charset };
}

const BOM = Uint8Array.of(0xef, 0xbb, 0xbf);
const LF = 0x0a;
const CR = 0x0d;
const TAB = 0x09;
const SPACE = 0x20;
const QUOTE = 0x22;
const POUND = 0x23;
const EQUALS = 0x3d;
const BAR = 0x7c;
const DEL = 0x7f;

/** Keys are compared without regard to case. */
export const vmxKey = (key: string): string => key.toLowerCase();

/**
 * Reads the bytes of a `.vmx`; `fileName` is for messages only.
 * Throws `vmx.syntax`, `vmx.encoding` or `vmx.too-large`, each naming file and line. Duplicate keys are warnings: the last counts.
 */
export function parseVmx(bytes: Uint8Array, fileName: string): VmxFile {
  const problems = new Problems(fileName);
  const vmx = scanVmx(bytes, fileName, problems);
  problems.throwFirst();
  return vmx;
}

/** As `parseVmx`, but collects every finding and returns what could be read. */
export function scanVmx(bytes: Uint8Array, fileName: string, problems: Problems): VmxFile {
  const tooLarge = bytes.length > VMX_MAX_BYTES;
  if (tooLarge) {
    const size = `${bytes.length} bytes; the limit is ${VMX_MAX_BYTES}`;
    problems.error('vmx.too-large', { line: 0 }, `this is no .vmx: ${size}`);
  }
  const source = tooLarge ? new Uint8Array() : bytes;
  const bom = BOM.every((b, i) => source[i] === b);
  const parts = splitLines(bom ? source.subarray(BOM.length) : source).map((line) => ({
    ...line,
    ...scanLine(line.raw),
  }));
  const charset = chooseCharset(parts, bom, problems);
  const lines = parts.map((part, i): Line => {
    const number = i + 1;
    const { raw, end, from, to } = part;
    if (part.wrong !== undefined) problems.error('vmx.syntax', { line: number }, part.wrong);
    if (part.name === undefined || part.value === undefined) return { raw, end, from, to };
    try {
      const entry = { key: charset.decode(part.name), value: charset.decode(part.value), line: number };
      return { raw, end, from, to, entry };
    } catch {
      problems.error('vmx.encoding', { line: number }, `the line has bytes that are not ${charset.name} text`);
      return { raw, end, from, to };
    }
  });
  const entries = lines.flatMap((line) => line.entry ?? []);
  warnOfDuplicates(entries, problems);
  return { fileName, encoding: charset.name, entries, warnings: problems.warnings, text: { bom, lines, charset } };
}

/** The entry that counts for a key (the last one), or undefined. */
export function findVmx(vmx: VmxFile, key: string): VmxEntry | undefined {
  const wanted = vmxKey(key);
  return vmx.entries.findLast((entry) => vmxKey(entry.key) === wanted);
}

/** The value of a key, or undefined. */
export const getVmx = (vmx: VmxFile, key: string): string | undefined => findVmx(vmx, key)?.value;

/**
 * A copy of the file with one key set, or removed with null. A line that is there keeps its spelling, spacing and comment.
 * Throws `vmx.key` for a key that cannot be written and `vmx.encoding` for a value that the file's character set cannot hold.
 */
export function setVmx(vmx: VmxFile, key: string, value: string | null): VmxFile {
  // eslint-disable-next-line no-control-regex -- control characters are what this refuses
  if (!/^[^\s=#"\x00-\x20\x7f]+$/.test(key)) {
    throw new TomeiError('vmx.key', `'${key}' cannot be a key: no spaces, quotes, '=' or '#'`, { data: { key } });
  }
  const wanted = vmxKey(key);
  if (wanted === '.encoding') {
    throw new TomeiError('vmx.key', `${vmx.fileName}: .encoding cannot be changed in place`, { data: { key } });
  }
  const { charset, bom, lines } = vmx.text;
  const matches = (line: Line): boolean => line.entry !== undefined && vmxKey(line.entry.key) === wanted;
  const newline = lines.find((line) => line.end.length > 0)?.end ?? Uint8Array.of(LF);
  let parts: Uint8Array[];
  if (value === null) {
    parts = lines.filter((line) => !matches(line)).flatMap((line) => [line.raw, line.end]);
  } else {
    const quoted = quote(charset.encode(value));
    const last = lines.findLastIndex(matches);
    parts = lines.flatMap((line, i) => [
      ...(i === last ? [line.raw.subarray(0, line.from), quoted, line.raw.subarray(line.to)] : [line.raw]),
      line.end,
    ]);
    if (last < 0) {
      const unfinished = lines.at(-1)?.end.length === 0 && lines.at(-1)!.raw.length > 0;
      parts.push(...(unfinished ? [newline] : []), charset.encode(`${key} = `), quoted, newline);
    }
  }
  return parseVmx(concat(bom ? [BOM, ...parts] : parts), vmx.fileName);
}

/** The bytes of the file: what was read, with the edits that were made. */
export function formatVmx(vmx: VmxFile): Uint8Array {
  const parts = vmx.text.lines.flatMap((line) => [line.raw, line.end]);
  return concat(vmx.text.bom ? [BOM, ...parts] : parts);
}

/** A new file from keys and values, in UTF-8. Throws as `setVmx` does. */
export function createVmx(values: Iterable<readonly [string, string]>, fileName: string): VmxFile {
  let vmx = parseVmx(new TextEncoder().encode('.encoding = "UTF-8"\n'), fileName);
  for (const [key, value] of values) vmx = setVmx(vmx, key, value);
  return vmx;
}

function chooseCharset(
  parts: readonly { name?: Uint8Array; value?: Uint8Array }[],
  bom: boolean,
  problems: Problems,
): Charset {
  const utf8 = charsetOf('UTF-8')!;
  const ascii = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, 64));
  const at = parts.findLastIndex(
    (p) => p.name !== undefined && p.name.length === 9 && vmxKey(ascii(p.name)) === '.encoding',
  );
  const part = parts[at];
  if (part?.value !== undefined) {
    const label = ascii(part.value);
    const charset = charsetOf(label);
    if (charset !== undefined) return charset;
    const place = { line: at + 1, key: '.encoding' };
    problems.error('vmx.encoding', place, `.encoding: '${label}' is not a character set that can be read; use "UTF-8"`);
    return utf8;
  }
  try {
    for (const p of parts) for (const bytes of [p.name, p.value]) if (bytes !== undefined) utf8.decode(bytes);
    return utf8;
  } catch {
    if (bom) return utf8; // the mark says UTF-8, so a bad byte is an error of its line
    const what = 'there is no .encoding and this is not UTF-8; reading it as windows-1252';
    problems.warn('vmx.encoding', { line: 0, key: '.encoding' }, what);
    return charsetOf('windows-1252')!;
  }
}

function warnOfDuplicates(entries: readonly VmxEntry[], problems: Problems): void {
  const seen = new Map<string, VmxEntry>();
  for (const entry of entries) {
    const before = seen.get(vmxKey(entry.key));
    if (before !== undefined) {
      const what = `${entry.key} was already set on line ${before.line}; the last one counts`;
      problems.warn('vmx.duplicate', { line: entry.line, key: entry.key }, what);
    }
    seen.set(vmxKey(entry.key), entry);
  }
}

function splitLines(bytes: Uint8Array): { raw: Uint8Array; end: Uint8Array }[] {
  const lines: { raw: Uint8Array; end: Uint8Array }[] = [];
  for (let start = 0; start < bytes.length;) {
    const at = bytes.indexOf(LF, start);
    const stop = at < 0 ? bytes.length : at + 1;
    let textEnd = at < 0 ? bytes.length : at;
    if (at > start && bytes[at - 1] === CR) textEnd--;
    lines.push({ raw: bytes.subarray(start, textEnd), end: bytes.subarray(textEnd, stop) });
    start = stop;
  }
  return lines;
}

interface Scanned {
  readonly name?: Uint8Array;
  readonly value?: Uint8Array;
  readonly wrong?: string;
  readonly from: number;
  readonly to: number;
}

/** One line by the grammar of dictll.c; bytes, because escapes and quotes are bytes in every character set. */
function scanLine(raw: Uint8Array): Scanned {
  const isSpace = (at: number): boolean => raw[at] === SPACE || raw[at] === TAB;
  const skip = (from: number, wanted: (at: number) => boolean): number => {
    let at = from;
    while (at < raw.length && wanted(at)) at++;
    return at;
  };
  const wrong = (what: string): Scanned => ({ wrong: what, from: 0, to: 0 });
  if (raw.includes(0)) return wrong('the line has a zero byte; this is not a text file');
  const nameStart = skip(0, isSpace);
  if (nameStart === raw.length || raw[nameStart] === POUND) return { from: 0, to: 0 };
  const nameEnd = skip(nameStart, (at) => !isSpace(at) && raw[at] !== POUND && raw[at] !== EQUALS);
  const equals = skip(nameEnd, isSpace);
  if (nameStart === nameEnd || raw[equals] !== EQUALS) return wrong('expected key = "value"');
  const from = skip(equals + 1, isSpace);
  const quoted = raw[from] === QUOTE;
  const first = quoted ? from + 1 : from;
  const last = skip(first, quoted ? (at) => raw[at] !== QUOTE : (at) => !isSpace(at) && raw[at] !== POUND);
  if (quoted && last === raw.length) return wrong('the value has no closing quote; write a quote inside it as |22');
  const to = quoted ? last + 1 : last;
  const rest = skip(to, isSpace);
  if (rest < raw.length && raw[rest] !== POUND) {
    return wrong(quoted ? 'there is text after the closing quote' : 'a value with spaces needs quotes');
  }
  return { name: raw.subarray(nameStart, nameEnd), value: unescape(raw.subarray(first, last)), from, to };
}

/** `|XX` is the byte with that hexadecimal number; a bar without two hexadecimal digits stands for itself. */
function unescape(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(BAR)) return bytes;
  const out: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const digits = bytes[at] === BAR ? String.fromCharCode(bytes[at + 1] ?? 0, bytes[at + 2] ?? 0) : '';
    if (/^[0-9a-f]{2}$/i.test(digits)) {
      out.push(Number.parseInt(digits, 16));
      at += 2;
    } else {
      out.push(bytes[at]!);
    }
  }
  return Uint8Array.from(out);
}

/** Quotes and escapes what VMware's writer escapes: quote, bar, DEL and control characters other than tab. */
function quote(bytes: Uint8Array): Uint8Array {
  const out: number[] = [QUOTE];
  for (const byte of bytes) {
    const plain = byte !== QUOTE && byte !== BAR && byte !== DEL && (byte >= SPACE || byte === TAB);
    if (plain) out.push(byte);
    else out.push(BAR, ...new TextEncoder().encode(byte.toString(16).toUpperCase().padStart(2, '0')));
  }
  out.push(QUOTE);
  return Uint8Array.from(out);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
