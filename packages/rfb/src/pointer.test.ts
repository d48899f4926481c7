import { describe, expect, test } from 'vitest';
import { Pointer } from './pointer.ts';

const PICTURE = { width: 641, height: 481 };
const at = (x: number, y: number) => ({ at: { x: Math.round((x / 640) * 65_535), y: Math.round((y / 480) * 65_535) } });

describe('a pointer', () => {
  test('moves by the way between positions, from the second on, and says where it is', () => {
    const pointer = new Pointer();
    expect(pointer.moveTo(100, 50, 0, PICTURE)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0, ...at(100, 50) });
    expect(pointer.moveTo(110, 45, 0, PICTURE)).toEqual({ dx: 10, dy: -5, dz: 0, buttons: 0, ...at(110, 45) });
    expect(pointer.moveTo(110, 45, 0, PICTURE)).toBeUndefined();
  });

  test('has the buttons where PS/2 has them', () => {
    const pointer = new Pointer();
    expect(pointer.moveTo(0, 0, 0b001, PICTURE)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0b001, ...at(0, 0) });
    expect(pointer.moveTo(0, 0, 0b010, PICTURE)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0b100, ...at(0, 0) });
    expect(pointer.moveTo(0, 0, 0b100, PICTURE)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0b010, ...at(0, 0) });
    expect(pointer.moveTo(0, 0, 0b000, PICTURE)).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0, ...at(0, 0) });
  });

  test('turns the wheel once for a press of its button', () => {
    const pointer = new Pointer();
    expect(pointer.moveTo(0, 0, 0b10000, PICTURE)).toEqual({ dx: 0, dy: 0, dz: 1, buttons: 0, ...at(0, 0) });
    expect(pointer.moveTo(0, 0, 0b10000, PICTURE)).toBeUndefined();
    expect(pointer.moveTo(0, 0, 0, PICTURE)).toBeUndefined();
    expect(pointer.moveTo(0, 0, 0b01000, PICTURE)).toEqual({ dx: 0, dy: 0, dz: -1, buttons: 0, ...at(0, 0) });
  });

  test('takes movement from a viewer that sends it, and leaves out a position from before', () => {
    const pointer = new Pointer();
    expect(pointer.moveTo(0x7fff + 7, 0x7fff - 3, 1, undefined)).toEqual({ dx: 7, dy: -3, dz: 0, buttons: 1 });
    expect(pointer.moveTo(0x7fff, 0x7fff, 1, undefined)).toBeUndefined();
    expect(pointer.moveTo(640, 480, 1, undefined)).toBeUndefined();
  });

  test('is at the edge where a viewer says that it is outside, and at 0 of a picture of one pixel', () => {
    expect(new Pointer().moveTo(641, 9999, 0, PICTURE)).toMatchObject({ at: { x: 65_535, y: 65_535 } });
    expect(new Pointer().moveTo(3, 0, 0, { width: 1, height: 1 })).toMatchObject({ at: { x: 0, y: 0 } });
  });

  test('lets go of its buttons when the viewer goes', () => {
    const pointer = new Pointer();
    pointer.moveTo(5, 5, 1, PICTURE);
    expect(pointer.release()).toEqual({ dx: 0, dy: 0, dz: 0, buttons: 0 });
    expect(pointer.release()).toBeUndefined();
  });
});
