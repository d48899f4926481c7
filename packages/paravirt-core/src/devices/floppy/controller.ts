/**
 * The command engine of the floppy controller: command, execution and result phase (Intel 82077AA datasheet, 290166, 4 to 6). Seeks
 * end at once and the disk is always where it is wanted. All sectors have 512 bytes: other sizes are not found.
 */
import type { Host, Staging } from '../../machine/device.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import { Mover } from '../ide/mover.ts';
import * as fd from './commands.ts';
import { formatOf, type FloppyFormat } from './media.ts';
import { BUFFER_BYTES, DEFAULT_CONFIGURE, DRIVES, SECTOR, type FloppyState } from './state.ts';

/** 512-byte sectors, as commands say it. */
const SIZE_CODE = 2;
/** What VERSION answers: an enhanced controller. */
const ENHANCED = 0x90;
/** DOR. */
const NOT_RESET = 0x04,
  DMA_GATE = 0x08;
/** CONFIGURE. */
const IMPLIED_SEEK = 0x40;
/** SPECIFY, second byte. */
const NON_DMA = 0x01;
const DMA_CHANNEL = 2;

/** A disk in a drive. */
interface Medium {
  readonly backend: BlockBackend;
  readonly format: FloppyFormat;
  readonly mover: Mover;
}

export class FloppyController {
  private readonly state: FloppyState;
  private readonly host: Host;
  private readonly staging: Staging;
  /** Undefined is no drive, null an empty one. */
  private readonly drives: (Medium | null | undefined)[];
  private readonly movers: readonly Mover[];

  constructor(state: FloppyState, host: Host, drives: readonly (BlockBackend | null | undefined)[]) {
    this.state = state;
    this.host = host;
    this.staging = host.staging(BUFFER_BYTES);
    this.movers = Array.from({ length: DRIVES }, () => new Mover(host.memory, undefined));
    this.drives = this.movers.map((_, i) => this.medium(i, drives[i]));
  }
  private medium(drive: number, backend: BlockBackend | null | undefined): Medium | null | undefined {
    if (backend === undefined || backend === null) return backend;
    const mover = this.movers[drive]!;
    mover.use(backend);
    return { backend, format: formatOf(backend.sectors), mover };
  }

  /** Another disk, or none. A command that works on the old one fails. False when there is no such drive. */
  insert(drive: number, backend: BlockBackend | undefined): boolean {
    if (this.drives[drive] === undefined) return false;
    const works = this.state.phase === 'working' && this.unit === drive;
    if (backend === undefined) this.movers[drive]!.use(undefined);
    this.drives[drive] = this.medium(drive, backend ?? null);
    this.state.drives[drive]!.changed = true;
    if (works) this.finish(fd.ABNORMAL, fd.MISSING_ADDRESS);
    return true;
  }

  /** Disk change line of the selected drive. */
  get diskChanged(): boolean {
    const index = this.state.dor & 3;
    const drive = this.drives[index];
    return drive === undefined || drive === null || this.state.drives[index]!.changed;
  }

  /** Main status register. */
  get mainStatus(): number {
    const { state } = this;
    if ((state.dor & NOT_RESET) === 0) return 0;
    switch (state.phase) {
      case 'command':
        return 0x80 | (state.command.length > 0 ? 0x10 : 0);
      case 'working':
        this.host.signal('io-wait', 0);
        return 0x10;
      case 'in':
        return 0xf0;
      case 'out':
        return 0xb0;
      case 'result':
        return 0xd0;
    }
  }

  updateInterrupt(): void {
    this.host.irq(6, this.state.interrupt && (this.state.dor & DMA_GATE) !== 0);
  }
  private setInterrupt(level: boolean): void {
    this.state.interrupt = level;
    this.updateInterrupt();
  }

  writeOutput(value: number): void {
    const { state } = this;
    const before = state.dor;
    state.dor = value;
    if ((value & NOT_RESET) === 0) this.stop();
    else if ((before & NOT_RESET) === 0) this.restart();
    this.updateInterrupt();
  }
  /** The software reset of the data rate select register, which ends by itself. */
  softwareReset(): void {
    this.stop();
    if ((this.state.dor & NOT_RESET) !== 0) this.restart();
  }
  private stop(): void {
    const { state } = this;
    for (const mover of this.movers) mover.abandon();
    state.phase = 'command';
    state.command = [];
    state.result = [];
    state.seekDone = false;
    state.resetSenses = 0;
    state.perpendicular &= 0x3c;
    if (!state.locked) {
      state.configure = DEFAULT_CONFIGURE;
      state.precompensation = 0;
    }
    this.setInterrupt(false);
  }
  /** The poll of the drives finds each of them changed. */
  private restart(): void {
    this.state.resetSenses = DRIVES;
    this.setInterrupt(true);
  }

  /** After restore: what the I/O side had not completed is asked for again. */
  settle(): void {
    for (const mover of this.movers) mover.abandon();
    this.updateInterrupt();
    if (this.state.phase === 'working') this.again();
  }

  read(): number {
    const { state } = this;
    if (state.phase === 'in') return this.readByte();
    if (state.phase !== 'result') return 0;
    const value = state.result.shift() ?? 0;
    this.setInterrupt(false);
    if (state.result.length === 0) {
      state.phase = 'command';
      state.command = [];
    }
    return value;
  }
  write(value: number): void {
    const { state } = this;
    if ((state.dor & NOT_RESET) === 0) return;
    if (state.phase === 'out') return this.writeByte(value);
    if (state.phase !== 'command') return;
    state.command.push(value);
    if (state.command.length >= fd.lengthOf(state.command[0]!)) this.execute();
  }

  private get code(): number {
    return this.state.command[0]! & fd.CODE;
  }
  private parameter(index: number): number {
    return this.state.command[index] ?? 0;
  }
  /** Drive and head that the second byte names. */
  private get unit(): number {
    return this.parameter(1) & 3;
  }
  private get headSelect(): number {
    return (this.parameter(1) >> 2) & 1;
  }
  private get isReading(): boolean {
    return [fd.READ_DATA, fd.READ_DELETED, fd.READ_TRACK, fd.VERIFY].includes(this.code);
  }

  private execute(): void {
    const { state } = this;
    switch (this.code) {
      case fd.SPECIFY:
        state.specify = [this.parameter(1), this.parameter(2)];
        return this.silent();
      case fd.CONFIGURE:
        state.configure = this.parameter(2) & 0x7f;
        state.precompensation = this.parameter(3);
        return this.silent();
      case fd.PERPENDICULAR:
        // Drive bits change only together with OW.
        state.perpendicular =
          this.parameter(1) & 0x80 ? this.parameter(1) & 0x3f : (state.perpendicular & 0x3c) | (this.parameter(1) & 3);
        return this.silent();
      case fd.SENSE_DRIVE:
        return this.answer([this.driveStatus()]);
      case fd.SENSE_INTERRUPT:
        return this.senseInterrupt();
      case fd.VERSION:
        return this.answer([ENHANCED]);
      case fd.LOCK:
        state.locked = (this.parameter(0) & fd.LOCK_SET) !== 0;
        return this.answer([state.locked ? 0x10 : 0]);
      case fd.DUMP_REGISTERS:
        return this.answer([
          ...state.drives.map((d) => d.track),
          ...state.specify,
          state.lastSector,
          (state.locked ? 0x80 : 0) | (state.perpendicular & 0x3f),
          state.configure,
          state.precompensation,
        ]);
      case fd.RECALIBRATE:
        return this.seek(0, true);
      case fd.SEEK:
        return this.seek(this.seekTarget(), false);
      case fd.READ_ID:
        return this.readId();
      case fd.FORMAT_TRACK:
        return this.format();
      case fd.READ_DATA:
      case fd.READ_DELETED:
      case fd.READ_TRACK:
      case fd.VERIFY:
      case fd.WRITE_DATA:
      case fd.WRITE_DELETED:
        return this.startData();
      default:
        return this.answer([fd.INVALID]);
    }
  }
  private silent(): void {
    this.state.phase = 'command';
    this.state.command = [];
  }
  private answer(bytes: number[]): void {
    this.state.result = bytes;
    this.state.phase = 'result';
  }

  private driveStatus(): number {
    const drive = this.drives[this.unit];
    const protectedOne = drive === null || drive === undefined || drive.backend.readOnly;
    const atStart = drive !== undefined && this.state.drives[this.unit]!.track === 0;
    return (
      fd.ALWAYS_SET | (this.parameter(1) & 7) | (protectedOne ? fd.WRITE_PROTECTED : 0) | (atStart ? fd.TRACK_0 : 0)
    );
  }
  private senseInterrupt(): void {
    const { state } = this;
    this.setInterrupt(false);
    if (state.resetSenses > 0) {
      const drive = DRIVES - state.resetSenses--;
      return this.answer([fd.READY_CHANGED | drive, state.drives[drive]!.track]);
    }
    if (!state.seekDone) return this.answer([fd.INVALID]);
    state.seekDone = false;
    this.answer([state.seekStatus, state.drives[state.seekStatus & 3]!.track]);
  }
  private seekTarget(): number {
    const first = this.parameter(0),
      to = this.parameter(2);
    if ((first & fd.RELATIVE) === 0) return to;
    const { track } = this.state.drives[this.unit]!;
    return Math.max(0, Math.min(0xff, first & fd.INWARD ? track + to : track - to));
  }
  private seek(track: number, recalibrates: boolean): void {
    const { state, unit } = this;
    const missing = this.drives[unit] === undefined;
    // The head bit is 0 after a seek, whatever was asked for.
    state.seekStatus = fd.SEEK_END | unit;
    // No drive says that its heads are over track 0.
    if (missing && recalibrates) state.seekStatus |= fd.ABNORMAL | fd.EQUIPMENT_CHECK;
    this.moveHeads(unit, track);
    state.seekDone = true;
    this.silent();
    this.setInterrupt(true);
  }
  private moveHeads(unit: number, track: number): void {
    const drive = this.state.drives[unit]!;
    const moved = drive.track !== track;
    drive.track = track;
    // A step takes the change line back, where there is a disk.
    if (moved && this.drives[unit] !== null) drive.changed = false;
  }

  /** The disk that the command is for, when the controller can read its marks at this data rate. */
  private get disk(): Medium | undefined {
    const drive = this.drives[this.unit];
    return drive?.format.rates.includes(this.state.rate) === true ? drive : undefined;
  }

  private readId(): void {
    const { state } = this;
    const medium = this.disk;
    const { track } = state.drives[this.unit]!;
    state.cylinder = track;
    state.head = this.headSelect;
    const found = medium !== undefined && track < medium.format.cylinders && state.head < medium.format.heads;
    if (!found) return this.finish(fd.ABNORMAL, fd.MISSING_ADDRESS);
    // The sector that passes by: the next after the last one.
    state.sector = (state.sector % medium.format.sectorsPerTrack) + 1;
    this.finish();
  }

  private startData(): void {
    const { state } = this;
    [state.cylinder, state.head, state.sector] = [this.parameter(2), this.parameter(3), this.parameter(4)];
    if (this.code === fd.READ_TRACK) state.sector = 1;
    state.lastSector = this.parameter(6);
    state.ended = false;
    if ((state.configure & IMPLIED_SEEK) !== 0) this.moveHeads(this.unit, state.cylinder);
    const medium = this.disk;
    const { track } = state.drives[this.unit]!;
    if (medium === undefined) return this.finish(fd.ABNORMAL, fd.MISSING_ADDRESS);
    if (track !== state.cylinder) return this.finish(fd.ABNORMAL, fd.NO_DATA, fd.WRONG_CYLINDER);
    if (!this.isReading && medium.backend.readOnly) return this.finish(fd.ABNORMAL, fd.NOT_WRITABLE);
    this.nextChunk();
  }

  /** First block of the chunk, or undefined where the disk has no such sector. */
  private block({ format }: Medium): number | undefined {
    const { cylinder, head, sector } = this.state;
    const found =
      cylinder < format.cylinders &&
      head < format.heads &&
      head === this.sideOf(head) &&
      sector >= 1 &&
      sector <= format.sectorsPerTrack &&
      this.parameter(5) === SIZE_CODE;
    return found ? (cylinder * format.heads + head) * format.sectorsPerTrack + sector - 1 : undefined;
  }
  /** The side under the heads: what HDS said, or the second one when a multi-track command has gone over to it. */
  private sideOf(head: number): number {
    return (this.parameter(0) & fd.MULTI_TRACK) !== 0 && this.headSelect === 0 ? head : this.headSelect;
  }
  private get isDma(): boolean {
    return (this.state.specify[1]! & NON_DMA) === 0;
  }

  /** As many sectors as the track still has up to EOT; one at a time where the processor moves them. */
  private nextChunk(): void {
    const { state } = this;
    const medium = this.disk;
    if (medium === undefined) return this.finish(fd.ABNORMAL, fd.MISSING_ADDRESS);
    if (this.block(medium) === undefined) return this.finish(fd.ABNORMAL, fd.NO_DATA);
    const last = Math.min(this.parameter(6), medium.format.sectorsPerTrack);
    const left = Math.max(1, last - state.sector + 1);
    const streams = this.isDma || this.code === fd.VERIFY;
    state.chunk = streams ? left : 1;
    state.position = 0;
    if (this.isReading) return this.work();
    if (!this.isDma) {
      state.phase = 'out';
      return this.setInterrupt(true);
    }
    const bytes = state.buffer.subarray(0, state.chunk * SECTOR);
    const { moved, terminalCount } = this.dma(bytes, false);
    if (moved === 0) return this.finish(fd.ABNORMAL, fd.OVERRUN);
    bytes.fill(0, moved);
    state.ended = terminalCount || moved < bytes.length;
    state.chunk = Math.ceil(moved / SECTOR);
    this.work();
  }
  private dma(bytes: Uint8Array, toMemory: boolean): { moved: number; terminalCount: boolean } {
    const gated = (this.state.dor & DMA_GATE) === 0;
    const none = { moved: 0, terminalCount: false };
    return gated ? none : (this.host.dma(DMA_CHANNEL)?.transfer(bytes, toMemory) ?? none);
  }

  /** After restore. */
  private again(): void {
    const medium = this.disk;
    const works = this.isReading || [fd.WRITE_DATA, fd.WRITE_DELETED, fd.FORMAT_TRACK].includes(this.code);
    if (works && medium !== undefined && this.block(medium) !== undefined) this.work();
    else this.finish(fd.ABNORMAL, fd.MISSING_ADDRESS);
  }
  /** Has the I/O side read or write the chunk. What a short image does not have reads as zeros. */
  private work(): void {
    const { state, staging } = this;
    const medium = this.disk!;
    const first = this.block(medium)!;
    const bytes = staging.bytes.subarray(0, state.chunk * SECTOR);
    const there = Math.max(0, Math.min(state.chunk, medium.backend.sectors - first));
    state.phase = 'working';
    if (this.isReading) bytes.fill(0);
    else bytes.set(state.buffer.subarray(0, bytes.length));
    const done = (ok: boolean): void => this.worked(ok, bytes);
    if (there === 0) return done(this.isReading);
    const segments = [{ address: staging.address, length: there * SECTOR }];
    medium.mover.ask(this.isReading ? 'read' : 'write', first, there, segments, done);
  }
  private worked(ok: boolean, bytes: Uint8Array): void {
    const { state } = this;
    if (!ok) return this.finish(fd.ABNORMAL, fd.DATA_ERROR, fd.DATA_ERROR_IN_DATA);
    if (this.code === fd.FORMAT_TRACK) return this.finish();
    if (!this.isReading || this.code === fd.VERIFY) return this.advance(state.chunk);
    if (!this.isDma) {
      state.buffer.set(bytes);
      state.phase = 'in';
      return this.setInterrupt(true);
    }
    const { moved, terminalCount } = this.dma(bytes, true);
    if (moved === 0) return this.finish(fd.ABNORMAL, fd.OVERRUN);
    state.ended = terminalCount || moved < bytes.length;
    this.advance(Math.ceil(moved / SECTOR));
  }

  /** Goes on behind `count` sectors of a track: to the second side, to the result, or further on the track. */
  private advance(count: number): void {
    const { state } = this;
    const isMulti = (this.parameter(0) & fd.MULTI_TRACK) !== 0;
    const end = this.parameter(6);
    const last = state.sector + count - 1;
    state.sector = (last + 1) & 0xff;
    const atEnd = last >= end;
    if (atEnd) {
      state.sector = 1;
      if (isMulti && state.head === 0) state.head = 1;
      else {
        state.cylinder = (state.cylinder + 1) & 0xff;
        if (isMulti) state.head = 0;
      }
    }
    if (state.ended) return this.finish();
    const goesOn = !atEnd || (isMulti && state.head === 1);
    if (goesOn) return this.nextChunk();
    // VERIFY counts by itself; all others wait for the terminal count, which has not come.
    if (this.code === fd.VERIFY) this.finish();
    else this.finish(fd.ABNORMAL, fd.END_OF_CYLINDER);
  }

  private readByte(): number {
    const { state } = this;
    const value = state.buffer[state.position++]!;
    this.setInterrupt(false);
    if (state.position >= SECTOR) this.advance(1);
    return value;
  }
  private writeByte(value: number): void {
    const { state } = this;
    state.buffer[state.position++] = value;
    this.setInterrupt(false);
    if (this.code === fd.FORMAT_TRACK) {
      if (state.position >= 4 * this.parameter(3)) this.writeFormat();
    } else if (state.position >= SECTOR) this.work();
  }

  /** FORMAT TRACK: four bytes of each sector's address come first. The layout of an image cannot change: the sectors it has are filled. */
  private format(): void {
    const { state } = this;
    const medium = this.disk;
    const count = 4 * this.parameter(3);
    [state.cylinder, state.head, state.sector] = [state.drives[this.unit]!.track, this.headSelect, 1];
    state.ended = false;
    state.position = 0;
    if (medium === undefined) return this.finish(fd.ABNORMAL, fd.MISSING_ADDRESS);
    if (medium.backend.readOnly) return this.finish(fd.ABNORMAL, fd.NOT_WRITABLE);
    if (count === 0) return this.finish();
    if (!this.isDma) {
      state.phase = 'out';
      return this.setInterrupt(true);
    }
    const { moved } = this.dma(new Uint8Array(count), false);
    if (moved < count) return this.finish(fd.ABNORMAL, fd.OVERRUN);
    this.writeFormat();
  }
  private writeFormat(): void {
    const { state } = this;
    const { format } = this.disk ?? {};
    const found = format !== undefined && state.cylinder < format.cylinders && state.head < format.heads;
    if (!found || this.parameter(2) !== SIZE_CODE) return this.finish(fd.ABNORMAL, fd.NO_DATA);
    state.chunk = Math.min(this.parameter(3), format.sectorsPerTrack);
    state.buffer.fill(this.parameter(5), 0, state.chunk * SECTOR);
    // The address of sector 1, where `block` looks for it; N was checked, and lies elsewhere in other commands.
    state.command = [
      fd.FORMAT_TRACK,
      this.parameter(1),
      this.parameter(2),
      this.parameter(3),
      this.parameter(4),
      SIZE_CODE,
    ];
    this.work();
  }

  /** Result phase of a data command. */
  private finish(st0 = 0, st1 = 0, st2 = 0): void {
    const { state } = this;
    const place = [state.cylinder, state.head, state.sector, SIZE_CODE];
    // A head that the guest made up has one bit in ST0.
    this.answer([st0 | ((state.head & 1) << 2) | this.unit, st1, st2, ...place]);
    this.setInterrupt(true);
  }
}
