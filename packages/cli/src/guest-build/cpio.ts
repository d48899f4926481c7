/**
 * The archive format of Linux initial RAM file systems: "newc" cpio (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
 * Same tree, same bytes: inode numbers count up, owners are root, times are one constant.
 */
import type { Tree, TreeEntry } from './tree.ts';

const MAGIC = '070701';
const TYPE_BITS = { directory: 0o040000, file: 0o100000, link: 0o120000, 'character-device': 0o020000 } as const;

const contentOf = (entry: TreeEntry): Uint8Array =>
  entry.kind === 'file' ? entry.data : entry.kind === 'link' ? Buffer.from(entry.target) : new Uint8Array(0);

const toMultipleOf4 = (bytes: Uint8Array): Uint8Array => {
  const padded = new Uint8Array((bytes.length + 3) & ~3);
  padded.set(bytes);
  return padded;
};

/** Header fields in their order: 13 numbers of eight hexadecimal digits after the magic. */
interface Header {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly time: number;
  readonly size: number;
  readonly major: number;
  readonly minor: number;
}

function header(name: string, h: Header): Uint8Array {
  const nameBytes = Buffer.from(`${name}\0`);
  const owner = 0;
  const hostDevice = 0;
  const checksum = 0;
  const fields = [
    ...[h.inode, h.mode, owner, owner, h.links, h.time, h.size],
    ...[hostDevice, hostDevice, h.major, h.minor, nameBytes.length, checksum],
  ];
  const text = MAGIC + fields.map((n) => n.toString(16).padStart(8, '0')).join('');
  return toMultipleOf4(Buffer.concat([Buffer.from(text), nameBytes]));
}

/** The archive of a tree, with `time` (seconds since 1970) on every entry. */
export function cpio(tree: Tree, time: number): Buffer {
  const parts: Uint8Array[] = [];
  tree.entries().forEach((entry, index) => {
    const content = contentOf(entry);
    const device = entry.kind === 'character-device' ? entry : { major: 0, minor: 0 };
    parts.push(
      header(entry.path, {
        inode: index + 1,
        mode: TYPE_BITS[entry.kind] | entry.mode,
        links: entry.kind === 'directory' ? 2 : 1,
        time,
        size: content.length,
        major: device.major,
        minor: device.minor,
      }),
      toMultipleOf4(content),
    );
  });
  parts.push(header('TRAILER!!!', { inode: 0, mode: 0, links: 1, time: 0, size: 0, major: 0, minor: 0 }));
  return Buffer.concat(parts);
}
