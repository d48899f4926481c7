/** The state of an IDE controller: what outlives one access. */
import { array, bool, bytes, nested, oneOf, pod, u16, u32, u8, whole, type StateOf } from '@tomei/kit';
import { DEVICE_FIXED, DIAGNOSTIC_PASSED, DRDY, DSC } from './registers.ts';

export const SECTOR = 512;
/** The data buffer of a drive: one request to the I/O side of a PIO command. */
export const BUFFER_BYTES = 32 << 10;
export const BUFFER_SECTORS = BUFFER_BYTES / SECTOR;
/** Entries of the largest PRD table: it may not cross a 64 KiB boundary. */
export const PRD_ENTRIES = 8192;

/**
 * One command's data on its way. `idle`: none. `working`: the I/O side is busy. `in`, `out`: the guest moves a DRQ block through
 * the data register. `dma`: the drive waits for the bus master.
 */
const transferState = pod({
  phase: oneOf('idle', 'working', 'in', 'out', 'dma'),
  /** `reply` is a few bytes in the buffer that come from the drive itself; `packet` those of a command packet. */
  kind: oneOf('read', 'write', 'flush', 'reply', 'packet'),
  dma: bool(),
  /** First sector of what is not moved yet, and how many there are beyond the current chunk. */
  sector: whole(),
  left: u32(),
  /** Sectors of the current chunk. */
  chunk: u32(),
  /** Bytes in the buffer: next to be moved, where the DRQ block ends, where the chunk ends. */
  position: u16(),
  blockEnd: u16(),
  end: u16(),
  /** Most bytes of a DRQ block. */
  block: u32(SECTOR),
  buffer: bytes(BUFFER_BYTES),
}).check((s) => {
  if (s.position > s.blockEnd || s.blockEnd > s.end || s.end > BUFFER_BYTES)
    return "field 'position' is outside the buffer";
  if ((s.phase === 'in' || s.phase === 'out') && s.position === s.blockEnd) return "field 'blockEnd' ends no block";
  if (s.chunk > BUFFER_SECTORS) return "field 'chunk' is larger than the buffer";
  return s.block > 0 || "field 'block' is 0";
});
export type Transfer = StateOf<typeof transferState>;

const senseState = pod({ key: u8(), code: u8(), qualifier: u8() });

const driveState = pod({
  /** Power-on is over: the drive has put its signature into the task file. */
  awake: bool(),
  /** Task file, and what was written before each value (48-bit addressing). */
  feature: u8(),
  error: u8(DIAGNOSTIC_PASSED),
  count: u8(1),
  low: u8(1),
  middle: u8(),
  high: u8(),
  device: u8(DEVICE_FIXED),
  previousFeature: u8(),
  previousCount: u8(),
  previousLow: u8(),
  previousMiddle: u8(),
  previousHigh: u8(),
  command: u8(),
  status: u8(DRDY | DSC),
  /** INTRQ is asserted as far as this drive is concerned. */
  interrupt: bool(),
  /** Translation set by INITIALIZE DEVICE PARAMETERS; 0 heads is the default one. */
  heads: u8(),
  sectorsPerTrack: u8(),
  /** Sectors of a READ/WRITE MULTIPLE block; 0 is "not enabled". */
  multiple: u8(),
  /** Transfer mode as SET FEATURES 03h takes it: the DMA mode that is on, Ultra DMA 5 at first. */
  dmaMode: u8(0x45),
  writeCache: bool(true),
  readAhead: bool(true),
  /** Of a packet device. */
  sense: nested(senseState),
  /** A new disc, or a reset, that the guest has not heard of. */
  attention: u8(),
  /** An event for GET EVENT STATUS NOTIFICATION. */
  mediaEvent: u8(),
  locked: bool(),
  ejected: bool(),
  transfer: nested(transferState),
});
export type DriveState = StateOf<typeof driveState>;

export const busMasterState = pod({
  command: u8(),
  status: u8(),
  table: u32(),
  /** Entry that the engine works on, and the bytes of its region that are done. */
  entry: u16(),
  done: u32(),
}).check((s) => (s.entry <= PRD_ENTRIES && s.done < 0x1_0000) || "field 'entry' is outside the PRD table");
export type BusMasterState = StateOf<typeof busMasterState>;

const channelState = pod({
  control: u8(),
  busMaster: nested(busMasterState),
  drives: array(2, () => nested(driveState)),
});
export type ChannelState = StateOf<typeof channelState>;

export const ideState = pod({ channels: array(2, () => nested(channelState)) });
export type IdeState = StateOf<typeof ideState>;
