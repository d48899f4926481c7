/** The guest's screen while somebody watches it: pictures, as often as they change. With nobody watching it does nothing. */
import { TomeiError } from '@tomei/kit';
import { blinkAt, findDamage, renderFrame, type Damage, type Frame } from '@tomei/paravirt-core';
import type { ScreenView } from './console-guest.ts';
import { Pace } from './pace.ts';

/** A cursor blinks at half the speed of a real one: each change travels to everybody who watches. */
const BLINK_SLOWER = 2;

export class Screen {
  private readonly look: () => Promise<ScreenView>;
  private readonly onBug: (error: unknown) => void;
  private readonly watchers = new Set<() => void>();
  private readonly pace = new Pace();
  private last: Frame | undefined;
  /** The damage that led to `last`, and from which picture: most watchers have that one. */
  private step: { readonly before: Frame; readonly damage: Damage } | undefined;
  private lookedAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private looking = false;

  /** `look` is rejected with a TomeiError when the guest is gone: then there are no more pictures. */
  constructor(look: () => Promise<ScreenView>, onBug: (error: unknown) => void) {
    this.look = look;
    this.onBug = onBug;
  }

  /** The newest picture; undefined until there is one. It never changes: the next one is another. */
  get picture(): Frame | undefined {
    return this.last;
  }
  /** What turns `before` into the newest picture. */
  damageSince(before: Frame): Damage {
    if (this.step?.before === before) return this.step.damage;
    return findDamage(before, this.last ?? before);
  }

  /** Calls `changed` whenever there is a new picture, until the returned function is called. */
  watch(changed: () => void): () => void {
    this.watchers.add(changed);
    if (this.watchers.size === 1) this.soon();
    return () => {
      this.watchers.delete(changed);
      if (this.watchers.size > 0) return;
      clearTimeout(this.timer);
      // What is seen next may be much later: nobody has this picture.
      this.last = this.step = undefined;
    };
  }
  /** Somebody typed: what comes of it is wanted on the screen. */
  soon(): void {
    const pause = this.pace.hurry(performance.now() - this.lookedAt);
    if (this.watchers.size > 0 && !this.looking) this.wait(pause);
  }
  /** A last picture, from whoever knew the guest at its end. */
  show({ view, time }: ScreenView): number {
    const frame = renderFrame(view, blinkAt(time / BLINK_SLOWER));
    const before = this.last;
    if (before === undefined) {
      this.last = frame;
      return frame.width * frame.height;
    }
    const damage = findDamage(before, frame);
    const dots = [...damage.copies, ...damage.rectangles].reduce((sum, r) => sum + r.width * r.height, 0);
    if (dots === 0) return 0;
    this.last = frame;
    this.step = { before, damage };
    return dots;
  }

  private wait(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.takePicture(), ms);
  }
  private async takePicture(): Promise<void> {
    this.looking = true;
    try {
      const view = await this.look();
      if (this.watchers.size === 0) return;
      this.lookedAt = performance.now();
      const dots = this.show(view);
      if (dots > 0) for (const changed of this.watchers) changed();
      this.wait(this.pace.after(dots));
    } catch (error) {
      // The last picture of a guest that is gone comes by `show`.
      if (!(error instanceof TomeiError)) this.onBug(error);
    } finally {
      this.looking = false;
      if (this.watchers.size === 0) clearTimeout(this.timer);
    }
  }
}
