import { messages } from '@tomei/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PiecePool, ReadPiece, SERVED_DISKS } from './read-piece.ts';

test('is the message that the codec of the contracts reads, also out of a buffer that was used before', () => {
  const pool = new PiecePool();
  const piece = fc.tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.uint8Array({ maxLength: 3000 }), fc.boolean());
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
      for (const [id, bytes, more] of pieces) {
        const made = new ReadPiece(pool, bytes.length);
        made.data.set(bytes);
        // As grpc-js does: copied at once.
        const sent = Buffer.from(SERVED_DISKS.transfer.responseSerialize({ id, more, piece: made }));
        const { data, ...rest } = messages.TransferResponse.decode(sent);
        expect(rest).toEqual({ id, more, contentId: '' });
        expect([...data]).toEqual([...bytes]);
      }
    }),
  );
});
test("a buffer is nobody else's until its message is made", () => {
  const pool = new PiecePool();
  const [first, second] = [new ReadPiece(pool, 4096), new ReadPiece(pool, 4096)];
  expect(first.data.buffer).not.toBe(second.data.buffer);
  first.encoded(1, false);
  expect(new ReadPiece(pool, 4000).data.buffer).toBe(first.data.buffer);
});
test('no more than a few MiB are kept', () => {
  const pool = new PiecePool();
  const pieces = Array.from({ length: 100 }, () => new ReadPiece(pool, 256 << 10));
  for (const piece of pieces) piece.encoded(1, false);
  const again = new Set(pieces.map(() => new ReadPiece(pool, 256 << 10).data.buffer));
  expect(pieces.filter((piece) => again.has(piece.data.buffer))).toHaveLength(32);
});
