/** A disk as its users see it: whole sectors, asynchronous, any number of requests in flight. */
import { TomeiError } from '@tomei/kit';

export const SECTOR_BYTES = 512;

/**
 * Offsets and lengths are whole sectors within `sizeBytes`; anything else is refused with `disk.out-of-range`. Buffers may be views
 * of shared memory. Overlapping requests in flight together may take effect in any order; await one to put another behind it.
 */
export interface BlockDevice {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Fills `into` from `offset` on. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Writes `from` at `offset`; on stable storage only after a later `flush`. Throws `disk.read-only`, `disk.full`, `disk.io`. */
  write(offset: number, from: Uint8Array): Promise<void>;
  /** Everything written before is on stable storage when this resolves. */
  flush(): Promise<void>;
  /** The contents of these sectors may be forgotten: reads may give zeros or the old bytes. */
  discard?(offset: number, length: number): Promise<void>;
  /** Flushes and lets go of all files. Safe to call twice. */
  close(): Promise<void>;
}

/** Throws `disk.out-of-range` unless the range is whole sectors within the device. */
export function checkRange(name: string, sizeBytes: number, offset: number, length: number): void {
  const whole = (n: number): boolean => Number.isSafeInteger(n) && n >= 0 && n % SECTOR_BYTES === 0;
  if (whole(offset) && whole(length) && offset + length <= sizeBytes) return;
  const what = `${length} bytes at ${offset} are not whole sectors within the ${sizeBytes} bytes of ${name}`;
  throw new TomeiError('disk.out-of-range', what, { data: { file: name, offset, length } });
}

/** Throws `disk.read-only`. */
export function refuseWrite(name: string): never {
  throw new TomeiError('disk.read-only', `${name} is open for reading only`, { data: { file: name } });
}

/** Waits for every promise, so that no I/O is left under way on a caller's buffer, then throws the first failure. */
export async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  if (work.length === 1) {
    await work[0];
    return;
  }
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
