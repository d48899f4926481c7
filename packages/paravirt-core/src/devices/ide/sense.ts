/** Why a packet command failed: sense key, additional code and qualifier (SPC-3, 4.5; MMC-5, annex F). */
export interface Sense {
  readonly key: number;
  readonly code: number;
  readonly qualifier: number;
}
const sense = (key: number, code: number, qualifier = 0): Sense => ({ key, code, qualifier });

export const NO_SENSE = sense(0, 0);
export const NO_MEDIUM_TRAY_CLOSED = sense(2, 0x3a, 1);
export const NO_MEDIUM_TRAY_OPEN = sense(2, 0x3a, 2);
export const UNRECOVERED_READ_ERROR = sense(3, 0x11);
export const INVALID_OPERATION = sense(5, 0x20);
export const BLOCK_OUT_OF_RANGE = sense(5, 0x21);
export const INVALID_FIELD = sense(5, 0x24);
export const SAVING_NOT_SUPPORTED = sense(5, 0x39);
export const REMOVAL_PREVENTED = sense(5, 0x53, 2);
export const MEDIUM_CHANGED = sense(6, 0x28);

export const NOT_READY = 2;

/** Fixed format, SPC-3, 4.5.3. */
export function senseBytes({ key, code, qualifier }: Sense): Uint8Array {
  const bytes = new Uint8Array(18);
  bytes[0] = 0x70;
  bytes[2] = key;
  bytes[7] = 10;
  bytes[12] = code;
  bytes[13] = qualifier;
  return bytes;
}
