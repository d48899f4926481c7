import { describe, expect, it } from 'vitest';
import { edid } from './vga-edid.ts';

describe('the EDID', () => {
  it('is a base block whose bytes add up to nothing', () => {
    const block = edid();

    expect(block).toHaveLength(128);
    expect([...block.subarray(0, 8)]).toEqual([0, 255, 255, 255, 255, 255, 255, 0]);
    expect(block.reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
  });

  it('describes 1024x768 at 60 Hz first', () => {
    // Derived by hand from VESA DMT 10h: 65 MHz, 1344 dots and 806 lines in all.
    expect(Buffer.from(edid().subarray(54, 72)).toString('hex')).toBe('64190040410026301888360004c310000018');
  });

  it('has the chromaticities of sRGB, as every sRGB monitor', () => {
    expect(Buffer.from(edid().subarray(25, 35)).toString('hex')).toBe('ee91a3544c99260f5054');
  });
});
