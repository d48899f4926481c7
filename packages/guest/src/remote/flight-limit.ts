/** How many bytes are on their way at once: what comes later waits its turn. */
export class FlightLimit {
  private readonly limit: number;
  private held = 0;
  private readonly waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }
  /** Does `work` when there is room for its bytes; what is larger than the limit goes alone. First come, first served. */
  async while<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    if (this.waiting.length > 0 || !this.fits(bytes)) {
      await new Promise<void>((go) => this.waiting.push({ bytes, go }));
    } else {
      this.held += bytes;
    }
    try {
      return await work();
    } finally {
      this.held -= bytes;
      this.admit();
    }
  }
  private fits(bytes: number): boolean {
    return this.held === 0 || this.held + bytes <= this.limit;
  }
  private admit(): void {
    for (let next = this.waiting[0]; next !== undefined && this.fits(next.bytes); next = this.waiting[0]) {
      this.waiting.shift();
      this.held += next.bytes;
      next.go();
    }
  }
}
