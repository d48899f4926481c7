/** A picture that lies in memory as dots of four bytes, with a pointer over it: what a paravirtual display adapter shows. */
import { MAX_FRAME_SIDE } from './display-state.ts';
import type { Canvas } from './frame.ts';
import { rgb } from './colours.ts';

/** In which of a dot's four bytes its parts lie; `alpha` is undefined where the fourth byte says nothing. */
export interface DotFormat {
  readonly red: number;
  readonly green: number;
  readonly blue: number;
  readonly alpha?: number;
}
/** An image over the picture, with its top left corner at `x`, `y`. Rows from the top, without gaps. */
export interface PointerImage {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly format: DotFormat;
  readonly bytes: Uint8Array;
}
export interface Scanout {
  /** Dots. */
  readonly width: number;
  readonly height: number;
  /** The first dot, from the start of memory, and the bytes from one row to the next; undefined: the screen is black. */
  readonly at?: number;
  readonly stride: number;
  readonly format: DotFormat;
  readonly pointer?: PointerImage;
}

/** Draws what lies in memory; dots outside of it stay as they are. */
export function drawScanout(scanout: Scanout, memory: Uint8Array, { width, height, dots }: Canvas): void {
  const { at, stride, format, pointer } = scanout;
  if (at === undefined) return;
  const { red, green, blue } = format;
  for (let y = 0; y < height; y++) {
    const start = at + y * stride;
    const inside = Math.max(0, Math.min(width, Math.floor((memory.length - start) / 4)));
    const row = y * width;
    for (let x = 0, from = start; x < inside; x++, from += 4)
      dots[row + x] = rgb(memory[from + red]!, memory[from + green]!, memory[from + blue]!);
  }
  if (pointer !== undefined) drawPointer(pointer, { width, height, dots });
}

/** Colours of pointers are multiplied by their alpha already, as KMS has it. */
function drawPointer({ x: left, y: top, width, height, format, bytes }: PointerImage, canvas: Canvas): void {
  if (Math.abs(left) > MAX_FRAME_SIDE || Math.abs(top) > MAX_FRAME_SIDE) return;
  const { red, green, blue, alpha } = format;
  for (let y = Math.max(0, -top); y < height && top + y < canvas.height; y++)
    for (let x = Math.max(0, -left); x < width && left + x < canvas.width; x++) {
      const from = 4 * (y * width + x);
      const through = 255 - (alpha === undefined ? 255 : bytes[from + alpha]!);
      const at = (top + y) * canvas.width + left + x;
      const under = canvas.dots[at]!;
      const mixed = (part: number, shift: number): number =>
        Math.min(255, bytes[from + part]! + Math.round((((under >>> shift) & 0xff) * through) / 255));
      canvas.dots[at] = rgb(mixed(red, 0), mixed(green, 8), mixed(blue, 16));
    }
}
