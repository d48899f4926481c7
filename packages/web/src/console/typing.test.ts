import { describe, expect, test } from 'vitest';
import { serialTextOf, typingOf } from './typing.ts';

describe('typing text into a guest', () => {
  test('every printable ASCII character has a key, and its keysym is its code', () => {
    const printable = Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i)).join('');

    const { keystrokes, left } = typingOf(printable);

    expect(left).toEqual([]);
    expect(keystrokes.map((stroke) => String.fromCharCode(stroke.keysym)).join('')).toBe(printable);
  });

  test('keys are those of a US keyboard', () => {
    const keys = typingOf('aZ1!?"\t').keystrokes.map(({ code, shift }) => (shift ? `Shift+${code}` : code));

    expect(keys).toEqual(['KeyA', 'Shift+KeyZ', 'Digit1', 'Shift+Digit1', 'Shift+Slash', 'Shift+Quote', 'Tab']);
  });

  test('all kinds of line ends are one Enter', () => {
    expect(typingOf('a\r\nb\rc\n').keystrokes.map((stroke) => stroke.code)).toEqual([
      'KeyA',
      'Enter',
      'KeyB',
      'Enter',
      'KeyC',
      'Enter',
    ]);
    expect(serialTextOf('a\r\nb\rc\n')).toBe('a\rb\rc\r');
  });

  test('what has no key is left out and told once', () => {
    const { keystrokes, left } = typingOf('é😀aé');

    expect([keystrokes.length, left]).toEqual([1, ['é', '😀']]);
  });
});
