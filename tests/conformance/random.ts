/** Seeded randomness for cases: the same seed gives the same cases on every machine, so that a failure can be repeated. */

/**
 * A 32-bit generator: a Weyl sequence whose steps are mixed (the SplitMix family, 32 bits wide). Not for secrets.
 * Statistical quality is that of an avalanche mixer, which is plenty for choosing operands.
 */
export class Random {
  private state: number;

  /** `seed` is any number or text. */
  constructor(seed: number | string) {
    this.state = typeof seed === 'number' ? seed >>> 0 : hashText(seed);
  }

  /** An unsigned 32-bit number. */
  u32(): number {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    return mix(this.state);
  }

  /** An integer from 0 up to but not including `end`. */
  below(end: number): number {
    return Math.floor((this.u32() / 2 ** 32) * end);
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** Throws for an empty list. */
  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new RangeError('nothing to pick from');
    return choices[this.below(choices.length)] as T;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** A generator of its own, so that what one part draws does not shift the draws of another. */
  fork(label: string): Random {
    return new Random((hashText(label) ^ this.u32()) >>> 0);
  }
}

/** Full avalanche on 32 bits: each input bit flips about half of the output bits. */
function mix(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** FNV-1a over the UTF-16 code units, mixed. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash >>> 0);
}
