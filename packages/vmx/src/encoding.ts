/**
 * The character sets of a `.vmx`. The dictionary's structure is bytes (quotes, `|XX`, line ends); only names and values are
 * text, in the character set that `.encoding` names. Labels follow the WHATWG Encoding Standard, section 4.2.
 */
import { TextDecoder } from 'node:util';
import { TomeiError } from '@tomei/kit';

export interface Charset {
  /** The name as the file writes it. */
  readonly name: string;
  /** Throws TypeError on bytes that are not of this character set. */
  decode(bytes: Uint8Array): string;
  /** Throws `vmx.encoding` on a character that this character set does not have. */
  encode(text: string): Uint8Array;
}

/** Character sets whose bytes below 0x80 are not ASCII: lines could not be told apart. */
const NOT_ASCII = ['utf-16le', 'utf-16be', 'iso-2022-jp'];

/** The character set of a label such as `UTF-8` or `windows-1252`, or undefined when it is unknown or cannot hold a `.vmx`. */
export function charsetOf(label: string): Charset | undefined {
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(label.trim(), { fatal: true, ignoreBOM: true });
  } catch {
    return undefined;
  }
  if (NOT_ASCII.includes(decoder.encoding)) return undefined;
  const encoder =
    decoder.encoding === 'utf-8' ? (text: string) => new TextEncoder().encode(text) : reverseEncoder(decoder, label);
  return {
    name: label,
    decode: (bytes) => decoder.decode(bytes),
    encode(text) {
      // A lone surrogate is no character; TextEncoder would quietly write U+FFFD for it.
      if (!text.isWellFormed()) throw unencodable(text, label);
      return encoder(text);
    },
  };
}

/** Encodes by looking up what one and two bytes decode to; built when the first character beyond ASCII comes by. */
function reverseEncoder(decoder: TextDecoder, label: string): (text: string) => Uint8Array {
  let table: ReadonlyMap<string, readonly number[]> | undefined;
  return (text) => {
    const out: number[] = [];
    for (const character of text) {
      const code = character.codePointAt(0)!;
      if (code < 0x80) {
        out.push(code);
        continue;
      }
      table ??= reverseTable(decoder);
      const bytes = table.get(character);
      if (bytes === undefined) throw unencodable(character, label);
      out.push(...bytes);
    }
    return Uint8Array.from(out);
  };
}

function reverseTable(decoder: TextDecoder): Map<string, readonly number[]> {
  const table = new Map<string, readonly number[]>();
  const learn = (bytes: readonly number[]): void => {
    try {
      const text = decoder.decode(Uint8Array.from(bytes));
      if ([...text].length === 1 && !table.has(text)) table.set(text, bytes);
    } catch {
      // Not a character of this set.
    }
  };
  for (let lead = 0x80; lead <= 0xff; lead++) learn([lead]);
  for (let lead = 0x81; lead <= 0xfe; lead++) for (let trail = 0x40; trail <= 0xfe; trail++) learn([lead, trail]);
  return table;
}

function unencodable(text: string, label: string): TomeiError {
  return new TomeiError(
    'vmx.encoding',
    `'${text.toWellFormed()}' cannot be written in ${label}; use a file with .encoding = "UTF-8"`,
  );
}
