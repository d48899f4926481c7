/** Fields of saved states that hold frames: bytes of a length that varies, within bounds. */
import type { Field } from '@tomei/kit';

/** At most `max` bytes; none at first. */
export const blob = (max: number): Field<Uint8Array> => ({
  initial: () => new Uint8Array(0),
  check: (v) => (v instanceof Uint8Array && v.length <= max ? undefined : `is not at most ${max} bytes`),
  copy: (v) => v.slice(),
});

/** A queue of frames of `min` to `max` bytes each, `total` bytes in all. */
export const frames = (min: number, max: number, total: number): Field<Uint8Array[]> => ({
  initial: () => [],
  check: (v) => {
    if (!Array.isArray(v) || v.length > total / min) return 'is not a queue of frames';
    let sum = 0;
    for (const frame of v as unknown[]) {
      if (!(frame instanceof Uint8Array) || frame.length < min || frame.length > max) {
        return `holds something that is no frame of ${min} to ${max} bytes`;
      }
      sum += frame.length;
    }
    return sum <= total ? undefined : `holds more than ${total} bytes`;
  },
  copy: (v) => v.map((frame) => frame.slice()),
});
