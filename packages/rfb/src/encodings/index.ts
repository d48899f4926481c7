/** The encodings of dots. A new one adds its line here. */
import type { Encoding } from './encoding.ts';
import { raw } from './raw.ts';
import { tight } from './tight.ts';
import { zrle } from './zrle.ts';

export const ENCODINGS: readonly Encoding[] = [tight, zrle, raw];

/** The viewer's first choice that there is (RFC 6143, 7.5.2: its list is in order of preference). Raw when it names none. */
export function chooseEncoding(offered: readonly number[]): Encoding {
  for (const id of offered) {
    const encoding = ENCODINGS.find((known) => known.id === id);
    if (encoding !== undefined) return encoding;
  }
  return raw;
}
