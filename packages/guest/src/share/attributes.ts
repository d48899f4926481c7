/**
 * Attributes of files as 9P2000.L has them. Owners are shown as the host has them and cannot be changed: a guest's process
 * has no right to. Such a change is answered as done, as QEMU's security_model=none does, so that `cp -p` and `tar` work.
 */
import { constants, type BigIntStats } from 'node:fs';
import { QID_BYTES, WireWriter, type Qid } from './wire.ts';

const QT_DIRECTORY = 0x80;
const QT_SYMLINK = 0x02;
/** P9_STATS_BASIC. */
const STATS_BASIC = 0x7ffn;
/** Bits of Tsetattr's `valid`. */
export const SETATTR = {
  mode: 1,
  uid: 2,
  gid: 4,
  size: 8,
  atime: 0x10,
  mtime: 0x20,
  atimeSet: 0x80,
  mtimeSet: 0x100,
} as const;
/** No set-user-id or set-group-id bits: they would lend the host user's rights to others. */
export const MODE_BITS = 0o1777;

/** `device` is that of the share's root: files of other file systems have numbers of their own. */
export function qidOf(stat: BigIntStats, device: bigint): Qid {
  const type = stat.isDirectory() ? QT_DIRECTORY : stat.isSymbolicLink() ? QT_SYMLINK : 0;
  const version = Number(BigInt.asUintN(32, stat.mtimeNs ^ (stat.size << 8n)));
  return { type, version, path: BigInt.asUintN(64, stat.ino ^ ((stat.dev ^ device) << 40n)) };
}

/** The body of Rgetattr. */
export function attributes(stat: BigIntStats, device: bigint): WireWriter {
  const out = new WireWriter().u64(STATS_BASIC).qid(qidOf(stat, device));
  out.u32(Number(stat.mode)).u32(Number(stat.uid)).u32(Number(stat.gid));
  for (const value of [stat.nlink, stat.rdev, stat.size, stat.blksize, stat.blocks]) out.u64(value);
  for (const time of [stat.atimeNs, stat.mtimeNs, stat.ctimeNs]) out.u64(time / SECOND).u64(time % SECOND);
  // Time of birth, generation and data version: none.
  for (let i = 0; i < 4; i++) out.u64(0n);
  return out;
}
const SECOND = 1_000_000_000n;

/** An entry of Rreaddir; `offset` is where the next one starts. */
export function entry(qid: Qid, offset: number, name: string): Uint8Array {
  const kind = qid.type === QT_DIRECTORY ? DT_DIRECTORY : qid.type === QT_SYMLINK ? DT_LINK : DT_UNKNOWN;
  return new WireWriter().qid(qid).u64(BigInt(offset)).u8(kind).string(name).done();
}
const DT_UNKNOWN = 0;
const DT_DIRECTORY = 4;
const DT_LINK = 10;
/** The bytes of an entry whose name has this many. */
export const entryBytes = (name: number): number => QID_BYTES + 8 + 1 + 2 + name;

/** Open flags of Linux, x86, as 9P2000.L carries them. */
export const OPEN = {
  write: 1,
  readWrite: 2,
  create: 0o100,
  exclusive: 0o200,
  truncate: 0o1000,
  append: 0o2000,
} as const;
/** True when a file opened so may change. */
export const changes = (flags: number): boolean => (flags & 3) !== 0 || (flags & OPEN.truncate) !== 0;
/** The host's flags for a guest's: reading and writing, appending and truncating; whatever else it asks for is its own. */
export function hostFlags(flags: number): number {
  const access = flags & 3;
  let host: number = access === 0 ? constants.O_RDONLY : access === OPEN.write ? constants.O_WRONLY : constants.O_RDWR;
  if (flags & OPEN.truncate && access !== 0) host |= constants.O_TRUNC;
  if (flags & OPEN.append) host |= constants.O_APPEND;
  return host | constants.O_NONBLOCK | constants.O_NOCTTY;
}
