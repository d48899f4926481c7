/**
 * Text as the keys of a US keyboard: what a paste into a screen types. The guest has a keyboard, no clipboard, and its layout
 * is its own affair: one with another layout gets the keys at those places.
 */

/** One key, with Shift where the character needs it. */
export interface Keystroke {
  /** X11 keysym: of printable Latin-1 characters their own code. */
  readonly keysym: number;
  /** `KeyboardEvent.code`, from which noVNC makes the scan code of QEMU's extended key event. */
  readonly code: string;
  readonly shift: boolean;
}

export interface Typing {
  readonly keystrokes: readonly Keystroke[];
  /** Characters that no key of this keyboard gives, each once. */
  readonly left: readonly string[];
}

export const SHIFT_KEYSYM = 0xffe1;
const ENTER: Keystroke = { keysym: 0xff0d, code: 'Enter', shift: false };
const TAB: Keystroke = { keysym: 0xff09, code: 'Tab', shift: false };

/** Code, character, character with Shift. */
const KEYS: readonly (readonly [code: string, plain: string, shifted: string])[] = [
  ['Space', ' ', ''],
  ['Backquote', '`', '~'],
  ['Minus', '-', '_'],
  ['Equal', '=', '+'],
  ['BracketLeft', '[', '{'],
  ['BracketRight', ']', '}'],
  ['Backslash', '\\', '|'],
  ['Semicolon', ';', ':'],
  ['Quote', "'", '"'],
  ['Comma', ',', '<'],
  ['Period', '.', '>'],
  ['Slash', '/', '?'],
  ...[...')!@#$%^&*('].map((shifted, digit) => [`Digit${digit}`, String(digit), shifted] as const),
  ...[...'abcdefghijklmnopqrstuvwxyz'].map((c) => [`Key${c.toUpperCase()}`, c, c.toUpperCase()] as const),
];

const BY_CHARACTER: ReadonlyMap<string, Keystroke> = new Map([
  ['\n', ENTER],
  ['\t', TAB],
  ...KEYS.flatMap(([code, plain, shifted]) => {
    const strokes: [string, Keystroke][] = [[plain, { keysym: plain.charCodeAt(0), code, shift: false }]];
    if (shifted !== '') strokes.push([shifted, { keysym: shifted.charCodeAt(0), code, shift: true }]);
    return strokes;
  }),
]);

/** The keys that type `text`; all kinds of line ends are Enter. */
export function typingOf(text: string): Typing {
  const keystrokes: Keystroke[] = [];
  const left = new Set<string>();
  for (const character of text.replaceAll(/\r\n?/g, '\n')) {
    const stroke = BY_CHARACTER.get(character);
    if (stroke === undefined) left.add(character);
    else keystrokes.push(stroke);
  }
  return { keystrokes, left: [...left] };
}

/** What a serial line gets for `text`: a terminal's Enter is a carriage return. */
export const serialTextOf = (text: string): string => text.replaceAll(/\r\n?|\n/g, '\r');
