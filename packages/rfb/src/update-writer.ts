/** One FramebufferUpdate message (RFC 6143, 7.6.1). */
import { ByteWriter } from './byte-writer.ts';
import type { Rectangle } from './geometry.ts';
import type { SentRectangle } from './viewer.ts';

const FRAMEBUFFER_UPDATE = 0;
const COUNT_AT = 2;

export class UpdateWriter {
  count = 0;
  private readonly begun: { readonly encoding: number; readonly at: number }[] = [];
  private readonly out = new ByteWriter().u8(FRAMEBUFFER_UPDATE).zeros(3);

  /** Begins a rectangle; its body goes into what this returns. */
  begin({ x, y, width, height }: Rectangle, encoding: number): ByteWriter {
    this.count++;
    this.begun.push({ encoding, at: this.out.length });
    return this.out
      .u16(x)
      .u16(y)
      .u16(width)
      .u16(height)
      .u32(encoding >>> 0);
  }

  /** What was written until now, each with its head. */
  rectangles(): readonly SentRectangle[] {
    const { begun, out } = this;
    return begun.map(({ encoding, at }, i) => ({ encoding, bytes: (begun[i + 1]?.at ?? out.length) - at }));
  }

  toBytes(): Uint8Array {
    const bytes = this.out.toBytes();
    bytes[COUNT_AT] = this.count >> 8;
    bytes[COUNT_AT + 1] = this.count & 0xff;
    return bytes;
  }
}
