/** Where new grains go: places that failed writes and discards left, else the end of the file. */
import { TomeiError } from '@tomei/kit';
import { SECTOR_BYTES } from './block-device.ts';
import type { HostFile } from './host-file.ts';

/** Pointers are 32 bits of sectors. */
const EXTENT_MAX_SECTORS = 2 ** 32;

export class GrainSpace {
  private readonly file: HostFile;
  private readonly grainSize: number;
  private next: number;
  private readonly free: number[] = [];

  constructor(file: HostFile, grainSize: number) {
    this.file = file;
    this.grainSize = grainSize;
    this.next = Math.ceil(file.sizeBytes / SECTOR_BYTES / grainSize) * grainSize;
  }

  /** The first sector of `grains` grains in a row. Throws `vmdk.extent-full` at 2 TiB. */
  take(grains: number): number {
    const reused = grains === 1 ? this.free.pop() : undefined;
    return reused ?? this.extend(grains * this.grainSize);
  }

  /** Sectors for a table, at the end of the file; what follows stays on a grain's boundary. */
  takeTable(sectors: number): number {
    return this.extend(Math.ceil(sectors / this.grainSize) * this.grainSize);
  }

  /** Grains that nothing points to any more. */
  giveBack(sector: number, grains: number): void {
    if (sector + grains * this.grainSize === this.next) {
      this.next = sector;
      return;
    }
    for (let i = 0; i < grains; i++) this.free.push(sector + i * this.grainSize);
  }

  private extend(sectors: number): number {
    const sector = this.next;
    if (sector + sectors > EXTENT_MAX_SECTORS) {
      const what = `${this.file.path} has reached 2 TiB, the most that a sparse extent can address`;
      throw new TomeiError('vmdk.extent-full', what, { data: { file: this.file.path } });
    }
    this.next += sectors;
    return sector;
  }
}
