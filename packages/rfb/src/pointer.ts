/** A viewer's pointer (RFC 6143, 7.5.5) as a PS/2 mouse moves. */
import { MAX_SIDE } from './framebuffer.ts';
import type { Size } from './pseudo/desktop-size.ts';
import type { PointerMove } from './viewer.ts';

/** RFB's buttons: bit n is button n + 1. */
const LEFT = 1 << 0;
const MIDDLE = 1 << 1;
const RIGHT = 1 << 2;
const WHEEL_UP = 1 << 3;
const WHEEL_DOWN = 1 << 4;
/** rfbproto, "QEMU Pointer Motion Change Pseudo-encoding": what stands for no movement. */
const RELATIVE_ZERO = 0x7fff;
/** The right and the lower end of a picture. */
const FAR_END = 0xffff;

export class Pointer {
  private last: { readonly x: number; readonly y: number } | undefined;
  private mask = 0;

  /**
   * The pointer is at (`x`, `y`) of a picture now, or without one moved by them less 0x7FFF. `mask` is RFB's. Undefined when the
   * mouse has nothing to do. The first position of all moves nothing: the guest's own is not known.
   */
  moveTo(x: number, y: number, mask: number, picture: Size | undefined): PointerMove | undefined {
    const isRelative = picture === undefined;
    const dx = isRelative ? x - RELATIVE_ZERO : x - (this.last?.x ?? x);
    const dy = isRelative ? y - RELATIVE_ZERO : y - (this.last?.y ?? y);
    // Still a position, sent before the viewer knew: taken as movement it would be far larger than any picture.
    if (isRelative && (Math.abs(dx) > MAX_SIDE || Math.abs(dy) > MAX_SIDE)) return undefined;
    const isElsewhere = !isRelative && (this.last?.x !== x || this.last.y !== y);
    this.last = isRelative ? undefined : { x, y };
    const pressed = mask & ~this.mask;
    // A step of the wheel is a button that is pressed and released.
    const dz = Number((pressed & WHEEL_DOWN) !== 0) - Number((pressed & WHEEL_UP) !== 0);
    const buttons = toPs2(mask);
    const isSame = buttons === toPs2(this.mask);
    this.mask = mask;
    if (dx === 0 && dy === 0 && dz === 0 && isSame && !isElsewhere) return undefined;
    return { dx, dy, dz, buttons, ...(picture === undefined ? {} : { at: placeOf(x, y, picture) }) };
  }

  /** The viewer goes: lets go of the buttons, if any are down. */
  release(): PointerMove | undefined {
    const hadButtons = toPs2(this.mask) !== 0;
    this.mask = 0;
    return hadButtons ? { dx: 0, dy: 0, dz: 0, buttons: 0 } : undefined;
  }
}

/** Pixels as parts of the picture; those outside are at its edge. */
function placeOf(x: number, y: number, { width, height }: Size): { readonly x: number; readonly y: number } {
  const part = (n: number, length: number): number =>
    Math.round((Math.min(n, length - 1) / Math.max(1, length - 1)) * FAR_END);
  return { x: part(x, width), y: part(y, height) };
}

/** Bit 0 left, 1 right, 2 middle. */
function toPs2(mask: number): number {
  return Number((mask & LEFT) !== 0) | (Number((mask & RIGHT) !== 0) << 1) | (Number((mask & MIDDLE) !== 0) << 2);
}
