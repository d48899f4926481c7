/**
 * How often the guest reaches its devices, and about how long they take. Looking at the host's clock costs as much as many accesses
 * do: one access of some is timed and stands for the others.
 */
import type { CpuBus } from '../core/cpu.ts';

/** One access in so many is timed: a prime, so that it does not keep step with what a driver repeats. */
const STRIDE = 31;

export class DeviceMeter {
  /** Accesses of ports and of memory that is a device's; a block of one port counts once. */
  ports = 0;
  memory = 0;
  /** Host time of all of them, estimated, in milliseconds. */
  milliseconds = 0;
  private readonly now: () => number;
  private untilTimed = STRIDE;

  /** `now` gives host time in milliseconds. */
  constructor(now: () => number) {
    this.now = now;
  }

  /** The same bus, with what passes over it counted. */
  metered(bus: CpuBus): CpuBus {
    const { portReadBlock, portWriteBlock } = bus;
    return {
      ...bus,
      portRead: (port, width) => {
        this.ports++;
        return --this.untilTimed > 0 ? bus.portRead(port, width) : this.timed(() => bus.portRead(port, width));
      },
      portWrite: (port, width, value) => {
        this.ports++;
        if (--this.untilTimed > 0) bus.portWrite(port, width, value);
        else this.timed(() => bus.portWrite(port, width, value));
      },
      memoryRead: (address, width) => {
        this.memory++;
        return --this.untilTimed > 0
          ? bus.memoryRead(address, width)
          : this.timed(() => bus.memoryRead(address, width));
      },
      memoryWrite: (address, width, value) => {
        this.memory++;
        if (--this.untilTimed > 0) bus.memoryWrite(address, width, value);
        else this.timed(() => bus.memoryWrite(address, width, value));
      },
      // Long enough to be timed each by itself.
      ...(portReadBlock === undefined
        ? {}
        : { portReadBlock: (port, width, into) => this.block(() => portReadBlock.call(bus, port, width, into)) }),
      ...(portWriteBlock === undefined
        ? {}
        : { portWriteBlock: (port, width, from) => this.block(() => portWriteBlock.call(bus, port, width, from)) }),
    };
  }

  private timed<T>(access: () => T): T {
    this.untilTimed = STRIDE;
    const began = this.now(),
      value = access();
    this.milliseconds += (this.now() - began) * STRIDE;
    return value;
  }
  private block(access: () => number): number {
    this.ports++;
    const began = this.now(),
      moved = access();
    this.milliseconds += this.now() - began;
    return moved;
  }
}
