/** A PC that a test sits in front of, be it Tomei or QEMU: it looks at the screen and types. */

/** Milliseconds a person's key stays down; the keyboard's repeat begins after 500. */
export const KEY_DOWN_MS = 30;

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue of each pixel, row by row. */
  readonly rgb: Uint8Array;
}

export interface Pc extends AsyncDisposable {
  /** The text screen, lines without the blanks at their ends. */
  screen(): Promise<string[]>;
  picture(): Promise<Picture>;
  /** Waits until the text screen matches, and returns it. `limit`: seconds of the guest's time. */
  until(pattern: RegExp, limit?: number): Promise<string>;
  /** Lets `seconds` of the guest's time go by. */
  wait(seconds: number): Promise<void>;
  /** Keys by name ('ctrl-b', 'ret', 'a'), one after the other. */
  press(...keys: string[]): Promise<void>;
  powerButton(): Promise<void>;
  /** How the guest has ended, waiting for it; `limit`: seconds of the guest's time. */
  ended(limit?: number): Promise<string>;
  /** What came out of COM1, as Latin-1. */
  readonly serial: string;
}

export interface PcOptions {
  /** Default 64. */
  readonly memoryMiB?: number;
  /** Image files. Nothing that the guest writes reaches them. */
  readonly cd?: string;
  readonly floppy?: string;
  readonly disk?: { readonly path: string; readonly format: 'raw' | 'vmdk' };
}

/** Set 1 scan codes of a US keyboard, by QEMU's names of the keys. */
const SCAN_CODES: Readonly<Record<string, number>> = Object.fromEntries([
  ...row(0x02, '1 2 3 4 5 6 7 8 9 0 minus equal backspace tab q w e r t y u i o p bracket_left bracket_right ret ctrl'),
  ...row(0x1e, 'a s d f g h j k l semicolon apostrophe grave_accent shift backslash z x c v b n m comma dot slash'),
  ...row(0x38, 'alt spc caps_lock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10'),
  ...[['esc', 0x01] as const, ['up', 0xe048] as const, ['down', 0xe050] as const],
]);
function row(first: number, names: string): [string, number][] {
  return names.split(' ').map((name, i) => [name, first + i]);
}

/** The scan codes of a key with those held before it: 'ctrl-b'. */
export function scanCodes(keys: string): number[] {
  return keys.split('-').map((name) => {
    const code = SCAN_CODES[name];
    if (code === undefined) throw new Error(`there is no key ${name}`);
    return code;
  });
}

const SHIFTED = '~grave_accent !1 @2 #3 $4 %5 ^6 &7 *8 (9 )0 _minus +equal {bracket_left }bracket_right |backslash :semicolon "apostrophe <comma >dot ?slash';
const PLAIN = '`grave_accent -minus =equal [bracket_left ]bracket_right \\backslash ;semicolon \'apostrophe ,comma .dot /slash';
const named = (list: string, before: string): [string, string][] =>
  list.split(' ').map((entry) => [entry[0]!, before + entry.slice(1)]);
const KEY_OF = new Map<string, string>([...named(SHIFTED, 'shift-'), ...named(PLAIN, ''), [' ', 'spc'], ['\n', 'ret']]);

/** The keys that type a text. */
export const keysOf = (text: string): string[] =>
  [...text].map((c) => KEY_OF.get(c) ?? (c === c.toLowerCase() ? c : `shift-${c.toLowerCase()}`));
