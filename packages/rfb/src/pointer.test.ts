import { describe, expect, test } from 'vitest';
import { Pointer } from './pointer.ts';

describe('a pointer', () => {
  test('moves by the way between positions, from the second on', () => {
    const pointer = new Pointer();
    expect(pointer.moveTo(100, 50, 0, false)).toBeUndefined();
    expect(pointer.moveTo(110, 45, 0, false)).toEqual({ dx: 10, dy: -5, dz: 0, buttons: 0 });
    expect(pointer.moveTo(110, 45, 0, false)).toBeUndefined();
  });

  test('has the buttons where PS/2 has them', () => {
    const pointer = new Pointer();
    expect(pointer.moveTo(0, 0, 0b001, false)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0b001 });
    expect(pointer.moveTo(0, 0, 0b010, false)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0b100 });
    expect(pointer.moveTo(0, 0, 0b100, false)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0b010 });
    expect(pointer.moveTo(0, 0, 0b000, false)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0 });
  });

  test('turns the wheel once for a press of its button', () => {
    const pointer = new Pointer();
    expect(pointer.moveTo(0, 0, 0b10000, false)).toEqual({ dx: 0, dy: 0, dz: 1, buttons: 0 });
    expect(pointer.moveTo(0, 0, 0b10000, false)).toBeUndefined();
    expect(pointer.moveTo(0, 0, 0, false)).toBeUndefined();
    expect(pointer.moveTo(0, 0, 0b01000, false)).toEqual({ dx: 0, dy: 0, dz: -1, buttons: 0 });
  });

  test('takes movement from a viewer that sends it, and leaves out a position from before', () => {
    const pointer = new Pointer();
    expect(pointer.moveTo(0x7fff + 7, 0x7fff - 3, 1, true)).toEqual({ dx: 7, dy: -3, dz: 0, buttons: 1 });
    expect(pointer.moveTo(0x7fff, 0x7fff, 1, true)).toBeUndefined();
    expect(pointer.moveTo(640, 480, 1, true)).toBeUndefined();
  });

  test('lets go of its buttons when the viewer goes', () => {
    const pointer = new Pointer();
    pointer.moveTo(5, 5, 1, false);
    expect(pointer.release()).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0 });
    expect(pointer.release()).toBeUndefined();
  });
});
