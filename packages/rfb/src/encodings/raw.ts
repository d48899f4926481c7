/** Raw: the dots as they are (RFC 6143, 7.7.1). Every viewer understands it. */
import { ByteWriter } from '../byte-writer.ts';
import type { Encoding } from './encoding.ts';

export const raw: Encoding = {
  id: 0,
  name: 'raw',
  encode({ picture, area, packers }) {
    const count = area.width * area.height;
    const values = new Uint32Array(count);
    packers.pixel.convert(picture, area, values);
    const body = new ByteWriter(count * packers.pixel.bytes);
    packers.pixel.write(body, values, count);
    return [{ ...area, write: (out) => void out.bytes(body.written()) }];
  },
};
