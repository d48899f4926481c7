/** Who is to be sent a new picture. Each in turn, with a breath between, so that keys and other guests' frames are not held up. */

export interface Pumped {
  /** Sends what has changed, if there is anything to send and room for it. */
  pump(): void;
}

/** How long pictures are made in one go, in milliseconds. */
const GO_MS = 4;

export class Rounds {
  private readonly waiting = new Set<Pumped>();
  private isScheduled = false;

  /** Several changes before its turn are one. */
  add(viewer: Pumped): void {
    this.waiting.add(viewer);
    this.schedule();
  }
  delete(viewer: Pumped): void {
    this.waiting.delete(viewer);
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(() => this.go());
  }

  private go(): void {
    this.isScheduled = false;
    const until = performance.now() + GO_MS;
    for (const viewer of this.waiting) {
      this.waiting.delete(viewer);
      viewer.pump();
      if (performance.now() >= until) break;
    }
    if (this.waiting.size > 0) this.schedule();
  }
}
