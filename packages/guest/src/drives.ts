/** The drives of a guest: which files of a `.vmx` become disks, discs and floppies in which place, opened and checked. */
import { TomeiError } from '@tomei/kit';
import type { DiskConfig, GuestConfig } from '@tomei/vmx';
import type { DrivePlace } from './protocol.ts';
import type { GuestDisk, GuestSource } from './source/guest-source.ts';
import { nonpersistent } from './source/nonpersistent.ts';

export interface GuestDrives {
  /** What is in a drive, in the order by which requests name it. */
  readonly disks: readonly GuestDisk[];
  /** Of the disks, as the `.vmx` names them, and where they are. */
  readonly names: readonly string[];
  readonly places: readonly DrivePlace[];
  /** Drives with nothing in them. */
  readonly empty: readonly DrivePlace[];
  /** CD-ROM drives, with or without a disc: their places on the IDE cables by the names of the `.vmx`. */
  readonly cdDrives: ReadonlyMap<string, number>;
}
type Warn = (text: string) => void;

/** IDE's places for CD-ROM drives of other buses: secondary master first, where they usually are. */
const CD_PLACES = [2, 3, 1, 0];
/** And for disks. */
const DISK_PLACES = [0, 1, 2, 3];

/** Opens everything, or nothing. Whoever gets the drives closes the disks. */
export async function openDrives(source: GuestSource, config: GuestConfig, warn: Warn): Promise<GuestDrives> {
  const disks: GuestDisk[] = [],
    names: string[] = [],
    places: DrivePlace[] = [],
    empty: DrivePlace[] = [],
    cdDrives = new Map<string, number>();
  const put = (disk: GuestDisk, name: string, place: DrivePlace): void => {
    for (const text of disk.warnings) warn(text);
    disks.push(disk);
    names.push(name);
    places.push(place);
  };
  try {
    for (const { disk, place } of placesOf(config, warn)) {
      const { file } = disk;
      if (disk.kind === 'cdrom' && place.bus === 'ide') cdDrives.set(disk.slot, place.drive);
      if (file === undefined) empty.push(place);
      else if (disk.kind === 'cdrom') put(await source.openCd(file), disk.slot, place);
      else put(await openDisk(source, disk), disk.slot, place);
    }
    for (const { slot, drive, file } of config.floppies ?? []) {
      const place: DrivePlace = { bus: 'floppy', drive };
      if (file === undefined) empty.push(place);
      else put(await source.openFloppy(file), slot, place);
    }
    return { disks, names, places, empty, cdDrives };
  } catch (error) {
    await Promise.allSettled(disks.map((disk) => disk.close()));
    throw error;
  }
}

async function openDisk(source: GuestSource, disk: DiskConfig): Promise<GuestDisk> {
  const { file, slot, persistent } = disk;
  if (file === undefined) throw new TomeiError('disk.missing', `${slot} has no file`);
  const base = await source.openDisk(disk, file);
  if (persistent) return base;
  try {
    return await nonpersistent(base, slot);
  } catch (error) {
    await base.close();
    throw error;
  }
}

/**
 * IDE disks are IDE drives where firmware boots them; a kernel that is loaded directly finds all disks as virtio ones. CD-ROM drives
 * are IDE drives always, and all disks are where the guest is to find nothing paravirtual.
 */
function placesOf(config: GuestConfig, warn: Warn): { disk: DiskConfig; place: DrivePlace }[] {
  const placed: { disk: DiskConfig; place: DrivePlace }[] = [];
  const taken = new Set<number>();
  const isPlain = config.paravirt === 'off';
  const onIde = (disk: DiskConfig): boolean =>
    disk.bus === 'ide' && (disk.kind === 'cdrom' || config.boot === undefined || isPlain);
  for (const disk of config.disks.filter(onIde)) {
    const drive = disk.controller * 2 + disk.unit;
    taken.add(drive);
    placed.push({ disk, place: { bus: 'ide', drive, kind: disk.kind } });
  }
  for (const disk of config.disks.filter((d) => !onIde(d))) {
    const { kind, slot } = disk;
    if (kind === 'disk' && !isPlain) placed.push({ disk, place: { bus: 'virtio' } });
    else {
      const drive = (kind === 'disk' ? DISK_PLACES : CD_PLACES).find((p) => !taken.has(p));
      if (drive === undefined) {
        const what = kind === 'disk' ? 'disk' : 'CD-ROM drive';
        warn(`${slot}: all four places of IDE are taken; the guest runs without this ${what}`);
        continue;
      }
      taken.add(drive);
      placed.push({ disk, place: { bus: 'ide', drive, kind } });
    }
  }
  return placed;
}
