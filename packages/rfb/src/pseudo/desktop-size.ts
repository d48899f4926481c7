/** A picture's size, for viewers that can follow a change (RFC 6143, 7.8.2; rfbproto, "ExtendedDesktopSize Pseudo-encoding"). */
import { contains, type Rectangle } from '../geometry.ts';
import type { UpdateWriter } from '../update-writer.ts';
import { PSEUDO } from './ids.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Who changed the size, in x. */
export const BY_SERVER = 0;
export const BY_THIS_VIEWER = 1;
/** What came of a viewer's wish, in y. */
export const RESIZED = 0;
export const PROHIBITED = 1;
export const INVALID_LAYOUT = 3;
export const FORWARDED = 4;

export function writeDesktopSize(update: UpdateWriter, { width, height }: Size): void {
  update.begin({ x: 0, y: 0, width, height }, PSEUDO.desktopSize);
}

/** One screen that is the whole picture. */
export function writeExtendedDesktopSize(update: UpdateWriter, size: Size, changedBy: number, status: number): void {
  const { width, height } = size;
  const out = update.begin({ x: changedBy, y: status, width, height }, PSEUDO.extendedDesktopSize);
  out.u8(1).zeros(3);
  out.u32(0).u16(0).u16(0).u16(width).u16(height).u32(0);
}

/** Whether SetDesktopSize asks for something that there can be: screens with dots, all within the picture. */
export function isLayout({ width, height }: Size, screens: readonly Rectangle[]): boolean {
  const picture = { x: 0, y: 0, width, height };
  return (
    screens.length > 0 && screens.every((screen) => screen.width > 0 && screen.height > 0 && contains(picture, screen))
  );
}
