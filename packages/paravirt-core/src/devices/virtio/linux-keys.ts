/** Linux's numbers for keys (`input-event-codes.h`) by their make codes of set 1, as PS/2 keyboards send them. */

/** Up to here both are the same but for gaps. */
const LAST_SAME = 0x58;
const EXTENDED = 0xe000;
/** Keys whose make code has E0h in front. */
const EXTENDED_KEYS: ReadonlyMap<number, number> = new Map([
  ...([[0x1c, 96], [0x1d, 97], [0x35, 98], [0x37, 99], [0x38, 100]] as const), // Enter, control, slash of the pad; print, right alt
  ...([[0x47, 102], [0x48, 103], [0x49, 104], [0x4b, 105], [0x4d, 106]] as const), // home, up, page up, left, right
  ...([[0x4f, 107], [0x50, 108], [0x51, 109], [0x52, 110], [0x53, 111]] as const), // end, down, page down, insert, delete
  ...([[0x46, 119], [0x5b, 125], [0x5c, 126], [0x5d, 127]] as const), // break, the windows keys, menu
]); // prettier-ignore

/** Undefined for what is no key. */
export function linuxKey(code: number): number | undefined {
  if (code >= EXTENDED) return EXTENDED_KEYS.get(code - EXTENDED);
  return code > 0 && code <= LAST_SAME ? code : undefined;
}
