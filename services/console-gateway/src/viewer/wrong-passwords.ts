/** Slows down whoever guesses the VNC password of a guest (RFC 6143, 9.1: it is short, and a challenge can be asked for at any time). */
import { isIPv6 } from 'node:net';

/** So many may be wrong before the first pause. */
const FREE_TRIES = 5;
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 15 * 60_000;
/** Who has guessed nothing for so long is forgotten. */
const FORGET_AFTER_MS = 60 * 60_000;
/** Guests and peers that are remembered; beyond it the one that guessed longest ago is forgotten. */
const MOST_KEPT = 10_000;

interface Guesses {
  wrong: number;
  lastMs: number;
}

/** By guest and by the address of the peer together, so that nobody can shut others out of a guest. */
export class WrongPasswords {
  private readonly now: () => number;
  private readonly mostKept: number;
  /** The one that guessed last is the last. */
  private readonly kept = new Map<string, Guesses>();

  /** `now`: milliseconds of a clock that only goes forward. */
  constructor(now: () => number, mostKept = MOST_KEPT) {
    this.now = now;
    this.mostKept = mostKept;
  }

  get size(): number {
    return this.kept.size;
  }

  /** Why no password is looked at now, for the person there; undefined: one may be tried. */
  refusal(guestId: string, peer: string): string | undefined {
    const guesses = this.get(keyOf(guestId, peer));
    if (guesses === undefined) return undefined;
    const restMs = guesses.lastMs + pauseMs(guesses.wrong) - this.now();
    if (restMs <= 0) return undefined;
    return `Too many wrong passwords: try again in ${Math.ceil(restMs / 1000)} s`;
  }

  tried(guestId: string, peer: string, isRight: boolean): void {
    const key = keyOf(guestId, peer);
    const wrong = this.get(key)?.wrong ?? 0;
    this.kept.delete(key);
    if (isRight) return;
    this.kept.set(key, { wrong: wrong + 1, lastMs: this.now() });
    if (this.kept.size > this.mostKept) this.kept.delete(this.kept.keys().next().value!);
  }

  private get(key: string): Guesses | undefined {
    const guesses = this.kept.get(key);
    if (guesses === undefined || this.now() - guesses.lastMs < FORGET_AFTER_MS) return guesses;
    this.kept.delete(key);
    return undefined;
  }
}

const pauseMs = (wrong: number): number =>
  wrong < FREE_TRIES ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** Math.min(wrong - FREE_TRIES, 30), LONGEST_PAUSE_MS);

const keyOf = (guestId: string, peer: string): string => `${guestId} ${networkOf(peer)}`;

/** Whoever has one address of IPv6 has all of its /64 (RFC 4291, 2.5.1). */
export function networkOf(peer: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(peer)?.[1];
  if (mapped !== undefined || !isIPv6(peer)) return mapped ?? peer;
  const [head = '', tail] = peer.split('%', 1)[0]!.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const words = [...before, ...Array<string>(Math.max(8 - before.length - after.length, 0)).fill('0'), ...after];
  return words
    .slice(0, 4)
    .map((word) => Number.parseInt(word, 16).toString(16))
    .join(':');
}
