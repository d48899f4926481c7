/**
 * How a viewer's picture differs from the guest's. At any time: after `copies`, carried out in order by the viewer, its
 * picture is the guest's except inside `damage`.
 */
import type { FrameChange } from './framebuffer.ts';
import type { CopyRectangle, Rectangle } from './geometry.ts';
import { Region } from './region.ts';

/** More waiting copies than this become damage: a viewer that is so far behind is better off with a picture. */
const MAX_COPIES = 32;
/** More rectangles than this are rounded up to tiles. */
const MAX_DAMAGE_RECTANGLES = 64;

/** What to send, in this order. */
export interface Due {
  readonly copies: readonly CopyRectangle[];
  readonly damage: readonly Rectangle[];
}

export class ViewerDamage {
  private damage: Region;
  private copies: CopyRectangle[] = [];
  private picture: Rectangle;

  /** All of it is damaged at first. */
  constructor(width: number, height: number) {
    this.picture = { x: 0, y: 0, width, height };
    this.damage = Region.of(this.picture);
  }

  /** The viewer's picture has another size, and its content is unknown. */
  reset(width: number, height: number): void {
    this.picture = { x: 0, y: 0, width, height };
    this.damage = Region.of(this.picture);
    this.copies = [];
  }

  /** What a frame did, other than a change of size. `canCopy`: the viewer understands CopyRect. */
  add(change: FrameChange, canCopy: boolean): void {
    for (const copy of change.copies) {
      if (canCopy) this.addCopy(copy);
      else this.addDamage(copy);
    }
    for (const rectangle of change.damage) this.damage = this.damage.union(Region.of(rectangle));
    // A viewer that cannot follow the guest's size has a part of its picture.
    this.damage = this.damage.intersect(Region.of(this.picture)).coarsened(MAX_DAMAGE_RECTANGLES, this.picture);
  }

  /** The viewer wants that area whatever it has. */
  addDamage(area: Rectangle): void {
    this.damage = this.damage.union(Region.of(area).intersect(Region.of(this.picture)));
  }

  /** From now on the viewer does not understand CopyRect. */
  flattenCopies(): void {
    for (const copy of this.copies) this.addDamage(copy);
    this.copies = [];
  }

  /** Whether `take` would have something. */
  isDue(area: Region): boolean {
    return this.copies.length > 0 || !this.damage.intersect(area).isEmpty;
  }

  /** What to send of `area`; it counts as sent. */
  take(area: Region): Due {
    // A copy takes dots from anywhere to anywhere: in a part of the picture it is not what was asked for.
    if (this.copies.length > 0 && !area.contains(this.picture)) this.flattenCopies();
    const { copies } = this;
    const damage = this.damage.intersect(area);
    this.damage = this.damage.subtract(area);
    this.copies = [];
    const clip = area.contains(this.picture) ? this.picture : damage.bounds();
    return { copies, damage: damage.coarsened(MAX_DAMAGE_RECTANGLES, clip).rectangles() };
  }

  private addCopy(copy: CopyRectangle): void {
    const target = Region.of(copy);
    const source = Region.of({ ...copy, x: copy.fromX, y: copy.fromY });
    // What was wrong where the copy comes from is wrong where it goes; what was wrong there before is gone.
    const carried = this.damage.intersect(source).translate(copy.x - copy.fromX, copy.y - copy.fromY);
    this.damage = this.damage.subtract(target).union(carried);
    // Nothing of it would be right.
    if (this.damage.contains(copy)) return;
    this.copies.push(copy);
    if (this.copies.length > MAX_COPIES) this.flattenCopies();
  }
}
