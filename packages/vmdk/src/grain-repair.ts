/** After an unclean shutdown the two copies of the grain tables may differ in pointers that nobody flushed: the primary counts. */
import { SECTOR_BYTES } from './block-device.ts';
import { littleEndian, type GrainTables } from './grain-tables.ts';

/** Makes every redundant table that exists equal to its primary. Returns how many differed. */
export async function repairRedundant(tables: GrainTables): Promise<number> {
  const { file, directory, redundant } = tables;
  if (redundant === undefined) return 0;
  let repaired = 0;
  for (const [index, sector] of directory.entries()) {
    const copy = redundant[index]!;
    if (tables.isHole(sector) || tables.isHole(copy)) continue;
    const primary = littleEndian(await tables.readTable(sector));
    if (Buffer.compare(primary, littleEndian(await tables.readTable(copy))) === 0) continue;
    await file.write(copy * SECTOR_BYTES, primary);
    repaired++;
  }
  if (repaired > 0) await file.sync();
  return repaired;
}
