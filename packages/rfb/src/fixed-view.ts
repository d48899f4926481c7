/** A picture of a size of its own, for viewers that cannot follow when the guest's changes: cut off, or black around. */
import { BLACK, type Framebuffer } from './framebuffer.ts';
import { intersection, type Rectangle } from './geometry.ts';
import type { Picture } from './pixel-format.ts';

export class FixedView implements Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(width * height);
  }

  /** Takes the guest's dots for those areas of this picture. */
  refresh(source: Framebuffer, areas: readonly Rectangle[]): void {
    for (const area of areas) {
      for (let row = area.y; row < area.y + area.height; row++) {
        this.pixels.fill(BLACK, row * this.width + area.x, row * this.width + area.x + area.width);
      }
      const shown = intersection(area, { x: 0, y: 0, width: source.width, height: source.height });
      if (shown === undefined) continue;
      for (let row = shown.y; row < shown.y + shown.height; row++) {
        const from = row * source.width + shown.x;
        this.pixels.set(source.pixels.subarray(from, from + shown.width), row * this.width + shown.x);
      }
    }
  }
}
