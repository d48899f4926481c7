/**
 * The snapshot file: a machine that stands still, to go on from later. An envelope, a state that can be read as text, and memory
 * pages. docs/snapshot-format.md draws it. Nothing here touches files: bytes go to a sink and come from a source.
 */
import { TomeiError, messageOf } from '@tomei/kit';
import { readPages, writePages, type MemoryArea } from './snapshot-pages.ts';
import { formatState, parseState, type SnapshotState } from './snapshot-state.ts';

/** Where a snapshot goes, in order. */
export interface SnapshotSink {
  write(bytes: Uint8Array): Promise<void>;
}
/** Where a snapshot comes from, in order. Fewer bytes than asked for mean that there are no more. */
export interface SnapshotSource {
  read(length: number): Promise<Uint8Array>;
}
/** Compression and checksums, as node:zlib has them. */
export interface SnapshotTools {
  /** Raw deflate (RFC 1951). */
  deflate(bytes: Uint8Array): Promise<Uint8Array>;
  /** Rejects what is not deflated, or would give more than `maxBytes`. */
  inflate(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array>;
  /** CRC-32 as in gzip (RFC 1952, 8), going on from `before`. */
  crc32(bytes: Uint8Array, before: number): number;
}

/** 'TOMEISNP' */
const MAGIC = Uint8Array.of(0x54, 0x4f, 0x4d, 0x45, 0x49, 0x53, 0x4e, 0x50);
/** Raised when the envelope or the memory part changes; the state has a version of its own. */
export const SNAPSHOT_FORMAT_VERSION = 1;
const AT = { version: 8, stateBytes: 12, stateChecksum: 16, checksum: 20 } as const;
const HEADER_BYTES = 24;
/** A machine's state takes some tens of kilobytes. */
export const STATE_MAX_BYTES = 16 << 20;

/** Writes a whole snapshot. `areas` are read while it runs: the machine stands still. Throws what the sink throws. */
export async function writeSnapshot(
  sink: SnapshotSink,
  state: SnapshotState,
  areas: readonly MemoryArea[],
  tools: SnapshotTools,
): Promise<void> {
  const text = new TextEncoder().encode(formatState(state));
  if (text.length > STATE_MAX_BYTES)
    throw new TomeiError(
      'snapshot.state',
      `the machine's state takes ${text.length} bytes, more than a snapshot holds`,
    );
  const head = new Uint8Array(HEADER_BYTES),
    view = new DataView(head.buffer);
  head.set(MAGIC);
  view.setUint32(AT.version, SNAPSHOT_FORMAT_VERSION, true);
  view.setUint32(AT.stateBytes, text.length, true);
  view.setUint32(AT.stateChecksum, tools.crc32(text, 0), true);
  view.setUint32(AT.checksum, tools.crc32(head.subarray(0, AT.checksum), 0), true);
  await sink.write(head);
  await sink.write(text);
  await writePages(sink, areas, tools);
}

/**
 * Reads envelope and state; `readSnapshotMemory` reads the rest of the same source. Throws `snapshot.bad-magic`,
 * `snapshot.version`, `snapshot.truncated`, `snapshot.checksum` or `snapshot.state`, naming the file.
 */
export async function readSnapshotState(
  source: SnapshotSource,
  tools: SnapshotTools,
  fileName: string,
): Promise<SnapshotState> {
  const fail = (code: string, what: string, cause?: unknown): never => {
    throw new TomeiError(code, `${fileName} ${what}`, { cause, data: { file: fileName } });
  };
  const head = Uint8Array.from(await source.read(HEADER_BYTES)),
    view = new DataView(head.buffer);
  if (!MAGIC.every((byte, i) => head[i] === byte)) fail('snapshot.bad-magic', 'is no snapshot of Tomei');
  if (head.length < HEADER_BYTES) fail('snapshot.truncated', 'ends within its header');
  const version = view.getUint32(AT.version, true);
  if (version !== SNAPSHOT_FORMAT_VERSION)
    fail('snapshot.version', `has format version ${version}; this program reads ${SNAPSHOT_FORMAT_VERSION}`);
  if (view.getUint32(AT.checksum, true) !== tools.crc32(head.subarray(0, AT.checksum), 0))
    fail('snapshot.checksum', 'has a damaged header');
  const length = view.getUint32(AT.stateBytes, true);
  if (length > STATE_MAX_BYTES)
    fail('snapshot.state', `says that its state takes ${length} bytes; the limit is ${STATE_MAX_BYTES}`);
  const text = await source.read(length);
  if (text.length < length) fail('snapshot.truncated', 'ends within its state');
  if (view.getUint32(AT.stateChecksum, true) !== tools.crc32(text, 0)) fail('snapshot.checksum', 'has a damaged state');
  let decoded = '';
  try {
    decoded = new TextDecoder('utf-8', { fatal: true }).decode(text);
  } catch (error) {
    fail('snapshot.state', `has a state that is not UTF-8: ${messageOf(error)}`, error);
  }
  return parseState(decoded, fileName);
}

/** Reads the memory part into areas that are zero, and looks that nothing follows. Throws as `readPages`. */
export const readSnapshotMemory = readPages;
