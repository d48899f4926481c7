/**
 * The floppy disk controller: an Intel 82077AA in AT mode (datasheet 290166) with two drives. DMA channel 2 or the processor moves
 * data; status registers A and B, which AT mode does not have, read as an open bus. The command engine is `controller.ts`.
 */
import { defineDevice, typed, type PortClaim } from '../../machine/device.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import { FloppyController } from './controller.ts';
import { floppyDrives } from './media.ts';
import { floppyState } from './state.ts';

const BASE = 0x3f0;
/** Offsets from the base; port 3F6h belongs to the hard disk controller. */
const OUTPUT = 2,
  TAPE = 3,
  MAIN_STATUS = 4,
  DATA = 5;
const DIGITAL_INPUT = 0x3f7;
/** Data rate select register. */
const SOFTWARE_RESET = 0x80;
const DISK_CHANGE = 0x80;
const OPEN = 0xff;

export const fdc82077 = defineDevice({
  kind: 'fdc82077',
  version: 1,
  summary: 'floppy disk controller with two drives, by DMA channel 2 or programmed',
  config: typed<Record<string, never>>({}),
  state: floppyState,
  attach({ state, host }) {
    const controller = new FloppyController(state, host, host.backend(floppyDrives)?.drives ?? []);
    return {
      lines: [6],
      ports: [
        {
          base: BASE,
          count: 6,
          unit: 1,
          read(offset) {
            if (offset === OUTPUT) return state.dor;
            if (offset === TAPE) return state.tape;
            if (offset === MAIN_STATUS) return controller.mainStatus;
            return offset === DATA ? controller.read() : OPEN;
          },
          write(offset, _width, value) {
            if (offset === OUTPUT) controller.writeOutput(value);
            else if (offset === TAPE) state.tape = value & 3;
            else if (offset === MAIN_STATUS) {
              state.rate = value & 3;
              if ((value & SOFTWARE_RESET) !== 0) controller.softwareReset();
            } else if (offset === DATA) controller.write(value);
          },
        },
        {
          base: DIGITAL_INPUT,
          count: 1,
          unit: 1,
          read: () => (controller.diskChanged ? DISK_CHANGE : 0),
          write: (_offset, _width, value) => void (state.rate = value & 3),
        },
      ] satisfies PortClaim[],
      /** Puts another disk into a drive (0 is A:), or takes it out. False when there is no such drive. Call between accesses. */
      insert: (drive: number, disk: BlockBackend | undefined): boolean => controller.insert(drive, disk),
      settle: () => controller.settle(),
    };
  },
});
