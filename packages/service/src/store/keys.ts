/** What a key of the store may be, and what goes wrong there, said alike by both twins. */
import { TomeiError } from '@tomei/kit';

/** Parts of printable ASCII between slashes. Other text goes through `encodeURIComponent` first. */
const KEY = /^[!-.0-~]+(?:\/[!-.0-~]+)*$/;
const MAX_LENGTH = 512;

/** Throws `store.bad-key`. */
export function checkKey(key: string): void {
  if (key.length <= MAX_LENGTH && KEY.test(key)) return;
  throw new TomeiError('store.bad-key', `${JSON.stringify(key.slice(0, 80))} is no key of the store`);
}
/** How all keys below a path begin; the empty path is the top. Throws `store.bad-key`. */
export function prefixOf(path: string): string {
  const bare = path.endsWith('/') ? path.slice(0, -1) : path;
  if (bare === '') return '';
  checkKey(bare);
  return `${bare}/`;
}

export const unavailable = (why: string, cause?: unknown): TomeiError =>
  new TomeiError('store.unavailable', `the store of the cluster's state cannot be reached: ${why}`, {
    retryable: true,
    cause,
  });
export const conflict = (key: string, expected: number, version: number): TomeiError =>
  new TomeiError('store.conflict', `${key} was changed by somebody else: version ${version}, not ${expected}`, {
    retryable: true,
    data: { key, expected, version },
  });

/** The largest value: records of the cluster are small, and a list of all of them is one answer. */
export const MAX_VALUE_BYTES = 1 << 20;
/** Throws `store.too-large`. */
export function checkValue(key: string, value: string): void {
  const sizeBytes = Buffer.byteLength(value);
  if (sizeBytes <= MAX_VALUE_BYTES) return;
  throw new TomeiError(
    'store.too-large',
    `the record ${key} has ${sizeBytes} bytes, more than the ${MAX_VALUE_BYTES} that the store takes`,
  );
}
const OWNER = /^[!-~]{1,256}$/;
/** Throws `store.bad-owner`. */
export function checkOwner(owner: string): void {
  if (OWNER.test(owner)) return;
  throw new TomeiError('store.bad-owner', `${JSON.stringify(owner.slice(0, 80))} is no owner of a lease`);
}
