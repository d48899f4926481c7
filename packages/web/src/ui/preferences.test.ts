import { describe, expect, test } from 'vitest';
import { Preferences, nextTheme, type Theme } from './preferences.ts';

describe('preferences', () => {
  test('are kept, and what is stored but makes no sense counts as not chosen', () => {
    const kept = new Map([['tomei.theme', 'purple']]);
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (k: string, v: string) => void kept.set(k, v),
    };
    const preferences = new Preferences(() => storage);

    const before = [preferences.theme, preferences.isResizing];
    preferences.theme = 'dark';
    preferences.hasShortcuts = false;
    preferences.isResizing = true;

    const later = new Preferences(() => storage);
    expect(before).toEqual(['auto', false]);
    expect([later.theme, later.hasShortcuts, later.isScaled, later.isResizing]).toEqual(['dark', false, true, true]);
  });

  test('work where storage is forbidden', () => {
    const preferences = new Preferences(() => {
      throw new Error('SecurityError');
    });

    preferences.theme = 'dark';

    expect([preferences.theme, preferences.hasShortcuts]).toEqual(['auto', true]);
  });

  test('the theme button goes round', () => {
    const seen: Theme[] = ['auto'];
    for (let i = 0; i < 3; i++) seen.push(nextTheme(seen.at(-1)!));

    expect(seen).toEqual(['auto', 'light', 'dark', 'auto']);
  });
});
