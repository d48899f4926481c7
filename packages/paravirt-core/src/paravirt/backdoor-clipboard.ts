/**
 * The clipboard of VMware's backdoor, as its tools had it before they spoke of it in messages (open-vm-tools: lib/guestApp/guestApp.c,
 * vmware-user/pointer.c, copyPaste.c): one text, in UTF-8, a doubleword a call. They look where the pointer is: when a person
 * takes it into the guest they fetch the host's text, and when it leaves they send theirs. There is no grab here, so a pointer that moves
 * is in the guest, and one that has been still for a while has left.
 */
import { deadline, fifo, pod, u16, u32, type Nanoseconds, type StateOf } from '@tomei/kit';

/** In bytes of UTF-8, and VMware's limit. */
export const LONGEST_SELECTION = 0x1_0000 - 100;
/** The tools look ten times a second. */
const IS_STILL: Nanoseconds = 1_000_000_000;
/** The answer to `length` of who may not have the host's text. */
const NOT_EXCHANGED = -2 >>> 0;
/** Both coordinates are -100 while the pointer is not in the guest. */
const ELSEWHERE = 0xff9c_ff9c;
const WORD = 4;

export const clipboardState = pod({
  /** The host's text, which the guest has not fetched yet; and where it is with that. */
  offered: fifo(LONGEST_SELECTION),
  fetched: u32(),
  /** The guest's, as it comes. */
  coming: fifo(LONGEST_SELECTION),
  due: u32(),
  /** Where the guest says that its pointer is, in dots. */
  x: u16(),
  y: u16(),
  /** Until when a person's pointer counts as in the guest. */
  until: deadline(),
}).check((s) =>
  s.coming.length + s.due > LONGEST_SELECTION || s.fetched > s.offered.length + WORD ? 'a text is too long' : true,
);
type State = StateOf<typeof clipboardState>;

/** What may pass. */
export interface Exchange {
  /** From the guest to the host, and the other way. */
  readonly copy: boolean;
  readonly paste: boolean;
}

/** Somebody of the host has copied a text: the guest finds it, in place of an earlier one. False where it may not, or it is too long. */
export function offer(state: State, text: string, { paste }: Exchange): boolean {
  const bytes = new TextEncoder().encode(text);
  if (!paste || bytes.length > LONGEST_SELECTION) return false;
  state.offered = [...bytes];
  state.fetched = 0;
  return true;
}

/** How many bytes of the host's text are to be fetched; 0: nothing new. */
export function selectionLength(state: State, { paste }: Exchange): number {
  if (!paste) return NOT_EXCHANGED;
  state.fetched = 0;
  return state.offered.length;
}
/** The next four of them. With the last ones the text counts as fetched. */
export function nextPiece(state: State): number {
  const { offered, fetched } = state;
  if (fetched >= offered.length) return 0;
  let word = 0;
  for (let byte = 0; byte < WORD; byte++) word |= (offered[fetched + byte] ?? 0) << (8 * byte);
  state.fetched += WORD;
  if (state.fetched >= offered.length) Object.assign(state, { offered: [], fetched: 0 });
  return word >>> 0;
}

/** The guest has a text of so many bytes for the host; 0: none. What is too long does not come. */
export function beginSelection(state: State, length: number, { copy }: Exchange): void {
  state.coming = [];
  state.due = copy && length <= LONGEST_SELECTION ? length : 0;
}
/** Four bytes of it; the text once it is whole, with what is no UTF-8 replaced. */
export function takePiece(state: State, word: number): string | undefined {
  if (state.due === 0) return undefined;
  for (let byte = 0; byte < WORD && state.due > 0; byte++, state.due--) state.coming.push((word >>> (8 * byte)) & 0xff);
  if (state.due > 0) return undefined;
  const text = new TextDecoder().decode(Uint8Array.from(state.coming));
  state.coming = [];
  return text;
}

/** A person moves the pointer over the guest, or presses one of its buttons. */
export function personPoints(state: State, now: Nanoseconds): void {
  state.until = Math.floor(now) + IS_STILL;
}
/** Where the pointer is: x in the upper half. It is where the guest has it, so that the guest does not move it. */
export function pointerPlace(state: State, now: Nanoseconds): number {
  if (state.until === null || now >= state.until) return ELSEWHERE;
  return ((state.x << 16) | state.y) >>> 0;
}
/** The guest has moved its pointer. */
export function setPointerPlace(state: State, place: number): void {
  state.x = place >>> 16;
  state.y = place & 0xffff;
}
