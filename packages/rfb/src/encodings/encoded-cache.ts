/** What was encoded since the last frame, so that viewers who want the same are served by one encoding. */
import type { EncodeRequest, EncodedRectangle, Encoding } from './encoding.ts';

/** Dots whose encoding is kept at most: with raw, four bytes each. */
const MAX_DOTS = 4 * 1024 * 1024;

export class EncodedCache {
  private readonly entries = new Map<string, readonly EncodedRectangle[]>();
  private dots = 0;

  /** To be called whenever the picture has changed. */
  clear(): void {
    this.entries.clear();
    this.dots = 0;
  }

  /** `encoding.encode(request)`, of the picture that this cache belongs to. */
  encode(encoding: Encoding, request: EncodeRequest): readonly EncodedRectangle[] {
    const { area, packers, level } = request;
    const key = [encoding.id, level, area.x, area.y, area.width, area.height, packers.key].join();
    const known = this.entries.get(key);
    if (known !== undefined) return known;
    const encoded = encoding.encode(request);
    const dots = area.width * area.height;
    if (this.dots + dots <= MAX_DOTS) {
      this.entries.set(key, encoded);
      this.dots += dots;
    }
    return encoded;
  }
}
