/** The commands of the 82077AA: their codes, and how many bytes each has (Intel 82077AA datasheet, 290166, 5). */

export const READ_TRACK = 0x02,
  SPECIFY = 0x03,
  SENSE_DRIVE = 0x04,
  WRITE_DATA = 0x05,
  READ_DATA = 0x06,
  RECALIBRATE = 0x07,
  SENSE_INTERRUPT = 0x08,
  WRITE_DELETED = 0x09,
  READ_ID = 0x0a,
  READ_DELETED = 0x0c,
  FORMAT_TRACK = 0x0d,
  DUMP_REGISTERS = 0x0e,
  SEEK = 0x0f,
  VERSION = 0x10,
  PERPENDICULAR = 0x12,
  CONFIGURE = 0x13,
  LOCK = 0x14,
  VERIFY = 0x16;

/** Bits of a command byte beside its code. */
export const MULTI_TRACK = 0x80;
/** LOCK's own: bit 7. RELATIVE SEEK is SEEK with it, and bit 6 is the direction. */
export const LOCK_SET = 0x80,
  RELATIVE = 0x80,
  INWARD = 0x40;
export const CODE = 0x1f;

const LENGTHS: Readonly<Record<number, number>> = {
  [READ_TRACK]: 9,
  [SPECIFY]: 3,
  [SENSE_DRIVE]: 2,
  [WRITE_DATA]: 9,
  [READ_DATA]: 9,
  [RECALIBRATE]: 2,
  [SENSE_INTERRUPT]: 1,
  [WRITE_DELETED]: 9,
  [READ_ID]: 2,
  [READ_DELETED]: 9,
  [FORMAT_TRACK]: 6,
  [DUMP_REGISTERS]: 1,
  [SEEK]: 3,
  [VERSION]: 1,
  [PERPENDICULAR]: 2,
  [CONFIGURE]: 4,
  [LOCK]: 1,
  [VERIFY]: 9,
};
/** Bytes of the command that starts with this one; 1 for a code that is none. The scan commands are not there. */
export const lengthOf = (first: number): number => LENGTHS[first & CODE] ?? 1;

/** Status register 0. */
export const ABNORMAL = 0x40,
  INVALID = 0x80,
  READY_CHANGED = 0xc0,
  SEEK_END = 0x20,
  EQUIPMENT_CHECK = 0x10;
/** Status register 1. */
export const END_OF_CYLINDER = 0x80,
  DATA_ERROR = 0x20,
  OVERRUN = 0x10,
  NO_DATA = 0x04,
  NOT_WRITABLE = 0x02,
  MISSING_ADDRESS = 0x01;
/** Status register 2. */
export const DATA_ERROR_IN_DATA = 0x20,
  WRONG_CYLINDER = 0x10;
/** Status register 3: two sides and "ready" are always set. */
export const WRITE_PROTECTED = 0x40,
  ALWAYS_SET = 0x28,
  TRACK_0 = 0x10;
