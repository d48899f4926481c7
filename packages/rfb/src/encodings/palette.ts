/** Counts colours up to a limit and numbers them in the order in which they appear. */

/** A power of two, well above the most colours, so that chains stay short. */
const SLOTS = 1024;
const EMPTY = -1;
/** Knuth's multiplicative hash: 2^32 divided by the golden ratio. */
const GOLDEN = 0x9e3779b1;
const SLOT_BITS = 10;

export class Palette {
  /** By number. Valid up to `size`. */
  readonly values = new Uint32Array(256);
  size = 0;
  private readonly slots = new Int16Array(SLOTS).fill(EMPTY);

  clear(): void {
    this.slots.fill(EMPTY);
    this.size = 0;
  }

  /** The number of a colour, new or known; -1 when it would be the one after `limit` (at most 256). */
  add(value: number, limit: number): number {
    const slot = this.slotOf(value);
    const known = this.slots[slot]!;
    if (known !== EMPTY) return known;
    if (this.size >= limit) return -1;
    this.values[this.size] = value;
    this.slots[slot] = this.size;
    return this.size++;
  }

  /** Where a colour is, or would be. */
  private slotOf(value: number): number {
    const { slots, values } = this;
    let slot = Math.imul(value, GOLDEN) >>> (32 - SLOT_BITS);
    for (;;) {
      const number = slots[slot]!;
      if (number === EMPTY || values[number] === value) return slot;
      slot = (slot + 1) & (SLOTS - 1);
    }
  }
}
