import { describe, expect, test } from 'vitest';
import { commandOf, SHORTCUTS, type Press } from './shortcuts.ts';

const press = (key: string, change: Partial<Press> = {}): Press => ({
  key,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  defaultPrevented: false,
  ...change,
});

describe('shortcuts', () => {
  test('a key alone is a command; with Ctrl, Alt or Meta, or used by somebody else, it is not', () => {
    expect(commandOf(press('?'))).toBe('help');
    expect(commandOf(press('x'))).toBeUndefined();
    for (const change of [{ ctrlKey: true }, { altKey: true }, { metaKey: true }, { defaultPrevented: true }]) {
      expect(commandOf(press('n', change))).toBeUndefined();
    }
  });

  test('no two share a key, and each has words', () => {
    const keys = SHORTCUTS.map((shortcut) => shortcut.keys);

    expect(new Set(keys).size).toBe(keys.length);
    expect(SHORTCUTS.filter(({ what }) => what === '')).toEqual([]);
  });
});
