/** Screens of made-up guests: characters as blocks, in dots and as PNG (RFC 2083, 8 bits of RGBA, no filter). Not shipped. */
import { crc32, deflateSync } from 'node:zlib';

export const WIDTH = 720;
export const HEIGHT = 400;
const CELL_WIDTH = 9;
const CELL_HEIGHT = 16;

/** RGBA, rows from the top. */
export function drawLines(lines: readonly string[]): Buffer {
  const dots = Buffer.alloc(WIDTH * HEIGHT * 4);
  const fill = (left: number, top: number, width: number, height: number, colour: number): void => {
    for (let y = top; y < Math.min(HEIGHT, top + height); y++) {
      for (let x = left; x < Math.min(WIDTH, left + width); x++) dots.writeUInt32BE(colour, (y * WIDTH + x) * 4);
    }
  };
  fill(0, 0, WIDTH, HEIGHT, 0x000000ff);
  for (const [row, line] of lines.entries()) {
    for (const [column, character] of [...line].entries()) {
      if (character === ' ') continue;
      const isTall = /[A-Z0-9bdfhklt[\]()/#]/.test(character);
      fill(column * CELL_WIDTH + 1, row * CELL_HEIGHT + (isTall ? 3 : 6), 7, isTall ? 10 : 7, 0xaaaaaaff);
    }
  }
  fill((lines.at(-1)?.length ?? 0) * CELL_WIDTH, Math.max(0, lines.length - 1) * CELL_HEIGHT + 13, 8, 2, 0xffffffff);
  return dots;
}

export function encodePng(dots: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(HEIGHT, 4);
  header.set([8, 6, 0, 0, 0], 8);
  const rows = Buffer.alloc(HEIGHT * (WIDTH * 4 + 1));
  for (let y = 0; y < HEIGHT; y++) dots.copy(rows, y * (WIDTH * 4 + 1) + 1, y * WIDTH * 4, (y + 1) * WIDTH * 4);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(data.length);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(body));
  return Buffer.concat([head, body, tail]);
}
