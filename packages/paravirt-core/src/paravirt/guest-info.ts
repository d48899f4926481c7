/**
 * `guestinfo`: values by name that a guest and its `.vmx` leave for each other (open-vm-tools: RPCI `info-get` and `info-set`). What a guest
 * sets is its own until it is reset; the `.vmx` stays as it is.
 */
import { list, nested, pod, text, type StateOf } from '@tomei/kit';
import { LONGEST_MESSAGE } from './backdoor-messages.ts';

const MOST_ENTRIES = 256,
  LONGEST_NAME = 128,
  MOST_BYTES = 0x4_0000;
const PREFIX = 'guestinfo.';

/** Names are in lower case, as case does not count. Values have a byte in each character. */
export const guestInfoState = pod({
  entries: list(MOST_ENTRIES, nested(pod({ name: text(LONGEST_NAME), value: text(LONGEST_MESSAGE) }))),
}).check(({ entries }) => sizeOf(entries) <= MOST_BYTES || 'guestinfo is too long');
type State = StateOf<typeof guestInfoState>;
/** Of the `.vmx`: values by name, without the prefix and in lower case; at most 60,000 bytes of UTF-8 each. */
export type GuestInfo = Readonly<Record<string, string>>;

/** A character for each byte, whatever they mean to the guest. */
export function wordsOf(bytes: Uint8Array): string {
  let words = '';
  for (const byte of bytes) words += String.fromCharCode(byte);
  return words;
}
const sizeOf = (entries: State['entries']): number =>
  entries.reduce((sum, { name, value }) => sum + name.length + value.length, 0);

/** `guestinfo.NAME`, as a guest has it, without the prefix; undefined for other names. */
const nameOf = (key: string): string | undefined => {
  const name = key.toLowerCase();
  return name.startsWith(PREFIX) && name.length > PREFIX.length ? name.slice(PREFIX.length) : undefined;
};

/** The value of a key, a byte in each character; undefined when there is none. */
export function getInfo({ entries }: State, given: GuestInfo, key: string): string | undefined {
  const name = nameOf(key);
  if (name === undefined) return undefined;
  const own = entries.find((entry) => entry.name === name);
  if (own !== undefined) return own.value;
  return Object.hasOwn(given, name) ? wordsOf(new TextEncoder().encode(given[name])) : undefined;
}
/** False where the key is none of `guestinfo`, or all of them together would be too long. */
export function setInfo(state: State, key: string, value: string): boolean {
  const name = nameOf(key);
  if (name === undefined || name.length > LONGEST_NAME) return false;
  const entries = [...state.entries.filter((entry) => entry.name !== name), { name, value }];
  if (entries.length > MOST_ENTRIES || sizeOf(entries) > MOST_BYTES) return false;
  state.entries = entries;
  return true;
}
