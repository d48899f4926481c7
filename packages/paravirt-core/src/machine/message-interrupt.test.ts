import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage } from './message-interrupt.ts';

const at = (addressLow: number, data: number, addressHigh = 0) => decodeMessage({ addressLow, addressHigh, data });

describe('messages of devices to local APICs', () => {
  it.each([
    ['fixed, by APIC ID', 0xfee0_3000, 0x0041, { destination: 3, logical: false, mode: 'fixed', vector: 0x41 }],
    ['fixed, by logical ID, no hint', 0xfee0_1004, 0x0022, { destination: 1, logical: true, mode: 'fixed' }],
    ['fixed, hinted to one of several', 0xfeef_f00c, 0x0030, { destination: 0xff, logical: true, mode: 'lowest' }],
    ['lowest priority', 0xfee0_1004, 0x0130, { mode: 'lowest', vector: 0x30, level: false }],
    ['NMI', 0xfee0_0000, 0x0400, { mode: 'nmi' }],
    ['NMI, hinted', 0xfee0_0008, 0x0400, { mode: 'nmi' }],
    ['INIT', 0xfee0_0000, 0x0500, { mode: 'init' }],
    ['a level that is asserted', 0xfee0_0000, 0xc051, { mode: 'fixed', vector: 0x51, level: true }],
    ['an illegal vector, which the APIC sees to', 0xfee0_0000, 0x0005, { mode: 'fixed', vector: 5 }],
    ['reserved bits', 0xfee0_0ff0, 0xffff_3860, { destination: 0, mode: 'fixed', vector: 0x60 }],
  ] as const)('are %s', (_what, address, data, expected) => {
    expect(at(address, data)).toMatchObject(expected);
  });

  it.each([
    ['memory', 0x0010_0000, 0x41],
    ['the I/O APIC', 0xfec0_0000, 0x41],
    ['what lies behind', 0xfef0_0000, 0x41],
    ['SMI', 0xfee0_0000, 0x0200],
    ['the reserved mode 3', 0xfee0_0000, 0x0341],
    ['the reserved mode 6', 0xfee0_0000, 0x0641],
    ['ExtINT', 0xfee0_0000, 0x0700],
    ['a level that is de-asserted', 0xfee0_0000, 0x8041],
  ])('are none: %s', (_what, address, data) => {
    expect(at(address, data)).toBeUndefined();
  });

  it('are none above 4 GiB', () => {
    expect(at(0xfee0_0000, 0x41, 1)).toBeUndefined();
  });

  it('have a destination and a vector of eight bits, whatever they say', () => {
    const word = fc.nat(2 ** 32 - 1);

    fc.assert(
      fc.property(
        fc.oneof(
          word,
          fc.nat(0xf_ffff).map((n) => 0xfee0_0000 + n),
        ),
        word,
        (address, data) => {
          const message = at(address, data);
          if (message === undefined) return;
          expect(message.destination).toBe((address >>> 12) & 0xff);
          expect(message.vector).toBe(data & 0xff);
          expect(address >>> 20).toBe(0xfee);
        },
      ),
      { seed: 20_061 },
    );
  });
});
