/** Saving grain tables: data first, then the tables, then the directory, with a sync between, in both copies. */
import { SECTOR_BYTES } from './block-device.ts';
import type { GrainSpace } from './grain-space.ts';
import { littleEndian, type GrainTable, type GrainTables } from './grain-tables.ts';
import { tableSectors } from './sparse-header.ts';

/** What one table wants saved, taken before the sync that puts its data on stable storage. */
interface Snapshot {
  readonly table: GrainTable;
  readonly from: number;
  readonly to: number;
  readonly entries: Uint32Array;
  readonly leaving: number;
}

/**
 * Syncs the file, then saves the pointers that were unsaved when it was called, and syncs again. When it throws, the tables
 * are marked unsaved as before and may be saved again.
 */
export async function saveTables(
  tables: GrainTables,
  space: GrainSpace,
  unsaved: readonly GrainTable[],
): Promise<void> {
  const snapshots = unsaved.map((table): Snapshot => {
    const { from, to } = table.unsaved ?? { from: 0, to: 0 };
    table.unsaved = null;
    table.users++;
    return { table, from, to, entries: table.entries.slice(), leaving: table.leaving.length };
  });
  try {
    await tables.file.sync();
    if (snapshots.length > 0) await saveSnapshots(tables, space, snapshots);
  } catch (error) {
    for (const { table, from, to } of snapshots) {
      const later = table.unsaved ?? { from, to };
      table.unsaved = { from: Math.min(from, later.from), to: Math.max(to, later.to) };
    }
    throw error;
  } finally {
    for (const { table } of snapshots) tables.release(table);
  }
  for (const { table, leaving } of snapshots) {
    // A reader that found the old pointer may still be at it; its grain then waits for the next time.
    if (table.users > 0) continue;
    for (const sector of table.leaving.splice(0, leaving)) space.giveBack(sector, 1);
  }
}

async function saveSnapshots(tables: GrainTables, space: GrainSpace, snapshots: readonly Snapshot[]): Promise<void> {
  const { file, header } = tables;
  const directories = [
    { words: tables.directory, offset: header.gdOffset },
    ...(tables.redundant === undefined ? [] : [{ words: tables.redundant, offset: header.rgdOffset }]),
  ];
  const created: { words: Uint32Array; offset: number; index: number; sector: number }[] = [];
  for (const { table, from, to, entries } of snapshots) {
    for (const { words, offset } of directories) {
      const sector = words[table.index]!;
      if (!tables.isHole(sector)) {
        await file.write(sector * SECTOR_BYTES + 4 * from, littleEndian(entries.subarray(from, to)));
        continue;
      }
      const place = space.takeTable(tableSectors(header));
      const whole = new Uint8Array(tableSectors(header) * SECTOR_BYTES);
      whole.set(littleEndian(entries));
      await file.write(place * SECTOR_BYTES, whole);
      created.push({ words, offset, index: table.index, sector: place });
    }
  }
  if (created.length > 0) {
    await file.sync();
    for (const { words, offset, index, sector } of created) {
      await file.write(offset * SECTOR_BYTES + 4 * index, littleEndian(Uint32Array.of(sector)));
      words[index] = sector;
    }
  }
  await file.sync();
}
