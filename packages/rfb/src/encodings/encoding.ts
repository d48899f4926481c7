/** What every encoding of dots is: a pure function of the picture, so that viewers with equal wishes share its result. */
import type { ByteWriter } from '../byte-writer.ts';
import type { Rectangle } from '../geometry.ts';
import type { Packers, Picture } from '../pixel-format.ts';
import type { ZlibStreams } from './zlib-streams.ts';

export interface EncodeRequest {
  readonly picture: Picture;
  /** Inside the picture, not empty. */
  readonly area: Rectangle;
  readonly packers: Packers;
  /** zlib's, 1 (fast) to 9 (small). */
  readonly level: number;
}

/** One rectangle of a FramebufferUpdate (RFC 6143, 7.6.1), for any viewer with the same pixel format. */
export interface EncodedRectangle extends Rectangle {
  /** Appends what follows the rectangle's header. May be called once for each of several viewers. */
  write(out: ByteWriter, streams: ZlibStreams): void;
}

export interface Encoding {
  /** The number in SetEncodings and in the rectangle's header. */
  readonly id: number;
  readonly name: string;
  /** Rectangles that together cover the area exactly once. */
  encode(request: EncodeRequest): EncodedRectangle[];
}

/** The parts of `area` that are at most `width` wide and `height` high, from the top, then from the left. */
export function split(area: Rectangle, width: number, height: number): Rectangle[] {
  const parts: Rectangle[] = [];
  for (let y = area.y; y < area.y + area.height; y += height) {
    for (let x = area.x; x < area.x + area.width; x += width) {
      parts.push({
        x,
        y,
        width: Math.min(width, area.x + area.width - x),
        height: Math.min(height, area.y + area.height - y),
      });
    }
  }
  return parts;
}
