/**
 * zlib streams that last as long as a viewer, made of pieces that know nothing of each other.
 *
 * RFB wants one zlib stream a viewer (ZRLE) or four (Tight), each piece flushed. node:zlib has no synchronous deflate that
 * keeps a stream, but a raw deflate that ends in a sync flush (RFC 1951 blocks, then an empty stored block) may follow any
 * other, since it refers to nothing before itself: a header (RFC 1950) once, then such pieces, is one valid stream. So the
 * work is native, synchronous, by the public interface, keeps no memory between updates, and is shared by all viewers that
 * want the same. What it costs is the history: measured, nothing on whole screens and little on single lines.
 */
import { constants, deflateRawSync } from 'node:zlib';
import type { ByteWriter } from '../byte-writer.ts';

/** RFC 1950, 2.2: deflate, 32 KiB window, fastest; the check bits make it a multiple of 31. */
const HEADER = new Uint8Array([0x78, 0x01]);
const EMPTY = new Uint8Array(0);

/** A flushed piece of any zlib stream. */
export function deflatePiece(bytes: Uint8Array, level: number): Uint8Array {
  return deflateRawSync(bytes, { level, finishFlush: constants.Z_SYNC_FLUSH });
}

/** Which streams one viewer has seen the beginning of. */
export class ZlibStreams {
  private readonly begun = new Set<string>();

  /** What goes before the next piece of that stream: its header, the first time. */
  header(stream: string): Uint8Array {
    if (this.begun.has(stream)) return EMPTY;
    this.begun.add(stream);
    return HEADER;
  }
}

/** Appends a piece with its length as `writeLength` has it. */
export function writePiece(
  out: ByteWriter,
  header: Uint8Array,
  piece: Uint8Array,
  writeLength: (out: ByteWriter, length: number) => void,
): void {
  writeLength(out, header.length + piece.length);
  out.bytes(header).bytes(piece);
}
