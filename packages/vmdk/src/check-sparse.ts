/** The map of a sparse extent against its file: who points where, twice, outside, or not at all. */
import { messageOf } from '@tomei/kit';
import { SECTOR_BYTES } from './block-device.ts';
import type { VmdkProblem } from './check.ts';
import type { GrainTables } from './grain-tables.ts';
import { directoryEntries, hasRedundant, tableSectors } from './sparse-header.ts';
import type { SparseExtent } from './sparse-extent.ts';
import { StreamExtent } from './stream-extent.ts';

/** Sectors `start .. end - 1`. */
interface Region {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Adds what is wrong to `problems`; returns how many grains hold data. */
export async function checkSparse(extent: SparseExtent | StreamExtent, problems: VmdkProblem[]): Promise<number> {
  const { tables, file } = extent;
  const report = (severity: VmdkProblem['severity'], code: string, what: string): void => {
    problems.push({ severity, code, message: `${file.path}: ${what}` });
  };
  const regions = metadataRegions(tables);
  const grains = new Sectors();
  const counts = { outside: new Tally(), copies: new Tally(), missing: new Tally(), unreadable: new Tally() };
  const seen = new Set<number>();
  const lastGrain = Math.ceil(extent.sizeBytes / SECTOR_BYTES / tables.header.grainSize) - 1;
  for (const [index, sector] of tables.directory.entries()) {
    const copy = tables.redundant?.[index];
    if (copy !== undefined && tables.isHole(copy) !== tables.isHole(sector)) {
      counts.missing.add(`entry ${index}: table at sector ${sector}, redundant table at ${copy}`);
    }
    if (tables.isHole(sector)) continue;
    if (seen.has(sector)) {
      report('error', 'vmdk.grain-table-shared', `grain directory, entry ${index}: its table is used twice`);
      continue;
    }
    seen.add(sector);
    regions.push({ name: `grain table ${index}`, start: sector, end: sector + tableSectors(tables.header) });
    const entries = await tables.readTable(sector);
    if (copy !== undefined && !tables.isHole(copy) && !seen.has(copy)) {
      seen.add(copy);
      regions.push({ name: `redundant grain table ${index}`, start: copy, end: copy + tableSectors(tables.header) });
      const second = await tables.readTable(copy);
      const at = entries.findIndex((value, i) => value !== second[i]);
      if (at >= 0) counts.copies.add(`table ${index}, entry ${at}: ${entries[at]} against ${second[at]}`);
    }
    await checkTable(extent, index, entries, { grains, counts, lastGrain });
  }
  reportTallies(counts, report);
  if (!(extent instanceof StreamExtent)) checkPlacement(tables, regions, grains.sorted(), report);
  return grains.length;
}

type Report = (severity: VmdkProblem['severity'], code: string, what: string) => void;
type Counts = Record<'outside' | 'copies' | 'missing' | 'unreadable', Tally>;

async function checkTable(
  extent: SparseExtent | StreamExtent,
  index: number,
  entries: Uint32Array,
  to: { grains: Sectors; counts: Counts; lastGrain: number },
): Promise<void> {
  const { tables } = extent;
  const { numGTEsPerGT, grainSize } = tables.header;
  const table = { index, entries, users: 0, unsaved: null, arriving: new Map<number, Promise<void>>(), leaving: [] };
  for (const [entry, sector] of entries.entries()) {
    const grain = index * numGTEsPerGT + entry;
    if (tables.isHole(sector) || grain > to.lastGrain) continue;
    to.grains.push(sector);
    try {
      if (extent instanceof StreamExtent) await extent.grain(table, entry);
      else
        tables.locate(
          table,
          entry,
          0,
          Math.min(grainSize * SECTOR_BYTES, extent.sizeBytes - grain * grainSize * SECTOR_BYTES),
        );
    } catch (error) {
      const what =
        extent instanceof StreamExtent ? messageOf(error) : `table ${index}, entry ${entry}: sector ${sector}`;
      (extent instanceof StreamExtent ? to.counts.unreadable : to.counts.outside).add(what);
    }
  }
}

function reportTallies(counts: Counts, report: Report): void {
  const say = (tally: Tally, severity: VmdkProblem['severity'], code: string, what: string): void => {
    if (tally.count > 0) report(severity, code, `${tally.count} ${what} (first: ${tally.first})`);
  };
  say(counts.outside, 'error', 'vmdk.grain-outside', "pointers lead outside of the file's data");
  say(counts.unreadable, 'error', 'vmdk.bad-grain', 'compressed grains cannot be unpacked');
  say(counts.copies, 'warning', 'vmdk.copies-differ', 'grain tables differ from their redundant copies');
  say(counts.missing, 'warning', 'vmdk.copies-differ', 'grain tables exist in one copy only');
}

function metadataRegions({ header }: GrainTables): Region[] {
  const directory = Math.ceil((directoryEntries(header) * 4) / SECTOR_BYTES);
  const { descriptorOffset, descriptorSize, gdOffset, rgdOffset } = header;
  return [
    { name: 'the header', start: 0, end: 1 },
    ...(descriptorOffset > 0 && descriptorSize > 0
      ? [{ name: 'the descriptor', start: descriptorOffset, end: descriptorOffset + descriptorSize }]
      : []),
    { name: 'the grain directory', start: gdOffset, end: gdOffset + directory },
    ...(hasRedundant(header)
      ? [{ name: 'the redundant grain directory', start: rgdOffset, end: rgdOffset + directory }]
      : []),
  ];
}

/** One sweep over the file in order of sectors: overlaps, and stretches that belong to nobody. */
function checkPlacement(tables: GrainTables, regions: Region[], grains: Uint32Array, report: Report): void {
  const { grainSize, overHead } = tables.header;
  regions.sort((a, b) => a.start - b.start);
  const [overlaps, mixed, metadata] = [new Tally(), new Tally(), new Tally()];
  regions.forEach((region, i) => {
    const before = regions[i - 1];
    if (before !== undefined && region.start < before.end) metadata.add(`${before.name} and ${region.name}`);
  });
  let region = 0;
  let orphans = 0;
  let end = overHead;
  const gap = (start: number): void => {
    if (start > end) orphans += Math.floor((start - end) / grainSize);
  };
  for (const [i, sector] of grains.entries()) {
    if (i > 0 && sector < grains[i - 1]! + grainSize) overlaps.add(`sector ${sector}`);
    for (; region < regions.length && regions[region]!.start < sector + grainSize; region++) {
      const { name, start, end: stop } = regions[region]!;
      if (stop > sector) mixed.add(`sector ${sector} and ${name}`);
      gap(start);
      end = Math.max(end, stop);
    }
    gap(sector);
    end = Math.max(end, sector + grainSize);
  }
  for (; region < regions.length; region++) {
    gap(regions[region]!.start);
    end = Math.max(end, regions[region]!.end);
  }
  gap(Math.floor(tables.file.sizeBytes / SECTOR_BYTES));
  if (metadata.count > 0) report('error', 'vmdk.metadata-overlap', `${metadata.first} overlap`);
  if (mixed.count > 0) report('error', 'vmdk.grain-overlap', `${mixed.count} grains overlap metadata (${mixed.first})`);
  if (overlaps.count > 0)
    report('error', 'vmdk.grain-overlap', `${overlaps.count} grains overlap others (${overlaps.first})`);
  if (orphans > 0) {
    const what = `${orphans} grains of the file belong to nothing (${orphans * grainSize * SECTOR_BYTES} bytes wasted)`;
    report('warning', 'vmdk.orphan-grains', what);
  }
}

class Tally {
  count = 0;
  first = '';

  add(what: string): void {
    if (this.count === 0) this.first = what;
    this.count++;
  }
}

/** A growing list of sectors, four bytes each. */
class Sectors {
  length = 0;
  private words = new Uint32Array(1024);

  push(sector: number): void {
    if (this.length === this.words.length) {
      const more = new Uint32Array(this.words.length * 2);
      more.set(this.words);
      this.words = more;
    }
    this.words[this.length++] = sector;
  }

  sorted(): Uint32Array {
    return this.words.subarray(0, this.length).sort();
  }
}
