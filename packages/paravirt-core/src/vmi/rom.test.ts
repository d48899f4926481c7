/** The option ROM: what guests and firmware look at, and its code as a processor's decoder sees it. */
import { describe, expect, it } from 'vitest';
import { Decoder, allRows } from '../isa/index.ts';
import { ANSWERS, EVERY_CALL } from './answers.ts';
import { CALL, CALLS, CALL_NAMES, RELOCATION } from './interface.ts';
import { ROM_ALIGNMENT, vmiRom } from './rom.ts';

const textAt = (bytes: Uint8Array, at: number): string => {
  const end = bytes.indexOf(0, at);
  return String.fromCharCode(...bytes.subarray(at, end));
};

describe.each([
  ['as measured', ANSWERS],
  ['with every call', EVERY_CALL],
])('the ROM, %s', (_, answers) => {
  const { bytes, offsetOf } = vmiRom(answers),
    view = new DataView(bytes.buffer);

  it('is an option ROM whose bytes add up to nothing', () => {
    expect([...bytes.subarray(0, 4)]).toEqual([0x55, 0xaa, bytes.length / 512, 0xcb]);
    expect(bytes.length % ROM_ALIGNMENT).toBe(0);
    expect(bytes.length).toBeLessThanOrEqual(4096);
    expect(bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0);
  });
  it('has the header that guests look for', () => {
    expect(textAt(bytes, 8).slice(0, 4)).toBe('cVmi');
    expect([view.getUint8(12), view.getUint8(13), view.getUint8(14)]).toEqual([0, 3, CALLS]);
    expect(view.getUint32(0x10, true)).toBe(0);
    expect(textAt(bytes, view.getUint16(0x16, true))).toBe('GPL v2');
  });
  it("has PCI's and Plug and Play's structures", () => {
    const pcir = view.getUint16(0x18, true),
      pnp = view.getUint16(0x1a, true);
    expect(textAt(bytes, pcir).slice(0, 4)).toBe('PCIR');
    expect([view.getUint16(pcir + 4, true), view.getUint16(pcir + 6, true)]).toEqual([0x15ad, 0x0801]);
    expect([view.getUint16(pcir + 0x10, true), view.getUint8(pcir + 0x15)]).toEqual([bytes.length / 512, 0x80]);
    expect(textAt(bytes, pnp).slice(0, 4)).toBe('$PnP');
    expect(pnp % 16).toBe(0);
    expect(bytes.subarray(pnp, pnp + 32).reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0);
    expect(textAt(bytes, view.getUint16(pnp + 0xe, true))).toBe('Tomei');
  });
  it('says of each call what it should, and where its code is', () => {
    CALL_NAMES.forEach((name, number) => {
      const entry = 0x90 + 8 * number,
        type = view.getUint32(entry + 4, true);
      const wanted = name === 'SetCallbacks' ? 'NONE' : answers[name];
      expect([name, type]).toEqual([name, RELOCATION[wanted]]);
      expect([name, view.getUint32(entry, true)]).toEqual([name, type === 0 ? 0 : offsetOf.get(number)]);
    });
  });
  it('can be decoded from end to end, one call after the other', () => {
    const decoder = new Decoder(allRows),
      ends = [...offsetOf.values()].toSorted((a, b) => a - b);
    ends.forEach((start, i) => {
      const last = i === ends.length - 1;
      const end = last ? start + 1 : ends[i + 1]!;
      let at = start;
      while (at < end) {
        const found = decoder.decode(bytes, at, bytes.length, true);
        if (typeof found === 'string') throw new Error(`${found} at ${at}`);
        at += found.length;
      }
      if (!last) expect(at).toBe(end);
    });
  });
  it('leaves nothing undone that guests refuse to do, and the clock is whole', () => {
    for (const name of ['IRET', 'SYSEXIT'] as const) expect(answers[name]).not.toBe('NONE');
    const clock = ['GetCycleFrequency', 'GetCycleCounter', 'SetAlarm', 'CancelAlarm', 'GetWallclockTime'] as const;
    expect(clock.map((name) => answers[name])).toEqual(clock.map(() => 'CALL'));
    expect(CALL.SetLazyMode).toBe(73);
  });
});
