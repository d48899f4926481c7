/**
 * The interrupt wires of the board: global system interrupts 0..23 (ACPI 6.5, 5.2.13), 0..15 being the ISA interrupts. Many
 * sources may drive one wire (wired OR); every controller sees every change and detects edges for itself.
 */

export const IRQ_LINES = 24;

/** Told of each change of a line. */
export type LineListener = (line: number, level: boolean) => void;

/** What one device drives. */
export interface LineSource {
  /** Lines outside 0..23 are not wired. */
  set(line: number, level: boolean): void;
  /** Takes a line over from all other sources, which are not heard until it is given back. */
  replace(line: number, on: boolean): void;
}

export class IrqLines {
  /** How many sources hold each line up. */
  private readonly counts = new Uint16Array(IRQ_LINES);
  private readonly listeners: LineListener[] = [];
  /** For each line the source that has taken it over, and the level at which it drives it. */
  private readonly replaced = new Map<number, { readonly source: LineSource; level: boolean }>();
  private held = false;

  listen(listener: LineListener): void {
    this.listeners.push(listener);
  }

  source(): LineSource {
    let driven = 0;
    const self: LineSource = {
      set: (line, level) => {
        const bit = 1 << line;
        if (!(line >= 0 && line < IRQ_LINES) || ((driven & bit) !== 0) === level) return;
        driven ^= bit;
        const before = this.level(line);
        this.counts[line] = this.counts[line]! + (level ? 1 : -1);
        const taken = this.replaced.get(line);
        if (taken?.source === self) taken.level = level;
        if (this.level(line) !== before) this.tell(line, level);
      },
      replace: (line, on) => {
        if (!(line >= 0 && line < IRQ_LINES) || (this.replaced.get(line)?.source === self) === on) return;
        const before = this.level(line);
        if (on) this.replaced.set(line, { source: self, level: (driven & (1 << line)) !== 0 });
        else this.replaced.delete(line);
        if (this.level(line) !== before) this.tell(line, !before);
      },
    };
    return self;
  }

  level(line: number): boolean {
    return this.replaced.get(line)?.level ?? (this.counts[line] ?? 0) > 0;
  }

  /**
   * Runs `work` while the controllers see nothing, then shows them every line as it stands. Devices are reset and restored
   * one after the other, and the states in between must not look like edges.
   */
  quietly(work: () => void): void {
    this.held = true;
    try {
      work();
    } finally {
      this.held = false;
      for (let line = 0; line < IRQ_LINES; line++) this.tell(line, this.level(line));
    }
  }

  private tell(line: number, level: boolean): void {
    if (this.held) return;
    for (const listener of this.listeners) listener(line, level);
  }
}
