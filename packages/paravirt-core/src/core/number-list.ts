/**
 * Whole numbers of 32 bits in order, in a list that is emptied and filled again often. Setting the length of an array is a call of V8's
 * runtime, which gives its room back; this one keeps it.
 */
const FIRST_ROOM = 64;

export class NumberList {
  /** Those that count, and behind them anything. Another array once the list has grown. */
  words = new Int32Array(FIRST_ROOM);
  count = 0;

  push(value: number): void {
    if (this.count === this.words.length) this.grow();
    this.words[this.count++] = value;
  }
  clear(): void {
    this.count = 0;
  }
  private grow(): void {
    const { words } = this;
    this.words = new Int32Array(2 * words.length);
    this.words.set(words);
  }
}
