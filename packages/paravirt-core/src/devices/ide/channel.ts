/**
 * One cable with at most two drives: routes the command block to the one that the device register selects, resets both, and shows
 * the selected one's interrupt (ATA/ATAPI-6, 7 and 9).
 */
import type { Width } from '../../machine/device.ts';
import type { BusMaster } from './bus-master.ts';
import type { Drive } from './drive.ts';
import { BSY, DATA, DEVICE, DEVICE_ONE, DRQ, HOB, NIEN, SRST, STATUS } from './registers.ts';
import type { ChannelState } from './state.ts';

const DEVICE_RESET = 0x08,
  EXECUTE_DIAGNOSTIC = 0x90;

export interface ChannelParts {
  readonly state: () => ChannelState;
  readonly drives: readonly (Drive | undefined)[];
  readonly busMaster: BusMaster;
  readonly irq: (level: boolean) => void;
  /** The guest polls a drive that waits for the I/O side. */
  readonly waits: () => void;
}

export class Channel {
  private readonly parts: ChannelParts;
  private line = false;

  constructor(parts: ChannelParts) {
    this.parts = parts;
  }

  private get c(): ChannelState {
    return this.parts.state();
  }
  /** Bit 4 of the device register, which both drives take. */
  private get selectedIndex(): 0 | 1 {
    return (this.c.drives[0]!.device & DEVICE_ONE) !== 0 ? 1 : 0;
  }
  private get selected(): Drive | undefined {
    return this.parts.drives[this.selectedIndex];
  }

  /** The interrupt line follows the selected drive, unless nIEN holds it. */
  update(): void {
    const level = (this.c.control & NIEN) === 0 && (this.selected?.s.interrupt ?? false);
    if (level && !this.line) this.parts.busMaster.interrupted();
    this.line = level;
    this.parts.irq(level);
  }
  settle(): void {
    // The rise of the line was latched before.
    this.line = (this.c.control & NIEN) === 0 && (this.selected?.s.interrupt ?? false);
    for (const drive of this.parts.drives) drive?.settle();
    this.update();
  }

  /** Offsets 0..7 of the command block. */
  read(offset: number, width: Width): number {
    if (offset === DATA) return this.selected?.transfer.readData(width) ?? 0;
    let value = 0;
    for (let i = 0; i < width; i++) value |= this.readByte(offset + i) << (8 * i);
    return value >>> 0;
  }
  write(offset: number, width: Width, value: number): void {
    if (offset === DATA) return this.selected?.transfer.writeData(width, value);
    for (let i = 0; i < width; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }
  /** The guest moves a DRQ block of the selected drive. */
  get isMoving(): boolean {
    const phase = this.selected?.transfer.phase;
    return phase === 'in' || phase === 'out';
  }
  readBlock(width: Width, into: Uint8Array): number {
    return this.selected?.transfer.readBlock(width, into) ?? 0;
  }
  writeBlock(width: Width, from: Uint8Array): number {
    return this.selected?.transfer.writeBlock(width, from) ?? 0;
  }

  /** Device 0 answers for a device 1 that is absent: with its own task file and a status of 0 (9.16.1). No drives at all read as 0. */
  private readByte(offset: number): number {
    const drive = this.selected;
    if (drive === undefined) {
      const other = this.selectedIndex === 1 && offset !== STATUS ? this.parts.drives[0] : undefined;
      return other?.readRegister(offset, (this.c.control & HOB) !== 0) ?? 0;
    }
    if (offset !== STATUS) return drive.readRegister(offset, (this.c.control & HOB) !== 0);
    const { status } = drive.s;
    if (drive.isWaiting) this.parts.waits();
    drive.setInterrupt(false);
    return status;
  }
  alternateStatus(): number {
    const drive = this.selected;
    if (drive?.isWaiting === true) this.parts.waits();
    return drive?.s.status ?? 0;
  }

  private writeByte(offset: number, value: number): void {
    const { c } = this;
    c.control &= ~HOB;
    if (offset === STATUS) return this.command(value);
    // A busy drive takes nothing but a reset.
    if (this.selected?.isBusy === true) return;
    for (const index of [0, 1]) {
      const drive = this.parts.drives[index];
      if (drive !== undefined) drive.writeRegister(offset, value);
      // The selection is held there whether or not a drive is.
      else if (offset === DEVICE) c.drives[index]!.device = value;
    }
    if (offset === DEVICE) this.update();
  }

  private command(command: number): void {
    if (command === EXECUTE_DIAGNOSTIC) return this.diagnose();
    const drive = this.selected;
    if (drive === undefined) return;
    // Only DEVICE RESET reaches a packet device that is busy.
    if (drive.isBusy && !(command === DEVICE_RESET && drive.takesDeviceReset)) return;
    drive.setInterrupt(false);
    drive.transfer.abort();
    drive.s.command = command;
    drive.execute(command);
  }

  private diagnose(): void {
    if (this.selected?.isBusy === true) return;
    for (const drive of this.parts.drives) drive?.reset();
    for (const state of this.c.drives) state.device &= ~DEVICE_ONE;
    this.parts.drives[0]?.setInterrupt(true);
    this.update();
  }

  /** The device control register. */
  writeControl(value: number): void {
    const { c } = this;
    const before = c.control;
    c.control = value & (HOB | SRST | NIEN);
    if ((value & ~before & SRST) !== 0) {
      for (const drive of this.parts.drives) {
        drive?.transfer.abort();
        if (drive === undefined) continue;
        drive.s.status = BSY;
        drive.s.interrupt = false;
      }
    } else if ((before & ~value & SRST) !== 0) {
      for (const drive of this.parts.drives) drive?.reset();
      for (const state of c.drives) state.device &= ~DEVICE_ONE;
    }
    this.update();
  }

  /** The bus master was started: whichever drive waits for it moves. */
  pump(): void {
    for (const drive of this.parts.drives) if ((drive?.s.status ?? 0) & DRQ) drive!.transfer.pump();
  }
}
