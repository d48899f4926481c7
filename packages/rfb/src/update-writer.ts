/** One FramebufferUpdate message (RFC 6143, 7.6.1). */
import { ByteWriter } from './byte-writer.ts';
import type { Rectangle } from './geometry.ts';

const FRAMEBUFFER_UPDATE = 0;
const COUNT_AT = 2;

export class UpdateWriter {
  count = 0;
  private readonly out = new ByteWriter().u8(FRAMEBUFFER_UPDATE).zeros(3);

  /** Begins a rectangle; its body goes into what this returns. */
  begin({ x, y, width, height }: Rectangle, encoding: number): ByteWriter {
    this.count++;
    return this.out
      .u16(x)
      .u16(y)
      .u16(width)
      .u16(height)
      .u32(encoding >>> 0);
  }

  toBytes(): Uint8Array {
    const bytes = this.out.toBytes();
    bytes[COUNT_AT] = this.count >> 8;
    bytes[COUNT_AT + 1] = this.count & 0xff;
    return bytes;
  }
}
