/**
 * Registers and bits of an ATA channel (ANSI NCITS 317 "ATA/ATAPI-4" and INCITS 361 "ATA/ATAPI-6", chapter 7), by offset from
 * the command block, and of the bus master (Intel 82371SB datasheet, 290550, 2.7).
 */

/** Command block. */
export const DATA = 0;
/** Read: error. Written: features. */
export const ERROR = 1;
export const COUNT = 2;
export const LBA_LOW = 3;
export const LBA_MIDDLE = 4;
export const LBA_HIGH = 5;
export const DEVICE = 6;
/** Read: status, which takes INTRQ back. Written: command. */
export const STATUS = 7;

/** Status register. */
export const BSY = 0x80,
  DRDY = 0x40,
  DF = 0x20,
  /** Seek complete; SERV of a packet device. */
  DSC = 0x10,
  DRQ = 0x08,
  ERR = 0x01;

/** Error register. */
export const UNC = 0x40,
  IDNF = 0x10,
  ABRT = 0x04;
/** What diagnostics leave in the error register: device passed. */
export const DIAGNOSTIC_PASSED = 0x01;

/** Device register: LBA addressing, and which device. Bits 7 and 5 are obsolete and read as set. */
export const DEVICE_LBA = 0x40,
  DEVICE_ONE = 0x10,
  DEVICE_FIXED = 0xa0;

/** Device control register. */
export const HOB = 0x80,
  SRST = 0x04,
  NIEN = 0x02;

/** Interrupt reason of a packet device, in the count register. */
export const REASON_COMMAND = 0x01,
  REASON_IN = 0x02;

/** Bus master command. */
export const BM_START = 0x01,
  BM_TO_MEMORY = 0x08;
/** Bus master status. */
export const BM_ACTIVE = 0x01,
  BM_ERROR = 0x02,
  BM_INTERRUPT = 0x04,
  /** "Drive is capable of DMA": bits for software to write. */
  BM_CAPABLE = 0x60;
