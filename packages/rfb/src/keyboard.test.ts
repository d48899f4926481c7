import { describe, expect, test } from 'vitest';
import { Keyboard } from './keyboard.ts';
import type { KeyPress } from './viewer.ts';

const SHIFT_L = 0xffe1;
const CAPS_LOCK = 0xffe5;
const code = (character: string): number => character.charCodeAt(0);
/** `2a` down, `-2a` up. */
const text = (presses: readonly KeyPress[]): string =>
  presses.map(({ code, down }) => `${down ? '' : '-'}${code.toString(16)}`).join(' ');

/** Presses and releases each. */
function type(keyboard: Keyboard, ...keysyms: number[]): string {
  return text(keysyms.flatMap((k) => [...keyboard.keysym(k, true), ...keyboard.keysym(k, false)]));
}

describe('a keyboard of keysyms', () => {
  test.each<[name: string, keysym: number, keys: string]>([
    ['a', code('a'), '1e -1e'],
    ['m', code('m'), '32 -32'],
    ['1', code('1'), '2 -2'],
    ['0', code('0'), 'b -b'],
    ['=', code('='), 'd -d'],
    ['[', code('['), '1a -1a'],
    [';', code(';'), '27 -27'],
    ['`', code('`'), '29 -29'],
    ['backslash', code('\\'), '2b -2b'],
    ['/', code('/'), '35 -35'],
    ['space', 0x20, '39 -39'],
    ['Return', 0xff0d, '1c -1c'],
    ['KP_Enter', 0xff8d, 'e01c -e01c'],
    ['Escape', 0xff1b, '1 -1'],
    ['BackSpace', 0xff08, 'e -e'],
    ['Delete', 0xffff, 'e053 -e053'],
    ['Up', 0xff52, 'e048 -e048'],
    ['KP_8', 0xffb8, '48 -48'],
    ['KP_Up', 0xff97, '48 -48'],
    ['F1', 0xffbe, '3b -3b'],
    ['F10', 0xffc7, '44 -44'],
    ['F12', 0xffc9, '58 -58'],
    ['Alt_R', 0xffea, 'e038 -e038'],
    ['Super_L', 0xffeb, 'e05b -e05b'],
    ['U+0061', 0x01000061, '1e -1e'],
    ['line feed as a character', 0x0a, '1c -1c'],
    ['A without shift', code('A'), '2a 1e -2a -1e'],
    ['? without shift', code('?'), '2a 35 -2a -35'],
    ['ISO_Left_Tab', 0xfe20, '2a f -2a -f'],
    ['ä', 0xe4, ''],
    ['a keysym that there is not', 0xffffffff, ''],
  ])('knows %s', (_, keysym, keys) => {
    expect(type(new Keyboard(), keysym)).toBe(keys);
  });

  test('has a key for every printable character of ASCII', () => {
    const missing = Array.from({ length: 95 }, (_, i) => 0x20 + i).filter((c) => type(new Keyboard(), c) === '');
    expect(missing).toEqual([]);
  });

  test('leaves shift alone when it is held for a character that needs it', () => {
    const keyboard = new Keyboard();
    expect(text(keyboard.keysym(SHIFT_L, true))).toBe('2a');
    expect(type(keyboard, code('A'))).toBe('1e -1e');
    expect(text(keyboard.keysym(SHIFT_L, false))).toBe('-2a');
  });

  test('lets go of shift around a character that is shifted on the viewer’s layout only', () => {
    const keyboard = new Keyboard();
    keyboard.keysym(SHIFT_L, true);
    // German: shift and 7.
    expect(type(keyboard, code('/'))).toBe('-2a 35 2a -35');
  });

  test('leaves shift alone with keys that are no characters', () => {
    const keyboard = new Keyboard();
    keyboard.keysym(SHIFT_L, true);
    expect(type(keyboard, 0xff52)).toBe('e048 -e048');
  });

  test('turns shift around for letters while caps lock is on', () => {
    const keyboard = new Keyboard();
    expect(type(keyboard, CAPS_LOCK)).toBe('3a -3a');
    expect(type(keyboard, code('A'), code('1'), code('a'))).toBe('1e -1e 2 -2 2a 1e -2a -1e');
    type(keyboard, CAPS_LOCK);
    expect(type(keyboard, code('a'))).toBe('1e -1e');
  });

  test('repeats what the viewer repeats', () => {
    const keyboard = new Keyboard();
    expect(text([...keyboard.keysym(code('a'), true), ...keyboard.keysym(code('a'), true)])).toBe('1e 1e');
  });

  test('does not release what it has not pressed', () => {
    expect(text(new Keyboard().keysym(code('a'), false))).toBe('');
  });
});

describe('a keyboard of scan codes', () => {
  test.each<[name: string, xtCode: number, keys: string]>([
    ['a', 0x1e, '1e'],
    ['Up, which has 0xE0 before it', 0xc8, 'e048'],
    ['the highest', 0x7f, '7f'],
    ['more than a byte', 0x1e1e, ''],
    ['0xE0 alone', 0x80, ''],
    ['none, so by its keysym', 0, '30'],
  ])('knows %s', (_, xtCode, keys) => {
    expect(text(new Keyboard().scanCode(xtCode, code('b'), true))).toBe(keys);
  });

  test('does nothing about shift: the guest’s layout counts', () => {
    const keyboard = new Keyboard();
    keyboard.scanCode(0x2a, SHIFT_L, true);
    expect(text(keyboard.scanCode(0x08, code('/'), true))).toBe('8');
  });

  test('lets go of everything when the viewer goes', () => {
    const keyboard = new Keyboard();
    keyboard.scanCode(0x1d, 0xffe3, true);
    keyboard.scanCode(0xb8, 0xffea, true);
    keyboard.scanCode(0x1e, code('a'), true);
    keyboard.scanCode(0x1e, code('a'), false);
    expect(text(keyboard.release())).toBe('-1d -e038');
    expect(text(keyboard.release())).toBe('');
  });
});
