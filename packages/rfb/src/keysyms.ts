/**
 * X11 keysyms as keys of a US keyboard, for viewers that do not send scan codes.
 *
 * Codes are those of set 1 with 0xE000 for extended keys (IBM PS/2 Hardware Interface Technical Reference, "Keyboard");
 * keysyms are those of X11/keysymdef.h, as RFC 6143, 7.5.4 asks for them.
 */

/** A key, and for characters whether shift has to be held for it. Undefined: shift does not matter. */
export interface Key {
  readonly code: number;
  readonly shift?: boolean;
  /** Whether caps lock turns the meaning of shift around. */
  readonly isLetter?: boolean;
}

export const LEFT_SHIFT = 0x2a;
export const RIGHT_SHIFT = 0x36;
export const CAPS_LOCK = 0x3a;

/** Rows of the main block: the code of the first key, then what the keys give without and with shift. */
const ROWS: readonly (readonly [firstCode: number, plain: string, shifted: string])[] = [
  [0x02, '1234567890-=', '!@#$%^&*()_+'],
  [0x10, 'qwertyuiop[]', 'QWERTYUIOP{}'],
  [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [0x2b, '\\zxcvbnm,./', '|ZXCVBNM<>?'],
];

/** keysym, code. Without the main block's characters. */
const OTHERS: readonly (readonly [keysym: number, code: number])[] = [
  [0x0020, 0x39], // space
  [0xff08, 0x0e], // BackSpace
  [0xff09, 0x0f], // Tab
  [0xff0a, 0x1c], // Linefeed
  [0xff0d, 0x1c], // Return
  [0xff13, 0xe046], // Pause, as the guest knows it with control: Break
  [0xff14, 0x46], // Scroll_Lock
  [0xff15, 0x54], // Sys_Req
  [0xff1b, 0x01], // Escape
  [0xff50, 0xe047], // Home
  [0xff51, 0xe04b], // Left
  [0xff52, 0xe048], // Up
  [0xff53, 0xe04d], // Right
  [0xff54, 0xe050], // Down
  [0xff55, 0xe049], // Page_Up
  [0xff56, 0xe051], // Page_Down
  [0xff57, 0xe04f], // End
  [0xff61, 0xe037], // Print
  [0xff63, 0xe052], // Insert
  [0xff67, 0xe05d], // Menu
  [0xff6b, 0xe046], // Break
  [0xff7f, 0x45], // Num_Lock
  [0xffff, 0xe053], // Delete
  [0xfe20, 0x0f], // ISO_Left_Tab: "servers should also recognise ISO Left Tab as meaning a shifted Tab"
  // The keypad, by its keys: what it means is for the guest's own num lock.
  [0xff8d, 0xe01c], // KP_Enter
  [0xff95, 0x47], // KP_Home
  [0xff96, 0x4b], // KP_Left
  [0xff97, 0x48], // KP_Up
  [0xff98, 0x4d], // KP_Right
  [0xff99, 0x50], // KP_Down
  [0xff9a, 0x49], // KP_Page_Up
  [0xff9b, 0x51], // KP_Page_Down
  [0xff9c, 0x4f], // KP_End
  [0xff9d, 0x4c], // KP_Begin
  [0xff9e, 0x52], // KP_Insert
  [0xff9f, 0x53], // KP_Delete
  [0xffaa, 0x37], // KP_Multiply
  [0xffab, 0x4e], // KP_Add
  [0xffac, 0x53], // KP_Separator
  [0xffad, 0x4a], // KP_Subtract
  [0xffae, 0x53], // KP_Decimal
  [0xffaf, 0xe035], // KP_Divide
  [0xffb0, 0x52], // KP_0
  [0xffb1, 0x4f], // KP_1
  [0xffb2, 0x50], // KP_2
  [0xffb3, 0x51], // KP_3
  [0xffb4, 0x4b], // KP_4
  [0xffb5, 0x4c], // KP_5
  [0xffb6, 0x4d], // KP_6
  [0xffb7, 0x47], // KP_7
  [0xffb8, 0x48], // KP_8
  [0xffb9, 0x49], // KP_9
  [0xffbd, 0x59], // KP_Equal
  // F1 to F12.
  ...Array.from({ length: 10 }, (_, i) => [0xffbe + i, 0x3b + i] as const),
  [0xffc8, 0x57],
  [0xffc9, 0x58],
  [0xffe1, LEFT_SHIFT], // Shift_L
  [0xffe2, RIGHT_SHIFT], // Shift_R
  [0xffe3, 0x1d], // Control_L
  [0xffe4, 0xe01d], // Control_R
  [0xffe5, CAPS_LOCK], // Caps_Lock
  [0xffe6, CAPS_LOCK], // Shift_Lock
  [0xffe7, 0xe05b], // Meta_L
  [0xffe8, 0xe05c], // Meta_R
  [0xffe9, 0x38], // Alt_L
  [0xffea, 0xe038], // Alt_R
  [0xffeb, 0xe05b], // Super_L
  [0xffec, 0xe05c], // Super_R
];

/** Characters beyond Latin-1 have keysyms of this plus their code point; some viewers send all characters so. */
const UNICODE_KEYSYMS = 0x01000000;
/** The keys of control characters, which a few viewers send as they are. */
const CONTROL_CHARACTERS: Readonly<Record<number, number>> = {
  0x08: 0xff08,
  0x09: 0xff09,
  0x0a: 0xff0d,
  0x0d: 0xff0d,
  0x1b: 0xff1b,
};

/** By keysym. */
const KEYS: ReadonlyMap<number, Key> = new Map([
  ...ROWS.flatMap(([firstCode, plain, shifted]) =>
    [...plain].flatMap((character, i): [number, Key][] => {
      const isLetter = /[a-z]/.test(character);
      const code = firstCode + i;
      return [
        [character.charCodeAt(0), { code, shift: false, isLetter }],
        [shifted.charCodeAt(i), { code, shift: true, isLetter }],
      ];
    }),
  ),
  ...OTHERS.map(([keysym, code]): [number, Key] => [keysym, keysym === 0xfe20 ? { code, shift: true } : { code }]),
]);

/** The key that gives a keysym, or undefined when a US keyboard has none. */
export function keyOf(keysym: number): Key | undefined {
  const isUnicode = keysym >= UNICODE_KEYSYMS && keysym < UNICODE_KEYSYMS + 0x100;
  const plain = isUnicode ? keysym - UNICODE_KEYSYMS : keysym;
  return KEYS.get(CONTROL_CHARACTERS[plain] ?? plain);
}
