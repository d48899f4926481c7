import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeCompletion, decodeRequest, encodeCompletion, encodeRequest } from './disk-messages.ts';

const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER });

test('every request and every completion arrives as it was sent', () => {
  const request = fc.record({
    disk: fc.nat(255),
    id: fc.nat(0xffff_ffff),
    kind: fc.constantFrom('read', 'write', 'flush', 'discard', 'write-zeroes'),
    unmap: fc.boolean(),
    sector: whole,
    count: whole,
    segments: fc.array(fc.record({ address: whole, length: fc.nat(0xffff_ffff) }), { maxLength: 300 }),
  });
  fc.assert(
    fc.property(request, (sent) => {
      expect(decodeRequest(encodeRequest(sent))).toEqual(sent);
    }),
    { seed: 1 },
  );
  fc.assert(
    fc.property(fc.nat(255), fc.nat(0xffff_ffff), fc.boolean(), (disk, id, ok) => {
      expect(decodeCompletion(encodeCompletion({ disk, id, ok }))).toEqual({ disk, id, ok });
    }),
    { seed: 2 },
  );
});

test.each([NaN, -1, 0.5, 2 ** 53, Infinity])('an address of %s is beyond everything when it arrives', (address) => {
  const request = {
    disk: 0,
    id: 1,
    kind: 'read',
    unmap: false,
    sector: 0,
    count: 1,
    segments: [{ address, length: 1 }],
  } as const;
  expect(decodeRequest(encodeRequest(request)).segments[0]!.address).toBeGreaterThan(2 ** 63);
});
