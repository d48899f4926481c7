/** After an unclean shutdown the two copies of the grain tables may differ in pointers that nobody flushed: the primary counts. */
import { SECTOR_BYTES } from './block-device.ts';
import { GrainSpace } from './grain-space.ts';
import { littleEndian, type GrainTables } from './grain-tables.ts';
import { tableSectors } from './sparse-header.ts';

/** Makes every redundant table equal to its primary, and there when that is there. Returns how many were changed. */
export async function repairRedundant(tables: GrainTables): Promise<number> {
  const { file, header, directory, redundant } = tables;
  if (redundant === undefined) return 0;
  const space = new GrainSpace(file, header.grainSize);
  const moved: number[] = [];
  let repaired = 0;
  for (const [index, sector] of directory.entries()) {
    const copy = redundant[index]!;
    const missing = tables.isHole(copy);
    if (tables.isHole(sector)) {
      if (missing) continue;
      redundant[index] = 0;
      moved.push(index);
      continue;
    }
    const primary = littleEndian(await tables.readTable(sector));
    if (!missing && Buffer.compare(primary, littleEndian(await tables.readTable(copy))) === 0) continue;
    const whole = new Uint8Array(tableSectors(header) * SECTOR_BYTES);
    whole.set(primary);
    if (missing) {
      redundant[index] = space.takeTable(tableSectors(header));
      moved.push(index);
    }
    await file.write(redundant[index]! * SECTOR_BYTES, whole);
    repaired++;
  }
  if (repaired + moved.length > 0) await file.sync();
  for (const index of moved) {
    const pointer = littleEndian(Uint32Array.of(redundant[index]!));
    await file.write(header.rgdOffset * SECTOR_BYTES + 4 * index, pointer);
  }
  if (moved.length > 0) await file.sync();
  return repaired;
}
