import { messages } from '@tomei/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WriteMessage } from './write-message.ts';

test('is the message that the codec of the contracts makes of it, however often it is sent', () => {
  const request = fc.record({
    id: fc.integer({ min: 0, max: 0xffff_ffff }),
    leaseId: fc.string({ maxLength: 400 }),
    epoch: fc.maxSafeNat(),
  });
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.uint8Array({ maxLength: 3000 }), request, request, (offset, bytes, ...heads) => {
      const write = new WriteMessage(offset, bytes);
      for (const head of heads) {
        const message = messages.TransferRequest.decode(write.encoded(messages.TransferRequest.encode(head)));
        expect({ ...message, write: { offset, data: [...message.write!.data] } }).toEqual({
          ...messages.TransferRequest.make({ ...head, write: {} }),
          write: { offset, data: [...bytes] },
        });
        expect(message.write!.offset).toBe(offset);
      }
    }),
  );
});
test('keeps what was in shared memory when it was made', () => {
  const memory = new Uint8Array(new SharedArrayBuffer(512)).fill(1);
  const write = new WriteMessage(0, memory);
  memory.fill(2);
  expect([...new Set(write.data)]).toEqual([1]);
});
