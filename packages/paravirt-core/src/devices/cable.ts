/**
 * A cable between two network cards of one process. What is sent waits in a queue of bounded length, in the order in which it was
 * sent, until whoever owns the machines delivers it between their slices; when the queue is full, or the receiver has no room,
 * frames are lost, as on a wire.
 */
import type { NicBackend } from './nic-backend.ts';

export interface Cable {
  /** The plugs: one for each card. */
  readonly ends: readonly [NicBackend, NicBackend];
  /** Gives each card what waits for it now; returns how many frames were taken. Frames sent meanwhile wait for the next call. */
  deliver(): number;
  /** Frames that wait. */
  readonly waiting: number;
  /** Frames lost so far. */
  readonly lost: number;
  /** Pulls the cable out at both ends, or plugs it in again. What was on it is lost. */
  plug(on: boolean): void;
}

export interface CableOptions {
  /** The most frames that wait in one direction; 512 when absent. */
  readonly frames?: number;
  /** The most bytes; 1 MiB when absent. */
  readonly bytes?: number;
  /** Told when the first frame waits, so that the owner knows when to deliver. */
  readonly onWaiting?: () => void;
}

const DEFAULT_FRAMES = 512;
const DEFAULT_BYTES = 1 << 20;

interface End {
  readonly queue: Uint8Array[];
  bytes: number;
  receive: (frame: Uint8Array) => boolean;
  told: () => void;
}

export function makeCable({ frames = DEFAULT_FRAMES, bytes = DEFAULT_BYTES, onWaiting }: CableOptions = {}): Cable {
  const sides: readonly [End, End] = [end(), end()];
  let up = true;
  let lost = 0;
  const waiting = (): number => sides[0].queue.length + sides[1].queue.length;

  const send = (to: End, frame: Uint8Array): void => {
    if (!up || to.queue.length >= frames || to.bytes + frame.length > bytes) {
      lost++;
      return;
    }
    to.queue.push(frame.slice());
    to.bytes += frame.length;
    if (waiting() === 1) onWaiting?.();
  };
  const plugOf = (own: End, other: End): NicBackend => ({
    send: (frame) => send(other, frame),
    onReceive: (handler) => void (own.receive = handler),
    get linkUp() {
      return up;
    },
    onLink: (handler) => void (own.told = handler),
  });
  const empty = (side: End): Uint8Array[] => {
    side.bytes = 0;
    return side.queue.splice(0);
  };

  return {
    ends: [plugOf(sides[0], sides[1]), plugOf(sides[1], sides[0])],
    deliver() {
      const batches = sides.map((side) => ({ side, frames: empty(side) }));
      let taken = 0;
      for (const batch of batches) {
        for (const frame of batch.frames) {
          if (batch.side.receive(frame)) taken++;
          else lost++;
        }
      }
      return taken;
    },
    get waiting() {
      return waiting();
    },
    get lost() {
      return lost;
    },
    plug(on) {
      if (on === up) return;
      for (const side of sides) lost += empty(side).length;
      up = on;
      for (const side of sides) side.told();
    },
  };
}

const end = (): End => ({ queue: [], bytes: 0, receive: () => false, told: () => undefined });
