/** The text part of a `.vmdk` (VMware Virtual Disk Format 5.0, "The Descriptor File"). */
import { TextDecoder } from 'node:util';
import { TomeiError } from '@tomei/kit';

export type ExtentAccess = 'RW' | 'RDONLY' | 'NOACCESS';
export interface ExtentLine {
  readonly access: ExtentAccess;
  readonly sectors: number;
  /** FLAT, SPARSE, ZERO, VMFS, ...: upper case. */
  readonly type: string;
  readonly fileName?: string;
  /** Where the data starts in a flat file. */
  readonly offsetSectors: number;
  /** Counted from 1 within the descriptor. */
  readonly line: number;
}
export interface Descriptor {
  readonly version: number;
  readonly cid: string;
  readonly parentCid: string;
  readonly createType: string;
  readonly extents: readonly ExtentLine[];
  /** `ddb.*`, keys as written. */
  readonly database: Readonly<Record<string, string>>;
}

/** `parentCID` of a disk without a parent. */
export const NO_PARENT = 'ffffffff';
export const DESCRIPTOR_MAX_BYTES = 1 << 20;
/** 64 TiB, what VMware allows for one disk. */
export const DISK_MAX_SECTORS = 2 ** 37;
/** A 2 TiB disk in 2 GiB pieces; each is an open file. */
export const EXTENTS_MAX = 1024;

const bad = (file: string, line: number, what: string): TomeiError =>
  new TomeiError('vmdk.descriptor', `${file}:${line}: ${what}`, { data: { file, line } });

/** Reads a descriptor; text ends at the first zero byte. Throws `vmdk.descriptor` naming file (`name`) and line. */
export function parseDescriptor(bytes: Uint8Array, name: string): Descriptor {
  const end = bytes.indexOf(0);
  const lines = decode(end < 0 ? bytes : bytes.subarray(0, end)).split(/\r?\n/);
  const header = new Map<string, string>();
  const database: Record<string, string> = {};
  const extents: ExtentLine[] = [];
  lines.forEach((raw, i) => {
    const text = raw.trim();
    if (text === '' || text.startsWith('#')) return;
    if (/^(RW|RDONLY|NOACCESS)\s/i.test(text)) {
      extents.push(parseExtent(text, name, i + 1));
      return;
    }
    const pair = /^([^\s=]+)\s*=\s*(?:"([^"]*)"|([^"]*?))\s*$/.exec(text);
    if (pair === null) throw bad(name, i + 1, `expected key=value or an extent, found '${printable(text)}'`);
    const value = pair[2] ?? pair[3] ?? '';
    if (/^ddb\./i.test(pair[1]!)) database[pair[1]!] = value;
    else header.set(pair[1]!.toLowerCase(), value);
  });
  const version = Number(header.get('version') ?? Number.NaN);
  if (!header.has('version')) throw bad(name, 1, 'this is no disk descriptor: there is no version= line');
  if (![1, 2, 3].includes(version)) throw bad(name, 1, `version=${header.get('version')} is not known (1, 2 or 3)`);
  const cid = header.get('cid') ?? 'fffffffe';
  const parentCid = header.get('parentcid') ?? NO_PARENT;
  for (const [key, value] of [
    ['CID', cid],
    ['parentCID', parentCid],
  ] as const) {
    if (!/^[0-9a-f]{1,8}$/i.test(value))
      throw bad(name, 1, `${key}=${printable(value)} is not a 32-bit hexadecimal number`);
  }
  checkExtents(extents, name);
  return { version, cid, parentCid, createType: header.get('createtype') ?? 'custom', extents, database };
}

function checkExtents(extents: readonly ExtentLine[], name: string): void {
  if (extents.length > EXTENTS_MAX) throw bad(name, 1, `${extents.length} extents; the limit is ${EXTENTS_MAX}`);
  const sectors = extents.reduce((sum, extent) => sum + extent.sectors, 0);
  if (sectors > DISK_MAX_SECTORS) throw bad(name, 1, `the extents sum up to ${sectors} sectors; the limit is 64 TiB`);
}

function parseExtent(text: string, name: string, line: number): ExtentLine {
  const match = /^(\w+)\s+(\d{1,15})\s+(\w+)(?:\s+"([^"]*)"(?:\s+(\d{1,15}))?.*)?$/.exec(text);
  if (match === null)
    throw bad(name, line, `'${printable(text)}' is not an extent (access sectors type "file" [offset])`);
  const [, access, sectors, type, fileName, offset] = match;
  const kind = type!.toUpperCase();
  if (Number(sectors) === 0) throw bad(name, line, 'the extent has no sectors');
  if (Number(sectors) > DISK_MAX_SECTORS) throw bad(name, line, `an extent of ${sectors} sectors; the limit is 64 TiB`);
  if (Number(offset ?? 0) > DISK_MAX_SECTORS)
    throw bad(name, line, `an offset of ${offset} sectors; the limit is 64 TiB`);
  if (kind !== 'ZERO' && (fileName === undefined || fileName === ''))
    throw bad(name, line, `a ${kind} extent needs a file name`);
  return {
    access: access!.toUpperCase() as ExtentAccess,
    sectors: Number(sectors),
    type: kind,
    ...(fileName === undefined ? {} : { fileName }),
    offsetSectors: Number(offset ?? 0),
    line,
  };
}

/** UTF-8, or what `encoding=` names; bytes that do not fit become U+FFFD and then name a file that does not exist. */
function decode(bytes: Uint8Array): string {
  const ascii = new TextDecoder('windows-1252').decode(bytes);
  const label = /^\s*encoding\s*=\s*"([^"\r\n]{1,40})"/im.exec(ascii)?.[1] ?? 'UTF-8';
  try {
    return new TextDecoder(label).decode(bytes);
  } catch {
    return ascii;
  }
}

// eslint-disable-next-line no-control-regex -- control characters are what this replaces
const printable = (text: string): string => text.slice(0, 80).replace(/[\x00-\x1f\x7f-\x9f]/g, '?');

/** Where the digits of `CID=` lie in a descriptor, so that they can be replaced in place. */
export function findCid(bytes: Uint8Array): { readonly at: number; readonly digits: number } | undefined {
  const match = /(^|\n)\s*CID\s*=\s*([0-9a-f]{1,8})/i.exec(Buffer.from(bytes).toString('latin1'));
  if (match === null) return undefined;
  return { at: match.index + match[0].length - match[2]!.length, digits: match[2]!.length };
}

export interface NewDescriptor {
  readonly createType: string;
  readonly cid: string;
  readonly extents: readonly Omit<ExtentLine, 'line'>[];
}

/** The text of a new disk's descriptor, in UTF-8, with the IDE geometry that VMware and qemu-img write. */
export function formatDescriptor(disk: NewDescriptor): Uint8Array {
  const sectors = disk.extents.reduce((sum, extent) => sum + extent.sectors, 0);
  const heads = 16;
  const sectorsPerTrack = 63;
  const cylinders = Math.min(16383, Math.floor(sectors / (heads * sectorsPerTrack)));
  const extents = disk.extents.map((e) => {
    const offset = e.type === 'FLAT' ? ` ${e.offsetSectors}` : '';
    return `${e.access} ${e.sectors} ${e.type}${e.fileName === undefined ? '' : ` "${e.fileName}"`}${offset}`;
  });
  const lines = [
    ...['# Disk DescriptorFile', 'version=1', 'encoding="UTF-8"', `CID=${disk.cid}`, `parentCID=${NO_PARENT}`],
    ...[`createType="${disk.createType}"`, '', '# Extent description', ...extents, ''],
    ...['# The Disk Data Base', '#DDB', '', 'ddb.virtualHWVersion = "4"', `ddb.geometry.cylinders = "${cylinders}"`],
    ...[
      `ddb.geometry.heads = "${heads}"`,
      `ddb.geometry.sectors = "${sectorsPerTrack}"`,
      'ddb.adapterType = "ide"',
      '',
    ],
  ];
  return new TextEncoder().encode(lines.join('\n'));
}
