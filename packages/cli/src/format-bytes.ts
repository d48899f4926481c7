/** Sizes for a person. */
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** The largest unit that leaves at least 1, with at most one digit behind the point. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${UNITS[unit]}`;
}
