/** The disks of a guest, and the discs in its CD-ROM drives, which change while it runs. */
import { TomeiError, messageOf } from '@tomei/kit';
import { SECTOR_BYTES } from '@tomei/paravirt-core';
import type { DiskServer } from './disk-server.ts';
import type { GuestDrives } from './drives.ts';
import type { Disc } from './protocol.ts';
import type { GuestDisk } from './source/guest-source.ts';

export interface DiscParts {
  readonly drives: GuestDrives;
  readonly server: DiskServer;
  /** Opens an image for a drive. */
  readonly open: (slot: string, file: string) => Promise<GuestDisk>;
  /** Has the machine take it, or what is there taken out. False: it has no such drive. */
  readonly insert: (drive: number, disc: Disc | undefined) => Promise<boolean>;
  readonly warn: (text: string) => void;
}
/** What is in a place, and by which number requests name it. */
interface Occupied {
  readonly drive: number | undefined;
  number: number;
  disk: GuestDisk;
}

export class Discs {
  private readonly parts: DiscParts;
  private occupied: Occupied[];
  /** One change after the other. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(parts: DiscParts) {
    this.parts = parts;
    const { disks, places } = parts.drives;
    this.occupied = disks.map((disk, number) => {
      const place = places[number];
      return { disk, number, drive: place?.bus === 'ide' ? place.drive : undefined };
    });
  }
  /** What is in the guest now, in the order of its places. */
  get disks(): readonly GuestDisk[] {
    return this.occupied.map(({ disk }) => disk);
  }
  /** Lays an image into a drive, or empties it. Throws `drive.missing`, `disk.*`; then what was there stays. */
  change(slot: string, file: string | undefined): Promise<void> {
    const changed = this.last.then(() => this.carryOut(slot, file));
    this.last = changed.catch(() => undefined);
    return changed;
  }

  private async carryOut(slot: string, file: string | undefined): Promise<void> {
    const { drives, open, warn } = this.parts;
    const drive = drives.cdDrives.get(slot);
    if (drive === undefined) {
      const there = [...drives.cdDrives.keys()].join(', ') || 'none';
      throw new TomeiError('drive.missing', `the guest has no CD-ROM drive ${slot}; it has ${there}`);
    }
    const disk = file === undefined ? undefined : await open(slot, file);
    try {
      for (const text of disk?.warnings ?? []) warn(text);
      await this.swap(slot, drive, disk);
    } catch (error) {
      await disk?.close();
      throw error;
    }
  }
  private async letGo(number: number, disk: GuestDisk): Promise<void> {
    const { server, warn } = this.parts;
    try {
      await server.remove(number);
      await disk.close();
    } catch (error) {
      warn(`a disc that was taken out: ${messageOf(error)}`);
    }
  }
  private async swap(slot: string, drive: number, disk: GuestDisk | undefined): Promise<void> {
    const { server, insert } = this.parts;
    const refuse = (what: string): TomeiError => new TomeiError('drive.refused', `${slot}: ${what}`);
    const number = disk === undefined ? undefined : server.add(disk);
    if (disk !== undefined && number === undefined) throw refuse('too many discs are being changed');
    const disc = disk === undefined ? undefined : { disk: number!, sectors: disk.sizeBytes / SECTOR_BYTES };
    if (!(await insert(drive, disc))) {
      if (number !== undefined) await server.remove(number);
      throw refuse('the machine takes no disc there now');
    }
    const before = this.occupied.find((one) => one.drive === drive);
    const old = before === undefined ? undefined : { number: before.number, disk: before.disk };
    if (disk === undefined) this.occupied = this.occupied.filter((one) => one !== before);
    else if (before !== undefined) Object.assign(before, { disk, number });
    else this.occupied.push({ disk, number: number!, drive });
    // Reads of the old disc may be under way still.
    if (old !== undefined) void this.letGo(old.number, old.disk);
  }
}
