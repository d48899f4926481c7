/**
 * Files of stored vectors: what a real processor made of cases, so that conformance runs need no such processor.
 *
 * A file is gzip over: `TMCV`, u8 format version, u32 length of the header, the header as JSON, then `count` records
 * (`vector-codec.ts`). One file holds one family. Sizes are some 20 to 40 bytes a case for integer instructions.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { TomeiError, messageOf } from '@tomei/kit';
import { ByteReader, ByteWriter } from './byte-stream.ts';
import { type HostIdentity } from './host/protocol.ts';
import { decodeVector, encodeVector, type Vector } from './vector-codec.ts';

export { type Vector } from './vector-codec.ts';

const MAGIC = 'TMCV';
export const FORMAT_VERSION = 1;
/** More than this unpacked is no file of ours. */
const UNPACKED_MAX = 256 * 1024 * 1024;
const HEADER_MAX = 64 * 1024;

export const VECTORS_DIRECTORY = join(import.meta.dirname, 'vectors');
export const VECTORS_SUFFIX = '.vec.gz';

/** Where the results come from. */
export interface VectorsHeader {
  readonly family: string;
  /** The processor that gave the results. */
  readonly cpu: Omit<HostIdentity, 'narrow'>;
  /** Day of making, `YYYY-MM-DD`. */
  readonly date: string;
  /** Name and version of the tool that made the file. */
  readonly tool: string;
  readonly count: number;
}

export interface VectorsFile {
  readonly header: VectorsHeader;
  readonly vectors: readonly Vector[];
}

/** The bytes of a file. The same vectors give the same bytes. */
export function encodeVectors(header: Omit<VectorsHeader, 'count'>, vectors: readonly Vector[]): Uint8Array {
  const to = new ByteWriter();
  const json = Buffer.from(JSON.stringify({ ...header, count: vectors.length }));
  to.bytes(Buffer.from(MAGIC));
  to.u8(FORMAT_VERSION);
  to.u32(json.length);
  to.bytes(json);
  let previous = '';
  for (const vector of vectors) {
    encodeVector(to, vector, previous);
    previous = vector.start.name;
  }
  return gzipSync(to.finish(), { level: 9 });
}

/** Reads the bytes of a file; `file` is for messages. Throws `vectors.invalid` or `vectors.truncated`. */
export function decodeVectors(bytes: Uint8Array, file: string): VectorsFile {
  const from = new ByteReader(unpack(bytes, file), file);
  if (Buffer.from(from.bytes(MAGIC.length)).toString('latin1') !== MAGIC) throw from.invalid('no vectors file');
  const version = from.u8();
  if (version !== FORMAT_VERSION) throw from.invalid(`format version ${version}, not ${FORMAT_VERSION},`);
  const header = parseHeader(from);
  const vectors: Vector[] = [];
  for (let i = 0; i < header.count; i++) vectors.push(decodeVector(from, vectors.at(-1)?.start.name ?? ''));
  if (!from.atEnd) throw from.invalid(`more than ${header.count} records`);
  return { header, vectors };
}

function unpack(bytes: Uint8Array, file: string): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: UNPACKED_MAX });
  } catch (error) {
    throw new TomeiError('vectors.invalid', `${file}: cannot be unpacked (${messageOf(error)}); make the file again`, {
      cause: error,
    });
  }
}

function parseHeader(from: ByteReader): VectorsHeader {
  const length = from.u32();
  if (length > HEADER_MAX) throw from.invalid(`a header of ${length} bytes`);
  let raw: unknown;
  try {
    raw = JSON.parse(Buffer.from(from.bytes(length)).toString());
  } catch (error) {
    if (error instanceof TomeiError) throw error;
    throw from.invalid(`a header that is no JSON (${messageOf(error)})`);
  }
  if (!isHeader(raw)) throw from.invalid('a header without family, cpu, date, tool or count');
  return raw;
}

function isHeader(raw: unknown): raw is VectorsHeader {
  if (typeof raw !== 'object' || raw === null) return false;
  const { family, cpu, date, tool, count } = raw as Record<string, unknown>;
  const texts = [family, date, tool].every((text) => typeof text === 'string');
  return texts && typeof cpu === 'object' && cpu !== null && Number.isSafeInteger(count) && (count as number) >= 0;
}

/** Writes `<family>.vec.gz` into `directory` and returns its size in bytes. */
export function writeVectors(
  directory: string,
  header: Omit<VectorsHeader, 'count'>,
  vectors: readonly Vector[],
): number {
  const bytes = encodeVectors(header, vectors);
  writeFileSync(join(directory, header.family + VECTORS_SUFFIX), bytes);
  return bytes.length;
}

/** Reads one family from `directory`. */
export function readVectors(family: string, directory = VECTORS_DIRECTORY): VectorsFile {
  const path = join(directory, family + VECTORS_SUFFIX);
  return decodeVectors(readFileSync(path), path);
}

/** The families that are stored in `directory`, in alphabetical order. */
export function storedFamilies(directory = VECTORS_DIRECTORY): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(VECTORS_SUFFIX))
    .map((name) => name.slice(0, -VECTORS_SUFFIX.length))
    .sort();
}
