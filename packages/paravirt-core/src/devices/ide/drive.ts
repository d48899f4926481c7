/** What disks and packet devices have in common: the task file, the interrupt, and a place on the cable (ATA/ATAPI-6, 6 and 7). */
import type { Host, Staging } from '../../machine/device.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import type { BusMaster } from './bus-master.ts';
import { Mover } from './mover.ts';
import {
  ABRT,
  BSY,
  COUNT,
  DEVICE,
  DEVICE_FIXED,
  DIAGNOSTIC_PASSED,
  DRDY,
  DSC,
  ERR,
  ERROR,
  LBA_HIGH,
  LBA_LOW,
  LBA_MIDDLE,
} from './registers.ts';
import type { DriveState } from './state.ts';
import { DataTransfer, type Protocol } from './transfer.ts';

export interface DriveParts {
  readonly state: () => DriveState;
  readonly host: Pick<Host, 'memory'>;
  readonly staging: Staging;
  readonly busMaster: BusMaster;
  readonly backend: BlockBackend | undefined;
  /** The drive's interrupt changed. */
  readonly interruptChanged: () => void;
}

export abstract class Drive implements Protocol {
  readonly transfer: DataTransfer;
  protected readonly mover: Mover;
  private readonly parts: DriveParts;

  constructor(parts: DriveParts) {
    this.parts = parts;
    this.mover = new Mover(parts.host.memory, parts.backend);
    this.transfer = new DataTransfer({
      state: () => parts.state().transfer,
      host: parts.host,
      mover: this.mover,
      staging: parts.staging,
      busMaster: parts.busMaster,
      protocol: this,
    });
  }

  get s(): DriveState {
    return this.parts.state();
  }
  protected get busMaster(): BusMaster {
    return this.parts.busMaster;
  }
  get isBusy(): boolean {
    return (this.s.status & BSY) !== 0;
  }

  /** The I/O side works for it. */
  get isWaiting(): boolean {
    return this.transfer.phase === 'working';
  }
  /** Whether DEVICE RESET reaches it while it is busy. */
  abstract readonly takesDeviceReset: boolean;
  /** Starts the command that the task file describes. */
  abstract execute(command: number): void;
  /** The task file by which software tells what answers here (9.12 "signature"). */
  protected abstract sign(): void;
  /** Sectors of 512 bytes that requests may name. */
  protected abstract readonly sectors: number;

  abstract block(bytes: number, quiet: boolean): void;
  abstract dmaRequest(): void;
  abstract packet(): void;
  abstract done(read: boolean): void;
  abstract failed(sector: number): void;
  busy(): void {
    this.s.status = BSY | DRDY | DSC;
  }

  /** SRST, or the reset of a whole channel. */
  reset(): void {
    this.transfer.abort();
    this.setInterrupt(false);
    this.diagnose();
  }
  /** What EXECUTE DEVICE DIAGNOSTIC leaves. */
  diagnose(): void {
    const { s } = this;
    s.error = DIAGNOSTIC_PASSED;
    s.device = DEVICE_FIXED;
    this.sign();
  }
  settle(): void {
    if (!this.s.awake) {
      this.s.awake = true;
      this.diagnose();
    }
    this.transfer.settle(this.sectors);
  }

  setInterrupt(level: boolean): void {
    this.s.interrupt = level;
    this.parts.interruptChanged();
  }

  /** Error, count, address and device registers; `previous` shows what was written before (HOB). */
  readRegister(offset: number, previous: boolean): number {
    const { s } = this;
    switch (offset) {
      case ERROR:
        return previous ? s.previousFeature : s.error;
      case COUNT:
        return previous ? s.previousCount : s.count;
      case LBA_LOW:
        return previous ? s.previousLow : s.low;
      case LBA_MIDDLE:
        return previous ? s.previousMiddle : s.middle;
      case LBA_HIGH:
        return previous ? s.previousHigh : s.high;
      default:
        return s.device;
    }
  }
  writeRegister(offset: number, value: number): void {
    const { s } = this;
    switch (offset) {
      case ERROR:
        s.previousFeature = s.feature;
        s.feature = value;
        return;
      case COUNT:
        s.previousCount = s.count;
        s.count = value;
        return;
      case LBA_LOW:
        s.previousLow = s.low;
        s.low = value;
        return;
      case LBA_MIDDLE:
        s.previousMiddle = s.middle;
        s.middle = value;
        return;
      case LBA_HIGH:
        s.previousHigh = s.high;
        s.high = value;
        return;
      case DEVICE:
        s.device = value | DEVICE_FIXED;
    }
  }

  protected setStatus(status: number, error = 0): void {
    this.s.status = status;
    this.s.error = error;
  }
  /** Ends a command without data. */
  protected succeed(): void {
    this.setStatus(DRDY | DSC);
    this.setInterrupt(true);
  }
  protected refuse(error = ABRT): void {
    this.setStatus(DRDY | DSC | ERR, error);
    this.setInterrupt(true);
  }
}
