/**
 * A CD-ROM drive: the PACKET protocol with PIO and DMA (ATA/ATAPI-6, 9.8 and 9.9), and the ATA commands beside it. The disc can be
 * changed while the machine runs.
 */
import type { BlockBackend } from '../virtio/block-backend.ts';
import { BLOCK_BYTES, type Medium } from './cd-answers.ts';
import { isQuiet, runPacket } from './cd-commands.ts';
import { Drive, type DriveParts } from './drive.ts';
import { FIRMWARE_REVISION, IdentifyWords } from './identify.ts';
import { ABRT, DRDY, DRQ, DSC, ERR, REASON_COMMAND, REASON_IN } from './registers.ts';
import { MEDIUM_CHANGED, NO_SENSE, UNRECOVERED_READ_ERROR, type Sense } from './sense.ts';
import { SECTOR } from './state.ts';

const READY = DRDY | DSC;
const PACKET_BYTES = 12;
/** Feature register of PACKET. */
const PACKET_DMA = 0x01,
  PACKET_OVERLAP = 0x02;
/** Byte count limits are even; 0 and 65,535 mean the largest. */
const LARGEST_BLOCK = 0xfffe;
const SECTORS_PER_BLOCK = BLOCK_BYTES / SECTOR;
/** Signature, 9.12. */
const SIGNATURE_MIDDLE = 0x14,
  SIGNATURE_HIGH = 0xeb;
/** Event codes of the media class. */
const EVENT_NEW_MEDIUM = 2,
  EVENT_REMOVED = 3;
const FEATURE_TRANSFER_MODE = 0x03;
const POWER_ACTIVE = 0xff;
/** General configuration: CD-ROM, removable, DRQ within 50 us, packets of twelve bytes. */
const GENERAL = 0x85c0;

export class PacketDrive extends Drive {
  readonly takesDeviceReset = true;
  private disc: BlockBackend | undefined;

  constructor(parts: DriveParts) {
    super(parts);
    this.disc = parts.backend;
  }

  /** Blocks of the disc that the laser sees. */
  private get blocks(): number | undefined {
    if (this.disc === undefined || this.s.ejected) return undefined;
    const blocks = Math.floor(this.disc.sectors / SECTORS_PER_BLOCK);
    return blocks === 0 ? undefined : blocks;
  }
  protected get sectors(): number {
    return (this.blocks ?? 0) * SECTORS_PER_BLOCK;
  }
  private get medium(): Medium {
    if (this.s.ejected) return 'open';
    return this.blocks === undefined ? 'none' : 'disc';
  }

  /** The host lays another disc in, or takes it out; the tray is closed then. A read that is under way fails. */
  insert(disc: BlockBackend | undefined): void {
    const { s } = this;
    const reading = s.transfer.kind === 'read' && s.transfer.phase !== 'idle';
    this.mover.use(disc);
    this.disc = disc;
    s.ejected = false;
    this.mediumChanged();
    if (!reading) return;
    this.transfer.abort();
    this.end(MEDIUM_CHANGED);
  }
  private mediumChanged(): void {
    const isThere = this.blocks !== undefined;
    this.s.attention = isThere ? 1 : 0;
    this.s.mediaEvent = isThere ? EVENT_NEW_MEDIUM : EVENT_REMOVED;
  }

  protected sign(): void {
    const { s } = this;
    s.count = s.low = 1;
    s.middle = SIGNATURE_MIDDLE;
    s.high = SIGNATURE_HIGH;
    s.status = 0;
  }
  /** A reset lets go of the tray. */
  override reset(): void {
    this.s.locked = false;
    super.reset();
  }

  execute(command: number): void {
    switch (command) {
      case 0x08:
        return this.deviceReset();
      case 0xa0:
        return this.takePacket();
      case 0xa1:
        return this.identify();
      case 0xe5:
        this.s.count = POWER_ACTIVE;
        return this.succeed();
      case 0xe0:
      case 0xe1:
      case 0xe2:
      case 0xe3:
      case 0xe6:
      case 0xe7:
        return this.succeed();
      case 0xef:
        return this.setFeatures();
      // IDENTIFY DEVICE and READ SECTORS tell who is asked.
      case 0x20:
      case 0xec:
        this.sign();
        return this.refuse();
      default:
        this.refuse();
    }
  }

  /** No interrupt follows (9.11). */
  private deviceReset(): void {
    const { device } = this.s;
    this.reset();
    this.s.device = device;
  }
  private identify(): void {
    const w = new IdentifyWords();
    w.word(0, GENERAL);
    w.text(10, 10, 'TOMEI-CD');
    w.text(23, 4, FIRMWARE_REVISION);
    w.text(27, 20, 'TOMEI DVD-ROM');
    w.word(48, 1);
    w.word(49, 0x0b00);
    w.word(51, 0x0200);
    w.word(52, 0x0200);
    w.word(53, 7);
    w.modes(this.s.dmaMode);
    w.word(64, 3);
    for (let i = 65; i <= 68; i++) w.word(i, 120);
    w.word(71, 30);
    w.word(72, 30);
    w.word(80, 0x70);
    // NOP, DEVICE RESET, packets, power management.
    w.word(82, 0x4218);
    w.word(83, 0x4000);
    w.word(84, 0x4000);
    w.word(85, 0x4218);
    w.word(87, 0x4000);
    w.word(93, 0x6001);
    this.transfer.reply(w.seal(), false, SECTOR);
  }
  private setFeatures(): void {
    const { feature, count } = this.s;
    const kind = count >> 3,
      number = count & 7;
    const known = kind <= 1 || (kind === 4 && number <= 2) || (kind === 8 && number <= 5);
    if (feature !== FEATURE_TRANSFER_MODE || !known) return this.refuse();
    if (kind > 1) this.s.dmaMode = count;
    this.succeed();
  }
  private takePacket(): void {
    if ((this.s.feature & PACKET_OVERLAP) !== 0) return this.refuse();
    this.transfer.take(PACKET_BYTES);
  }

  /** A packet is there. */
  packet(): void {
    const { s } = this;
    const packet = s.transfer.buffer.slice(0, PACKET_BYTES);
    if (s.attention !== 0 && this.blocks !== undefined && !isQuiet(packet[0]!)) {
      s.attention = 0;
      return this.end(MEDIUM_CHANGED);
    }
    const action = runPacket(packet, {
      blocks: this.blocks,
      medium: this.medium,
      locked: s.locked,
      sense: s.sense,
      event: s.mediaEvent,
    });
    switch (action.do) {
      case 'fail':
        return this.end(action.sense);
      case 'reply':
        s.sense = { ...NO_SENSE };
        if (action.heard === 'event') s.mediaEvent = 0;
        return this.send(action.bytes);
      case 'read':
        s.sense = { ...NO_SENSE };
        return this.transfer.read(
          action.block * SECTORS_PER_BLOCK,
          action.count * SECTORS_PER_BLOCK,
          this.isDma,
          this.blockLimit,
        );
      case 'lock':
        s.locked = action.locked;
        break;
      case 'tray':
        if (s.ejected !== action.open) {
          s.ejected = action.open;
          this.mediumChanged();
        }
    }
    this.end();
  }
  private send(bytes: Uint8Array): void {
    if (bytes.length === 0) this.end();
    else this.transfer.reply(bytes, this.isDma, this.blockLimit);
  }
  private get isDma(): boolean {
    return (this.s.feature & PACKET_DMA) !== 0;
  }
  /** Most bytes of a DRQ block, from the registers that say afterwards how many there are. */
  private get blockLimit(): number {
    const limit = (this.s.middle | (this.s.high << 8)) & LARGEST_BLOCK;
    return limit === 0 ? LARGEST_BLOCK : limit;
  }

  /** The status phase of a packet command. */
  private end(sense: Sense = NO_SENSE): void {
    const { s } = this;
    s.sense = { key: sense.key, code: sense.code, qualifier: sense.qualifier };
    s.count = REASON_IN | REASON_COMMAND;
    if (sense.key === 0) this.setStatus(READY);
    else this.setStatus(READY | ERR, (sense.key << 4) | ABRT);
    this.setInterrupt(true);
  }

  block(bytes: number, quiet: boolean): void {
    const { s } = this;
    this.setStatus(READY | DRQ);
    // IDENTIFY PACKET DEVICE moves its data as a disk does.
    if (s.command !== 0xa0) return this.setInterrupt(true);
    const isPacket = s.transfer.kind === 'packet';
    s.count = isPacket ? REASON_COMMAND : REASON_IN;
    if (!isPacket) {
      s.middle = bytes & 0xff;
      s.high = bytes >> 8;
    }
    if (!quiet) this.setInterrupt(true);
  }
  dmaRequest(): void {
    this.s.count = REASON_IN;
    this.setStatus(READY | DRQ);
  }
  done(read: boolean): void {
    if (this.s.transfer.dma) this.busMaster.finished();
    if (this.s.command === 0xa0) return this.end();
    this.setStatus(READY);
    if (!read) this.setInterrupt(true);
  }
  failed(): void {
    this.end(UNRECOVERED_READ_ERROR);
  }
}
