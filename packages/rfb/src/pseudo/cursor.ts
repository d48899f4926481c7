/** The pointer that a viewer draws itself (RFC 6143, 7.8.1). The guest's own is part of its picture, and lags behind. */
import type { ByteWriter } from '../byte-writer.ts';
import { BLACK } from '../framebuffer.ts';
import type { PixelPacker } from '../pixel-format.ts';
import type { UpdateWriter } from '../update-writer.ts';
import { PSEUDO } from './ids.ts';

const WHITE = 0xffffffff;

/** `#` black, `.` white, anything else lets the picture through. The hot spot is the top left corner. */
const ARROW = [
  '#           ',
  '##          ',
  '#.#         ',
  '#..#        ',
  '#...#       ',
  '#....#      ',
  '#.....#     ',
  '#......#    ',
  '#.......#   ',
  '#........#  ',
  '#.....##### ',
  '#..#..#     ',
  '#.# #..#    ',
  '##  #..#    ',
  '#    #..#   ',
  '     #..#   ',
  '      ##    ',
];

/** Puts the cursor's rectangle into an update: the arrow, or one without dots, which hides the viewer's own. */
export function writeCursor(update: UpdateWriter, cursor: 'arrow' | 'none', packer: PixelPacker): void {
  const rows = cursor === 'arrow' ? ARROW : [];
  const width = rows[0]?.length ?? 0;
  const out = update.begin({ x: 0, y: 0, width, height: rows.length }, PSEUDO.cursor);
  const dots = [...rows.join('')].map((dot) => packer.wire(dot === '.' ? WHITE : BLACK));
  packer.write(out, Uint32Array.from(dots), dots.length);
  for (const row of rows) writeMask(out, row);
}

/** A bit a dot, the leftmost highest, rows of whole bytes. */
function writeMask(out: ByteWriter, row: string): void {
  for (let column = 0; column < row.length; column += 8) {
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) if ((row[column + bit] ?? ' ') !== ' ') byte |= 0x80 >> bit;
    out.u8(byte);
  }
}
