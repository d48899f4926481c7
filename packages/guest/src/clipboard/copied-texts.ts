/** Texts that a guest copies, on their way to people. A guest can copy faster than anybody reads: the newest is passed on, ten times a second at most. */
const INTERVAL_MS = 100;

export class CopiedTexts {
  private readonly tell: (text: string) => void;
  private readonly now: () => number;
  private text: string | undefined;
  private last = -Infinity;

  /** `now` is in milliseconds. */
  constructor(tell: (text: string) => void, now: () => number = () => performance.now()) {
    this.tell = tell;
    this.now = now;
  }

  /** The guest has copied a text. */
  copied(text: string): void {
    this.text = text;
  }
  /** Whether a text waits for its time. */
  get isWaiting(): boolean {
    return this.text !== undefined;
  }
  /** Call between slices. */
  pass(): void {
    if (this.text === undefined || this.now() - this.last < INTERVAL_MS) return;
    this.last = this.now();
    this.tell(this.text);
    this.text = undefined;
  }
}
