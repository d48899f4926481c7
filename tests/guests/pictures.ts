/** Pictures of a screen: waiting for one, comparing two, keeping one for a person to look at. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodePng } from '@tomei/paravirt-core';
import type { Pc, Picture } from './pc.ts';

const KEPT = fileURLToPath(new URL('../../artefacts/screens/', import.meta.url));
/** A console of text has fewer colours, a desktop more. */
const COLOURS_OF_A_DESKTOP = 40;
/** Seconds of the guest's time between two looks, and how many looks in a row have to be the same. */
const LOOK_S = 5,
  LOOKS = 5;
/** A channel of 5 bits is shown in 8: how is left to who shows it. */
const ROUNDING = 8;

const coloursOf = ({ rgb }: Picture): number => {
  const found = new Set<number>();
  for (let i = 0; i < rgb.length; i += 3) found.add((rgb[i]! << 16) | (rgb[i + 1]! << 8) | rgb[i + 2]!);
  return found.size;
};

/** The first picture of a desktop on which nothing moves any more. `limit`: seconds of the guest's time. */
export async function settled(pc: Pc, limit: number): Promise<Picture> {
  let last: Picture | undefined,
    same = 0;
  for (let at = 0; at < limit; at += LOOK_S) {
    await pc.wait(LOOK_S);
    const picture = await pc.picture();
    same = last !== undefined && differing(last, picture) === 0 ? same + 1 : 0;
    last = picture;
    if (same >= LOOKS && coloursOf(picture) >= COLOURS_OF_A_DESKTOP) return picture;
  }
  throw new Error(`no desktop within ${limit} s, but ${last?.width} x ${last?.height} pixels of ${coloursOf(last!)} colours`);
}

/** How many pixels are not the same; all of them when the sizes differ. */
export function differing(one: Picture, other: Picture): number {
  const pixels = one.width * one.height;
  if (one.width !== other.width || one.height !== other.height) return pixels;
  let count = 0;
  for (let i = 0; i < pixels * 3; i += 3) {
    const near = (j: number): boolean => Math.abs(one.rgb[j]! - other.rgb[j]!) <= ROUNDING;
    if (!near(i) || !near(i + 1) || !near(i + 2)) count++;
  }
  return count;
}

/** Writes a picture below artefacts/screens. */
export async function keepPicture(name: string, { width, height, rgb }: Picture): Promise<void> {
  const rgba = new Uint8Array(width * height * 4).fill(0xff);
  for (let i = 0; i < width * height; i++) rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  await mkdir(KEPT, { recursive: true });
  await writeFile(join(KEPT, name), encodePng({ width, height, rgba }));
}
