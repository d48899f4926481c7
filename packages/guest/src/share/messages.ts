/** The messages of 9P2000.L: their numbers, and what each request of a guest carries. */
import { Malformed, WireReader, WireWriter } from './wire.ts';

export const HEADER_BYTES = 7;
/** What a read's answer or a write's request has beside the data, rounded up as drivers do (P9_IOHDRSZ). */
export const IO_HEADER_BYTES = 24;
export const RLERROR = 7;

const read = {
  u8: (from: WireReader) => from.u8(),
  u16: (from: WireReader) => from.u16(),
  u32: (from: WireReader) => from.u32(),
  u64: (from: WireReader) => from.u64(),
  string: (from: WireReader) => from.string(),
  /** 16-bit count, then strings. A walk has 16 at most. */
  names: (from: WireReader) => {
    const count = from.u16();
    if (count > MOST_NAMES) throw new Malformed(`a walk of ${count} names`);
    return Array.from({ length: count }, () => from.string());
  },
  /** 32-bit count, then bytes. */
  bytes: (from: WireReader) => from.data(from.u32()),
};
/** P9_MAXWELEM. */
export const MOST_NAMES = 16;

/** Every request that is known: its number, and its fields in their order on the wire. */
const REQUESTS = {
  statfs: [8, { fid: read.u32 }],
  lopen: [12, { fid: read.u32, flags: read.u32 }],
  lcreate: [14, { fid: read.u32, name: read.string, flags: read.u32, mode: read.u32, gid: read.u32 }],
  symlink: [16, { fid: read.u32, name: read.string, target: read.string, gid: read.u32 }],
  mknod: [18, { fid: read.u32, name: read.string, mode: read.u32, major: read.u32, minor: read.u32, gid: read.u32 }],
  rename: [20, { fid: read.u32, directory: read.u32, name: read.string }],
  readlink: [22, { fid: read.u32 }],
  getattr: [24, { fid: read.u32, mask: read.u64 }],
  setattr: [
    26,
    {
      fid: read.u32,
      valid: read.u32,
      mode: read.u32,
      uid: read.u32,
      gid: read.u32,
      size: read.u64,
      atimeSeconds: read.u64,
      atimeNanoseconds: read.u64,
      mtimeSeconds: read.u64,
      mtimeNanoseconds: read.u64,
    },
  ],
  xattrwalk: [30, { fid: read.u32, newFid: read.u32, name: read.string }],
  xattrcreate: [32, { fid: read.u32, name: read.string, size: read.u64, flags: read.u32 }],
  readdir: [40, { fid: read.u32, offset: read.u64, count: read.u32 }],
  fsync: [50, { fid: read.u32, dataOnly: read.u32 }],
  lock: [
    52,
    {
      fid: read.u32,
      type: read.u8,
      flags: read.u32,
      start: read.u64,
      length: read.u64,
      process: read.u32,
      client: read.string,
    },
  ],
  getlock: [
    54,
    { fid: read.u32, type: read.u8, start: read.u64, length: read.u64, process: read.u32, client: read.string },
  ],
  link: [70, { directory: read.u32, fid: read.u32, name: read.string }],
  mkdir: [72, { fid: read.u32, name: read.string, mode: read.u32, gid: read.u32 }],
  renameat: [74, { from: read.u32, oldName: read.string, to: read.u32, newName: read.string }],
  unlinkat: [76, { fid: read.u32, name: read.string, flags: read.u32 }],
  version: [100, { msize: read.u32, version: read.string }],
  auth: [102, { authFid: read.u32, user: read.string, tree: read.string, uid: read.u32 }],
  attach: [104, { fid: read.u32, authFid: read.u32, user: read.string, tree: read.string, uid: read.u32 }],
  flush: [108, { oldTag: read.u16 }],
  walk: [110, { fid: read.u32, newFid: read.u32, names: read.names }],
  read: [116, { fid: read.u32, offset: read.u64, count: read.u32 }],
  write: [118, { fid: read.u32, offset: read.u64, data: read.bytes }],
  clunk: [120, { fid: read.u32 }],
  remove: [122, { fid: read.u32 }],
} as const;

type Table = typeof REQUESTS;
export type RequestKind = keyof Table;
type Fields<T> = { readonly [K in keyof T]: T[K] extends (from: WireReader) => infer V ? V : never };
/** The fields of a request by its kind. */
export type RequestOf<K extends RequestKind> = Fields<Table[K][1]>;

const KINDS = new Map((Object.keys(REQUESTS) as RequestKind[]).map((kind) => [REQUESTS[kind][0] as number, kind]));
/** The number of a request on the wire; its answer's is one more. */
export const requestNumber = (kind: RequestKind): number => REQUESTS[kind][0];
/** All kinds of requests. */
export const requestKinds = [...KINDS.values()];

/** A request's kind by its number; undefined for one that 9P2000.L does not have. */
export const kindOf = (number: number): RequestKind | undefined => KINDS.get(number);

/** Size, number and tag of a message. Throws `Malformed` when the size is not that of the bytes. */
export function parseHeader(message: Uint8Array): { number: number; tag: number } {
  const from = new WireReader(message);
  const size = from.u32();
  if (size !== message.length) throw new Malformed(`a message of ${message.length} bytes says ${size}`);
  return { number: from.u8(), tag: from.u16() };
}

/** The fields of a request of this kind. Throws `Malformed`. */
export function parseBody<K extends RequestKind>(kind: K, message: Uint8Array): RequestOf<K> {
  const from = new WireReader(message.subarray(HEADER_BYTES));
  const fields = Object.entries(REQUESTS[kind][1] as Record<string, (from: WireReader) => unknown>);
  const body = Object.fromEntries(fields.map(([name, parse]) => [name, parse(from)]));
  from.end();
  return body as RequestOf<K>;
}

/** A whole message of these parts. */
export function frame(number: number, tag: number, body: Uint8Array): Uint8Array {
  return new WireWriter()
    .u32(HEADER_BYTES + body.length)
    .u8(number)
    .u16(tag)
    .data(body)
    .done();
}
