/** Cylinders, heads and sectors of a disk, and what they mean in blocks (ATA/ATAPI-6, 6.2; INCITS 370 for the default). */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
}

const MOST_CYLINDERS = 16_383;
const HEADS = 16;
const SECTORS_PER_TRACK = 63;

/** The translation of a drive of this size after power-on. */
export function defaultGeometry(sectors: number): Geometry {
  return translated(sectors, HEADS, SECTORS_PER_TRACK);
}

/** The cylinders that a drive shows with a translation that software has chosen. */
export function translated(sectors: number, heads: number, sectorsPerTrack: number): Geometry {
  const cylinders = Math.floor(sectors / (heads * sectorsPerTrack));
  return { cylinders: Math.max(1, Math.min(MOST_CYLINDERS, cylinders)), heads, sectorsPerTrack };
}

/** Sectors that the translation reaches. */
export const reachOf = ({ cylinders, heads, sectorsPerTrack }: Geometry): number => cylinders * heads * sectorsPerTrack;

/** The block of a cylinder, head and sector (from 1); undefined for a place that there is not. */
export function blockOf(geometry: Geometry, cylinder: number, head: number, sector: number): number | undefined {
  const { cylinders, heads, sectorsPerTrack } = geometry;
  if (sector < 1 || sector > sectorsPerTrack || head >= heads || cylinder >= cylinders) return undefined;
  return (cylinder * heads + head) * sectorsPerTrack + sector - 1;
}
