/** A hard disk: the commands of the general feature set, with 28- and 48-bit and with cylinder, head and sector addresses (ATA/ATAPI-6, 8). */
import { ABRT, DEVICE_LBA, DF, DRDY, DRQ, DSC, ERR, IDNF, UNC } from './registers.ts';
import { Drive, type DriveParts } from './drive.ts';
import { blockOf, defaultGeometry, translated, type Geometry } from './geometry.ts';
import { MOST_MULTIPLE, identifyDisk } from './identify.ts';
import { SECTOR } from './state.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';

const READY = DRDY | DSC;
/** Sub-commands of SET FEATURES that change nothing here: overlap and media status are what a disk does not have. */
const FEATURE_TRANSFER_MODE = 0x03,
  FEATURE_WRITE_CACHE = 0x02,
  FEATURE_NO_WRITE_CACHE = 0x82,
  FEATURE_READ_AHEAD = 0xaa,
  FEATURE_NO_READ_AHEAD = 0x55,
  FEATURE_KEEP_AT_RESET = 0x66,
  FEATURE_DEFAULTS_AT_RESET = 0xcc;
/** CHECK POWER MODE: active or idle. */
const POWER_ACTIVE = 0xff;

interface Access {
  readonly how: 'read' | 'write' | 'verify';
  readonly dma?: boolean;
  readonly extended?: boolean;
  readonly multiple?: boolean;
}
const ACCESSES: Readonly<Record<number, Access>> = {
  0x20: { how: 'read' },
  0x21: { how: 'read' },
  0x24: { how: 'read', extended: true },
  0x25: { how: 'read', dma: true, extended: true },
  0x29: { how: 'read', multiple: true, extended: true },
  0x30: { how: 'write' },
  0x31: { how: 'write' },
  0x34: { how: 'write', extended: true },
  0x35: { how: 'write', dma: true, extended: true },
  0x39: { how: 'write', multiple: true, extended: true },
  0x3c: { how: 'write' },
  0x40: { how: 'verify' },
  0x41: { how: 'verify' },
  0x42: { how: 'verify', extended: true },
  0xc4: { how: 'read', multiple: true },
  0xc5: { how: 'write', multiple: true },
  0xc8: { how: 'read', dma: true },
  0xc9: { how: 'read', dma: true },
  0xca: { how: 'write', dma: true },
  0xcb: { how: 'write', dma: true },
  // WRITE DMA FUA EXT and WRITE MULTIPLE FUA EXT are not offered (word 84).
};

export class Disk extends Drive {
  readonly takesDeviceReset = false;
  private readonly disk: BlockBackend;
  private readonly geometry: Geometry;

  constructor(parts: DriveParts & { readonly backend: BlockBackend }) {
    super(parts);
    this.disk = parts.backend;
    this.geometry = defaultGeometry(this.disk.sectors);
  }

  protected get sectors(): number {
    return this.disk.sectors;
  }

  protected sign(): void {
    const { s } = this;
    s.count = s.low = 1;
    s.middle = s.high = 0;
    s.status = READY;
  }
  override reset(): void {
    super.reset();
    this.s.multiple = 0;
  }

  execute(command: number): void {
    const access = ACCESSES[command];
    if (access !== undefined) return this.access(access);
    const run = this.commands[command];
    if (run === undefined) this.refuse();
    else run();
  }

  private readonly commands: Readonly<Record<number, () => void>> = {
    ...Object.fromEntries(
      Array.from({ length: 16 }, (_, i): [number, () => void][] => [
        [0x10 + i, () => this.recalibrate()],
        [0x70 + i, () => this.seek()],
      ]).flat(),
    ),
    0x27: () => this.readNativeMax(true),
    0x91: () => this.setTranslation(),
    // Standby, idle, sleep: the disk never rests. The second number is the old one.
    ...Object.fromEntries(
      [0xe0, 0xe1, 0xe2, 0xe3, 0xe6, 0x94, 0x95, 0x96, 0x97, 0x99].map((c) => [c, () => this.succeed()]),
    ),
    0xe5: () => this.checkPower(),
    0x98: () => this.checkPower(),
    0xc6: () => this.setMultiple(),
    0xe7: () => this.transfer.flush(),
    0xea: () => this.transfer.flush(),
    0xec: () => this.identify(),
    0xef: () => this.setFeatures(),
    0xf8: () => this.readNativeMax(false),
  };

  private access({ how, dma = false, extended = false, multiple = false }: Access): void {
    const { s } = this;
    if (multiple && s.multiple === 0) return this.refuse();
    const start = this.address(extended);
    const count = this.count(extended);
    if (start === undefined || start + count > this.sectors) return this.refuse(IDNF);
    if (how === 'verify') {
      this.s.count = 0;
      return this.succeed();
    }
    const block = SECTOR * (multiple ? s.multiple : 1);
    if (how === 'read') this.transfer.read(start, count, dma, block);
    else if (this.disk.readOnly) this.refuse();
    else this.transfer.write(start, count, dma, block);
  }

  private count(extended: boolean): number {
    const { s } = this;
    return extended ? (s.previousCount << 8) | s.count || 0x1_0000 : s.count || 0x100;
  }
  private address(extended: boolean): number | undefined {
    const { s } = this;
    const low24 = s.low | (s.middle << 8) | (s.high << 16);
    if (extended) {
      return low24 + s.previousLow * 2 ** 24 + (s.previousMiddle | (s.previousHigh << 8)) * 2 ** 32;
    }
    if ((s.device & DEVICE_LBA) !== 0) return low24 + (s.device & 0x0f) * 2 ** 24;
    return blockOf(this.translation, s.middle | (s.high << 8), s.device & 0x0f, s.low);
  }
  /** Puts a block into the address registers, in the form that the command used. */
  private showAddress(block: number, extended: boolean): void {
    const { s } = this;
    const byte = (n: number): number => Math.floor(block / 2 ** (8 * n)) & 0xff;
    if (!extended && (s.device & DEVICE_LBA) === 0) {
      const { heads, sectorsPerTrack } = this.translation;
      const track = Math.floor(block / sectorsPerTrack);
      const cylinder = Math.floor(track / heads);
      s.low = (block % sectorsPerTrack) + 1;
      s.middle = cylinder & 0xff;
      s.high = (cylinder >> 8) & 0xff;
      s.device = (s.device & 0xf0) | ((track % heads) & 0x0f);
      return;
    }
    [s.low, s.middle, s.high] = [byte(0), byte(1), byte(2)];
    if (extended) [s.previousLow, s.previousMiddle, s.previousHigh] = [byte(3), byte(4), byte(5)];
    else s.device = (s.device & 0xf0) | (byte(3) & 0x0f);
  }
  private get translation(): Geometry {
    const { heads, sectorsPerTrack } = this.s;
    return heads === 0 || sectorsPerTrack === 0 ? this.geometry : translated(this.sectors, heads, sectorsPerTrack);
  }

  private recalibrate(): void {
    this.s.middle = this.s.high = 0;
    this.succeed();
  }
  private seek(): void {
    const at = this.address(false);
    if (at === undefined || at >= this.sectors) this.refuse(IDNF);
    else this.succeed();
  }
  private readNativeMax(extended: boolean): void {
    if (!extended && (this.s.device & DEVICE_LBA) === 0) return this.refuse();
    this.showAddress(extended ? this.sectors - 1 : Math.min(this.sectors, 0x1000_0000) - 1, extended);
    this.succeed();
  }
  private setTranslation(): void {
    const { s } = this;
    if (s.count === 0) return this.refuse();
    s.heads = (s.device & 0x0f) + 1;
    s.sectorsPerTrack = s.count;
    this.succeed();
  }
  private checkPower(): void {
    this.s.count = POWER_ACTIVE;
    this.succeed();
  }
  private setMultiple(): void {
    const { count } = this.s;
    if (count > MOST_MULTIPLE || (count & (count - 1)) !== 0) {
      this.s.multiple = 0;
      return this.refuse();
    }
    this.s.multiple = count;
    this.succeed();
  }
  private identify(): void {
    const { s, disk, geometry } = this;
    const { multiple, dmaMode, writeCache, readAhead } = s;
    const shown = { serial: disk.id, sectors: disk.sectors, geometry, current: this.translation };
    this.transfer.reply(identifyDisk({ ...shown, multiple, dmaMode, writeCache, readAhead }), false, SECTOR);
  }
  private setFeatures(): void {
    const { s } = this;
    switch (s.feature) {
      case FEATURE_TRANSFER_MODE:
        return this.setTransferMode(s.count);
      case FEATURE_WRITE_CACHE:
        s.writeCache = true;
        break;
      case FEATURE_NO_WRITE_CACHE:
        s.writeCache = false;
        return this.transfer.flush();
      case FEATURE_READ_AHEAD:
      case FEATURE_NO_READ_AHEAD:
        s.readAhead = s.feature === FEATURE_READ_AHEAD;
        break;
      case FEATURE_KEEP_AT_RESET:
      case FEATURE_DEFAULTS_AT_RESET:
        break;
      default:
        return this.refuse();
    }
    this.succeed();
  }
  /** Default and flow-control PIO modes change nothing; of the DMA modes one is on. */
  private setTransferMode(mode: number): void {
    const kind = mode >> 3,
      number = mode & 7;
    const known = kind <= 1 || (kind === 4 && number <= 2) || (kind === 8 && number <= 5);
    if (!known) return this.refuse();
    if (kind > 1) this.s.dmaMode = mode;
    this.succeed();
  }

  block(_bytes: number, quiet: boolean): void {
    this.setStatus(READY | DRQ);
    if (!quiet) this.setInterrupt(true);
  }
  dmaRequest(): void {
    this.setStatus(READY | DRQ);
  }
  packet(): void {
    this.refuse();
  }
  done(read: boolean): void {
    if (this.s.transfer.kind === 'read' || this.s.transfer.kind === 'write') this.s.count = 0;
    // Without the write cache, a write has ended when its data are stable.
    if (this.s.transfer.kind === 'write' && !this.s.writeCache) return this.transfer.flush();
    this.setStatus(READY);
    if (this.s.transfer.dma) this.busMaster.finished();
    if (!read) this.setInterrupt(true);
  }
  failed(sector: number): void {
    const { kind } = this.s.transfer;
    if (kind === 'read' || kind === 'write') this.showAddress(sector, ACCESSES[this.s.command]?.extended ?? false);
    this.setStatus(READY | ERR | (kind === 'read' ? 0 : DF), kind === 'read' ? UNC : ABRT);
    this.setInterrupt(true);
  }
}
