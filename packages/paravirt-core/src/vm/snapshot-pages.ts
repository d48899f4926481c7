/** The memory part of a snapshot: areas of guest memory in chunks of pages, zero pages left out, the rest deflated. */
import { TomeiError } from '@tomei/kit';
import type { SnapshotSink, SnapshotSource, SnapshotTools } from './snapshot.ts';

/** A part of guest memory: a whole number of pages. */
export interface MemoryArea {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const PAGE = 4096,
  CHUNK_PAGES = 256,
  MAP_BYTES = CHUNK_PAGES / 8;
/** Layout of a chunk's header; see docs/snapshot-format.md. */
const AT = { tag: 0, area: 4, firstPage: 8, length: 12, map: 16, checksum: 16 + MAP_BYTES } as const;
const HEADER_BYTES = AT.checksum + 4;
const TAG_PAGES = 0x45474150, // 'PAGE'
  TAG_END = 0x20444e45; // 'END '
/** What deflate may add to data that it cannot make smaller (RFC 1951, 3.2.4: 5 bytes for each stored block), generously. */
const DEFLATE_SLACK = 4096;
/** Chunks in work at a time: bounds the memory that writing takes. */
const IN_WORK = 4;

/** Writes all areas and the end mark. Holds copies of a few chunks at a time. */
export async function writePages(
  sink: SnapshotSink,
  areas: readonly MemoryArea[],
  tools: SnapshotTools,
): Promise<void> {
  const work: Promise<Uint8Array[]>[] = [];
  const writeOldest = async (): Promise<void> => {
    for (const part of await work.shift()!) await sink.write(part);
  };
  let chunks = 0;
  try {
    for (const [area, { bytes }] of areas.entries()) {
      for (let firstPage = 0; firstPage * PAGE < bytes.length; firstPage += CHUNK_PAGES) {
        const packed = pack(bytes, firstPage);
        if (packed === undefined) continue;
        chunks++;
        work.push(compress({ area, firstPage, ...packed }, tools));
        if (work.length >= IN_WORK) await writeOldest();
      }
    }
    while (work.length > 0) await writeOldest();
  } finally {
    await Promise.allSettled(work);
  }
  await sink.write(seal(header(TAG_END, 0, chunks, 0), undefined, tools));
}

/** The pages of a chunk that hold something, one behind the other, and which they are; undefined when all are zero. */
function pack(area: Uint8Array, firstPage: number): { data: Uint8Array; map: Uint8Array } | undefined {
  const map = new Uint8Array(MAP_BYTES),
    pages: Uint8Array[] = [];
  const count = Math.min(CHUNK_PAGES, area.length / PAGE - firstPage);
  for (let i = 0; i < count; i++) {
    const page = area.subarray((firstPage + i) * PAGE, (firstPage + i + 1) * PAGE);
    if (isZero(page)) continue;
    map[i >> 3]! |= 1 << (i & 7);
    pages.push(page);
  }
  if (pages.length === 0) return undefined;
  const data = new Uint8Array(pages.length * PAGE);
  pages.forEach((page, i) => data.set(page, i * PAGE));
  return { data, map };
}
function isZero(page: Uint8Array): boolean {
  const words = new Int32Array(page.buffer, page.byteOffset, PAGE / 4);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

async function compress(
  chunk: { area: number; firstPage: number; data: Uint8Array; map: Uint8Array },
  tools: SnapshotTools,
): Promise<Uint8Array[]> {
  const deflated = await tools.deflate(chunk.data);
  const head = header(TAG_PAGES, chunk.area, chunk.firstPage, deflated.length);
  head.set(chunk.map, AT.map);
  return [seal(head, deflated, tools), deflated];
}
function header(tag: number, area: number, firstPage: number, length: number): Uint8Array {
  const head = new Uint8Array(HEADER_BYTES),
    view = new DataView(head.buffer);
  view.setUint32(AT.tag, tag, true);
  view.setUint32(AT.area, area, true);
  view.setUint32(AT.firstPage, firstPage, true);
  view.setUint32(AT.length, length, true);
  return head;
}
function checksum(head: Uint8Array, data: Uint8Array | undefined, { crc32 }: SnapshotTools): number {
  const crc = crc32(head.subarray(0, AT.checksum), 0);
  return data === undefined ? crc : crc32(data, crc);
}
function seal(head: Uint8Array, data: Uint8Array | undefined, tools: SnapshotTools): Uint8Array {
  new DataView(head.buffer).setUint32(AT.checksum, checksum(head, data, tools), true);
  return head;
}

/**
 * Reads the memory part into areas that are zero. Throws `snapshot.memory` for chunks that cannot be, `snapshot.checksum` and
 * `snapshot.truncated`; the areas hold a part of the pages then.
 */
export async function readPages(
  source: SnapshotSource,
  areas: readonly MemoryArea[],
  tools: SnapshotTools,
  fileName: string,
): Promise<void> {
  const fail = (code: string, what: string): never => {
    throw new TomeiError(code, `${fileName}: ${what}`, { data: { file: fileName } });
  };
  const take = async (length: number): Promise<Uint8Array> => {
    const bytes = await source.read(length);
    return bytes.length === length ? bytes : fail('snapshot.truncated', 'the file ends within its memory part');
  };
  let reached = 0; // chunks come in order, so none can come twice
  for (let chunks = 0; ; chunks++) {
    const head = Uint8Array.from(await take(HEADER_BYTES)),
      view = new DataView(head.buffer);
    const field = (at: number): number => view.getUint32(at, true);
    const [tag, number, firstPage, length] = [field(AT.tag), field(AT.area), field(AT.firstPage), field(AT.length)];
    const map = head.subarray(AT.map, AT.checksum);
    const where = `memory chunk ${chunks}`;
    if (tag !== TAG_PAGES && tag !== TAG_END) return fail('snapshot.memory', `${where} is no chunk`);
    if (tag === TAG_END) {
      if (checksum(head, undefined, tools) !== field(AT.checksum))
        return fail('snapshot.checksum', 'the end mark is damaged');
      if (firstPage !== chunks || length !== 0 || number !== 0)
        return fail('snapshot.memory', `the end mark counts ${firstPage} chunks, there are ${chunks}`);
      return (await source.read(1)).length === 0
        ? undefined
        : fail('snapshot.memory', 'there is something behind the end mark');
    }
    const area = areas[number]?.bytes;
    const pages = pagesOf(map);
    const fits =
      area !== undefined &&
      firstPage % CHUNK_PAGES === 0 &&
      pages.length > 0 &&
      (firstPage + pages.at(-1)! + 1) * PAGE <= area.length;
    if (!fits) return fail('snapshot.memory', `${where} (area ${number}, page ${firstPage}) lies outside of memory`);
    const order = number * 2 ** 32 + firstPage + 1;
    if (order <= reached)
      return fail('snapshot.memory', `${where} (area ${number}, page ${firstPage}) is out of order`);
    reached = order;
    if (length > pages.length * PAGE + DEFLATE_SLACK)
      return fail('snapshot.memory', `${where} says that it takes ${length} bytes`);
    const deflated = await take(length);
    if (checksum(head, deflated, tools) !== field(AT.checksum)) return fail('snapshot.checksum', `${where} is damaged`);
    const data = await tools.inflate(deflated, pages.length * PAGE).catch(() => undefined);
    if (data?.length !== pages.length * PAGE) return fail('snapshot.memory', `${where} does not inflate to its pages`);
    pages.forEach((page, i) => area.set(data.subarray(i * PAGE, (i + 1) * PAGE), (firstPage + page) * PAGE));
  }
}
const pagesOf = (map: Uint8Array): number[] =>
  Array.from({ length: CHUNK_PAGES }, (_, i) => i).filter((i) => (map[i >> 3]! & (1 << (i & 7))) !== 0);
