/**
 * The absolute pointer of VMware's backdoor: a queue of words that its driver reads (Linux: drivers/input/mouse/vmmouse.c). It tells
 * where the pointer is, in 65536ths of the screen, so that a person's own pointer and the guest's are one.
 */
import { list, oneOf, pod, u32, type StateOf } from '@tomei/kit';

/** Words of a packet: buttons and kind, x, y, wheel. */
const PACKET = 4;
const QUEUE = 256 * PACKET;
/** Most words that are read at once: those of EAX to EDI. */
const MOST_READ = 6;

/** What the driver says in EBX. */
const ENABLE = 0x4541_4552,
  DISABLE = 0x0000_00f5,
  REQUEST_RELATIVE = 0x4c45_5252,
  REQUEST_ABSOLUTE = 0x5342_4152;
/** The first word that is read after ENABLE. */
const VERSION_ID = 0x3442_554a;
/** What the status says while the pointer is off, and after a driver has read what is not there. */
const ERROR = 0xffff_0000;

const LEFT = 0x20,
  RIGHT = 0x10,
  MIDDLE = 0x08,
  RELATIVE = 0x0001_0000;
const FULL = 0xffff,
  WHEEL_LIMIT = 127,
  MOVE_LIMIT = 0x7fff;

export const pointerState = pod({
  mode: oneOf('off', 'relative', 'absolute'),
  queue: list(QUEUE, u32()),
});
type State = StateOf<typeof pointerState>;

/** What somebody does with the pointer. */
export interface PointerEvent {
  /** Right and down are positive. */
  readonly dx: number;
  readonly dy: number;
  /** Steps of the wheel, towards the person. */
  readonly dz: number;
  /** Down now: bit 0 left, 1 right, 2 middle. */
  readonly buttons: number;
  /** Where it is, 0 at the left and at the top, 65535 at the other end; absent where only its movement is known. */
  readonly at?: { readonly x: number; readonly y: number };
}

const clamp = (n: number, least: number, most: number): number =>
  Number.isFinite(n) ? Math.max(least, Math.min(most, Math.trunc(n))) : 0;
const buttonsOf = (buttons: number): number =>
  ((buttons & 1) === 0 ? 0 : LEFT) | ((buttons & 2) === 0 ? 0 : RIGHT) | ((buttons & 4) === 0 ? 0 : MIDDLE);

/** Queues a packet. False when no driver listens here: the mouse is a PS/2 mouse then. What finds no room is lost. */
export function movePointer(state: State, { dx, dy, dz, buttons, at }: PointerEvent): boolean {
  if (state.mode === 'off') return false;
  const { queue } = state,
    turned = clamp(dz, -WHEEL_LIMIT, WHEEL_LIMIT) >>> 0;
  const down = buttonsOf(buttons);
  if (state.mode === 'absolute' && at !== undefined) {
    const place = [clamp(at.x, 0, FULL), clamp(at.y, 0, FULL)];
    // Where the pointer was in between is of no interest; a version that has not been read is no packet.
    const last = queue.length % PACKET === 0 ? queue.length - PACKET : -1;
    if (last >= 0 && queue[last] === down && queue[last + 3] === 0 && turned === 0) queue.splice(last + 1, 2, ...place);
    else put(queue, down, ...place, turned);
  } else {
    const move = (n: number): number => clamp(n, -MOVE_LIMIT, MOVE_LIMIT) >>> 0;
    // Up is positive, as in a packet of the PS/2 mouse.
    put(queue, RELATIVE | down, move(dx), move(-dy), turned);
  }
  return true;
}
function put(queue: number[], ...words: readonly number[]): void {
  if (queue.length + words.length <= QUEUE) queue.push(...words);
}

/** How many words wait, or that the pointer is off. */
export const pointerStatus = (state: State): number => ((state.mode === 'off' ? ERROR : 0) | state.queue.length) >>> 0;

/** The driver switches it on or off, or says what it wants to hear; other words are passed over. */
export function commandPointer(state: State, command: number): void {
  switch (command) {
    case ENABLE:
      state.mode = 'relative';
      state.queue = [VERSION_ID];
      return;
    case DISABLE:
      state.mode = 'off';
      state.queue = [];
      return;
    case REQUEST_RELATIVE:
    case REQUEST_ABSOLUTE:
      if (state.mode !== 'off') state.mode = command === REQUEST_ABSOLUTE ? 'absolute' : 'relative';
  }
}

/** Takes so many words; undefined, with the pointer off, when there are not so many, as they could be taken apart wrongly. */
export function readPointer(state: State, words: number): readonly number[] | undefined {
  if (words >= 1 && words <= MOST_READ && words <= state.queue.length) return state.queue.splice(0, words);
  commandPointer(state, DISABLE);
  return undefined;
}
