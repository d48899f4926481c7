/** The state of the floppy controller. */
import { array, bool, bytes, fifo, nested, oneOf, pod, u16, u8, type StateOf } from '@tomei/kit';
import { lengthOf } from './commands.ts';
import { MOST_SECTORS } from './media.ts';

export const SECTOR = 512;
export const BUFFER_BYTES = MOST_SECTORS * SECTOR;
/** The longest command: nine bytes. */
export const COMMAND_BYTES = 9;
export const DRIVES = 4;
/** CONFIGURE after a reset: polling, no FIFO. */
export const DEFAULT_CONFIGURE = 0x20;

const driveState = pod({
  /** Where the heads are. */
  track: u8(),
  /** Disk change line: the disk was changed, and the heads have not moved since. */
  changed: bool(true),
});

export const floppyState = pod({
  /** Digital output register: in reset after power-on. */
  dor: u8(),
  /** Data rate, of DSR or CCR, whichever was written last. */
  rate: u8(2),
  tape: u8(),
  interrupt: bool(),
  /** SENSE INTERRUPT STATUS has this to tell: drives after a reset, or the end of a seek. */
  resetSenses: u8(),
  seekStatus: u8(),
  seekDone: bool(),
  phase: oneOf('command', 'working', 'in', 'out', 'result'),
  command: fifo(COMMAND_BYTES),
  result: fifo(10),
  /** What a data command works on: cylinder, head and sector of the next one, and how many the I/O side has. */
  cylinder: u8(),
  head: u8(),
  sector: u8(1),
  chunk: u8(),
  /** The DMA controller's count has run out. */
  ended: bool(),
  buffer: bytes(BUFFER_BYTES),
  position: u16(),
  /** SPECIFY, CONFIGURE, PERPENDICULAR MODE and LOCK. */
  specify: array(2, () => u8()),
  configure: u8(DEFAULT_CONFIGURE),
  precompensation: u8(),
  perpendicular: u8(),
  locked: bool(),
  /** Last EOT, for DUMPREG. */
  lastSector: u8(),
  drives: array(DRIVES, () => nested(driveState)),
}).check((s) => {
  if (s.chunk > MOST_SECTORS) return "field 'chunk' is longer than a track";
  if (s.resetSenses > DRIVES) return "field 'resetSenses' counts more drives than there are";
  if (s.position >= BUFFER_BYTES) return "field 'position' is outside the buffer";
  const [first] = s.command;
  if (s.phase === 'command' && first !== undefined && s.command.length >= lengthOf(first))
    return "field 'command' is complete";
  return s.phase === 'command' || s.command.length > 0 || "field 'command' is empty while one runs";
});
export type FloppyState = StateOf<typeof floppyState>;
