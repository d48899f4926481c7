/** CopyRect: dots that the viewer has already, elsewhere (RFC 6143, 7.7.2). What may be copied is decided in ../viewer-damage.ts. */
import type { ByteWriter } from '../byte-writer.ts';
import type { CopyRectangle } from '../geometry.ts';

export const copyRect = {
  id: 1,
  name: 'copyrect',
  /** Appends what follows the rectangle's header. */
  write: (out: ByteWriter, copy: CopyRectangle): void => void out.u16(copy.fromX).u16(copy.fromY),
};
