import { describe, expect, it } from 'vitest';
import { TomeiError } from '@tomei/kit';
import {
  MOST_SERIAL_BYTES,
  ackedFrame,
  clipboardEvent,
  helloOf,
  keyEvent,
  pointerEvent,
  screenSizeEvent,
  serialBytes,
} from './input.ts';

const refused = (check: () => unknown): string => {
  try {
    check();
  } catch (error) {
    if (error instanceof TomeiError) return `${error.code} ${String(error.data['field'])}`;
    throw error;
  }
  return 'nothing thrown';
};
const still = { dx: 0, dy: 0, dz: 0, buttons: 0 };

describe('what a caller sends', () => {
  it.each([0x01, 0x1c, 0x7f, 0xe001, 0xe04b, 0xe07f])('passes key %i on', (code) => {
    expect(keyEvent({ code, down: true })).toEqual({ kind: 'key', code, down: true });
  });
  it.each([0, 0x80, 0xff, 0xe000, 0xe080, 0x1_0000, 0xffff_ffff])('refuses key %i', (code) => {
    expect(refused(() => keyEvent({ code, down: true }))).toBe('console.bad-input key.code');
  });
  it('passes a mouse on, as far as one can go', () => {
    const pointer = { dx: -32_767, dy: 32_767, dz: -1, buttons: 7 };
    expect(pointerEvent(pointer)).toEqual({ kind: 'mouse', ...pointer });
    const placed = { ...still, at: { x: 0, y: 65_535 } };
    expect(pointerEvent(placed)).toEqual({ kind: 'mouse', ...placed });
  });
  it.each([
    [{ ...still, dx: 32_768 }, 'pointer.dx'],
    [{ ...still, dy: -(2 ** 31) }, 'pointer.dy'],
    [{ ...still, dz: 2 ** 31 - 1 }, 'pointer.dz'],
    [{ ...still, buttons: 8 }, 'pointer.buttons'],
    [{ ...still, at: { x: 65_536, y: 0 } }, 'pointer.at.x'],
    [{ ...still, at: { x: 0, y: 0xffff_ffff } }, 'pointer.at.y'],
  ])('refuses %o', (pointer, field) => {
    expect(refused(() => pointerEvent(pointer))).toBe(`console.bad-input ${field}`);
  });
  it('takes texts as long as the guest takes them, in bytes of UTF-8', () => {
    expect(clipboardEvent({ text: 'größer' })).toEqual({ kind: 'clipboard', text: 'größer' });
    expect(clipboardEvent({ text: 'x'.repeat(65_436) })).toMatchObject({ kind: 'clipboard' });
    expect(refused(() => clipboardEvent({ text: 'ä'.repeat(32_719) }))).toBe('console.bad-input clipboard.text');
  });
  it('takes sizes that a viewer can have, for a guest whose screen can change', () => {
    expect(screenSizeEvent({ width: 1, height: 65_535 }, true)).toEqual({
      kind: 'screen-size',
      width: 1,
      height: 65_535,
    });
    expect(refused(() => screenSizeEvent({ width: 0, height: 1 }, true))).toBe('console.bad-input screenSize.width');
    expect(refused(() => screenSizeEvent({ width: 1, height: 65_536 }, true))).toBe(
      'console.bad-input screenSize.height',
    );
    expect(refused(() => screenSizeEvent({ width: 1, height: 1 }, false))).toBe('console.bad-input screenSize');
  });
  it('refuses serial bytes for ports that are not there, and too many of them', () => {
    const data = new Uint8Array(3);
    expect(serialBytes({ port: 2, data }, [0, 2])).toEqual({ port: 2, data });
    expect(refused(() => serialBytes({ port: 1, data }, [0, 2]))).toBe('console.bad-input serial.port');
    expect(refused(() => serialBytes({ port: 0xffff_ffff, data }, []))).toBe('console.bad-input serial.port');
    const much = new Uint8Array(MOST_SERIAL_BYTES + 1);
    expect(refused(() => serialBytes({ port: 0, data: much }, [0]))).toBe('console.bad-input serial.data');
  });
  it('refuses to take thanks for a picture that was never sent', () => {
    expect(ackedFrame(3, 3)).toBe(3);
    expect(refused(() => ackedFrame(4, 3))).toBe('console.bad-input ack.frame');
  });
  it('wants a hello first', () => {
    expect(helloOf({ kind: 'hello', hello: { token: 't' } })).toBe('t');
    expect(refused(() => helloOf({ kind: 'key', key: { code: 1, down: true } }))).toBe('console.bad-input hello');
    expect(refused(() => helloOf(undefined))).toBe('console.bad-input hello');
  });
});
