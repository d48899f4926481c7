/** Floppy drives of a `.vmx`: `floppy0.*` (A:) and `floppy1.*` (B:). */
import type { FileReference } from './guest-config.ts';
import type { Problems } from './problem.ts';
import type { Values } from './values.ts';

export const FLOPPY_TYPES = ['file', 'device'] as const;

export interface FloppyConfig {
  /** `floppy0` or `floppy1`. */
  readonly slot: string;
  /** 0 is A:, 1 is B:. */
  readonly drive: number;
  /** The image; absent for an empty drive. */
  readonly file?: FileReference;
  /** Where `present` is set. */
  readonly line: number;
}

const DRIVES = 2;

/** Reads every present drive. A drive of the host, or one that is not connected, is an empty one. */
export function readFloppies(values: Values, problems: Problems): FloppyConfig[] {
  const floppies: FloppyConfig[] = [];
  for (let drive = 0; drive < DRIVES; drive++) {
    const slot = `floppy${drive}`;
    const present = values.find(`${slot}.present`);
    if (present === undefined || values.boolean(`${slot}.present`) !== true) continue;
    const empty = { slot, drive, line: present.line };
    const type = values.word(`${slot}.fileType`, FLOPPY_TYPES) ?? 'file';
    if (type === 'device') {
      const entry = values.find(`${slot}.fileType`)!;
      problems.warn(
        'vmx.unsupported',
        entry,
        `${slot}: drives of the host are not given to guests; the drive stays empty`,
      );
      floppies.push(empty);
      continue;
    }
    const connected = values.boolean(`${slot}.startConnected`) ?? true;
    const file = values.file(`${slot}.fileName`);
    floppies.push(file === undefined || !connected ? empty : { ...empty, file });
  }
  return floppies;
}
