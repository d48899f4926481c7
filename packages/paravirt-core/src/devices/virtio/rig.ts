/**
 * A small machine for tests of one PCI device: a real board with RAM, a clock that stands still, and what can be seen
 * outside.
 */
import { ManualClock, type Fields } from '@tomei/kit';
import { Board, type Backend } from '../../machine/board.ts';
import { type Device, type DeviceDef, type GuestMemory, type Parts } from '../../machine/device.ts';

/** PCI slot of the device. */
export const SLOT = 3;

export class Rig<F extends Fields = Fields, P extends Parts = Parts, C extends object = object> {
  readonly ram: Uint8Array;
  readonly clock = new ManualClock();
  readonly board: Board;
  readonly device: Device<P>;
  /** Ranges that devices reported as written. */
  readonly written: { address: number; length: number }[] = [];
  /** Level of the device's interrupt line. */
  interrupt = false;
  /** What devices told of their drivers. */
  readonly troubles: string[] = [];
  /** How often the line rose. */
  interrupts = 0;

  constructor(options: {
    ram: Uint8Array;
    def: DeviceDef<C, F, P>;
    config: C;
    backends?: (memory: GuestMemory) => readonly Backend[];
  }) {
    this.ram = options.ram;
    this.board = new Board({
      ram: this.ram,
      clock: this.clock,
      alarms: this.clock.alarms,
      trouble: (device, what) => this.troubles.push(`${device}: ${what}`),
      ramWritten: (address, length) => this.written.push({ address, length }),
    });
    const backends = options.backends?.(this.board.ram) ?? [];
    this.device = this.board.add(options.def, options.config, { slot: SLOT, backends });
    this.board.lines.listen((_line, level) => {
      if (level && !this.interrupt) this.interrupts++;
      this.interrupt = level;
    });
    this.board.reset();
  }

  get memory(): GuestMemory {
    return this.board.ram;
  }
}
