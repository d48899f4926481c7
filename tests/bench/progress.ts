/** How far a benchmark is: a bar on a terminal, nothing elsewhere, where lines of finished runs say it. */
import { clearLine, cursorTo } from 'node:readline';
import { say } from './pages.ts';

const CELLS = 30;

export class Progress {
  private readonly stream: NodeJS.WriteStream;
  /** The bar as it is on the terminal. */
  private shown = '';

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.stream = stream;
  }
  /** `done` is the part that is done, 0..1; `step` what is going on. */
  at(done: number, step: string): void {
    if (!this.stream.isTTY) return;
    const full = Math.round(Math.max(0, Math.min(1, done)) * CELLS);
    const percent = String(Math.floor(done * 100)).padStart(3);
    this.draw(`${'█'.repeat(full)}${'░'.repeat(CELLS - full)} ${percent} %  ${step}`);
  }
  /** A line that stays, above the bar. */
  note(line: string): void {
    const bar = this.shown;
    this.draw('');
    say(line);
    this.draw(bar);
  }
  /** Takes the bar away. */
  end(): void {
    this.draw('');
  }
  private draw(bar: string): void {
    if (bar === this.shown) return;
    cursorTo(this.stream, 0);
    clearLine(this.stream, 1);
    // A terminal that tells no width says 0.
    const width = this.stream.columns > 0 ? this.stream.columns : 80;
    this.stream.write(bar.slice(0, width - 1));
    this.shown = bar;
  }
}
