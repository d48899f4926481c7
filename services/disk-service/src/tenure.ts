/**
 * Who has a disk for writing, kept beside it in `<disk>.lease`, so that a disk-service that comes back neither gives an epoch twice nor
 * lets a guest that others have overtaken write again. It is on stable storage before the lease is given.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { TomeiError } from '@tomei/kit';
import { poolError } from './pool-error.ts';
import { writeStable } from './stable-file.ts';

export const GUEST_NAME_MAX = 200;
const schema = z.strictObject({
  /** The last epoch that was given; it only grows. */
  epoch: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  /** The first epoch of this holder: since then nobody else has written. */
  since: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  guestId: z.string().max(63),
  guestName: z.string().max(GUEST_NAME_MAX).default(''),
  run: z.number().int().min(0).max(0xffff_ffff),
  /** False when it was given back, or ran out. */
  held: z.boolean(),
});
export type Tenure = z.infer<typeof schema>;

const placeOf = (disk: string): string => `${disk}.lease`;

/** Undefined when nobody ever had the disk. Throws `disk.bad-lease-file`. */
export async function readTenure(disk: string): Promise<Tenure | undefined> {
  const place = placeOf(disk);
  let text: string;
  try {
    text = await readFile(place, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw poolError(error, 'disk', place, 'read');
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const what = `${place} does not say who has the disk; with all guests of this disk off, remove it`;
    throw new TomeiError('disk.bad-lease-file', what, { cause, data: { file: place } });
  }
}

/** Throws `disk.denied`, `disk.full`, `disk.io`; the old content is there then. */
export async function writeTenure(disk: string, tenure: Tenure): Promise<void> {
  const place = placeOf(disk);
  await writeStable(place, `${JSON.stringify(tenure)}\n`).catch((error: unknown) => {
    throw poolError(error, 'disk', place, 'write');
  });
}
