/**
 * The SMBus host controller of the PIIX4 with nobody on the bus (Intel 82371AB datasheet, 290562, 11.4): every transaction
 * ends at once with "device error", which is how software learns that no memory module or sensor answers.
 */
import { array, pod, u8, type StateOf } from '@tomei/kit';
import type { Registers } from '../machine/device.ts';

/** Ports that the controller takes. */
export const SMBUS_PORTS = 16;

/** Registers by offset (11.4.1 to 11.4.7). */
const HOST_STATUS = 0x00;
const HOST_CONTROL = 0x02;
const HOST_BLOCK = 0x07;
/** Host status: these bits are cleared by writing ones; bit 2 is DEV_ERR. */
const STATUS_CLEARABLE = 0x1e;
const DEVICE_ERROR = 1 << 2;
const CONTROL_START = 1 << 6;
/** Interrupt enable and protocol; START and KILL read as zero. */
const CONTROL_STORED = 0x1d;

/** Host status, control, command, address and two data bytes by offset; offsets 1 and 7 are unused. */
export const smbusState = pod({ registers: array(8, () => u8()) })
  .check(
    (s) => (s.registers[HOST_STATUS]! & ~STATUS_CLEARABLE) === 0 || "field 'registers' has status bits that cannot be",
  )
  .check(
    (s) => (s.registers[HOST_CONTROL]! & ~CONTROL_STORED) === 0 || "field 'registers' has control bits that cannot be",
  );
export type Smbus = StateOf<typeof smbusState>;

/** The controller's ports, on the state that `state()` gives at each access. */
export const smbusPorts = (state: () => Smbus): Registers => ({
  unit: 1,
  read: (offset) => (offset < HOST_BLOCK ? state().registers[offset]! : 0),
  write(offset, _width, value) {
    const { registers } = state();
    if (offset === HOST_STATUS) registers[offset] = registers[offset]! & ~(value & STATUS_CLEARABLE);
    else if (offset === HOST_CONTROL) {
      registers[offset] = value & CONTROL_STORED;
      if ((value & CONTROL_START) !== 0) registers[HOST_STATUS] = registers[HOST_STATUS]! | DEVICE_ERROR;
    } else if (offset > HOST_CONTROL && offset < HOST_BLOCK) registers[offset] = value;
  },
});
