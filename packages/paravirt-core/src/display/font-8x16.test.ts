import { describe, expect, it } from 'vitest';
import { CODE_PAGE_437 } from './code-page-437.ts';
import { FONT_8X16, FONT_GLYPHS, FONT_HEIGHT } from './font-8x16.ts';

const glyph = (character: string): Uint8Array => {
  const code = CODE_PAGE_437.indexOf(character);
  return FONT_8X16.subarray(code * FONT_HEIGHT, (code + 1) * FONT_HEIGHT);
};
const picture = (character: string): string[] =>
  [...glyph(character)].map((bits) => bits.toString(2).padStart(8, '0').replaceAll('0', '.').replaceAll('1', '#'));

describe('the 8x16 font', () => {
  it('has all of code page 437, and no two visible characters look alike', () => {
    expect(FONT_8X16).toHaveLength(FONT_GLYPHS * FONT_HEIGHT);
    expect(new Set(CODE_PAGE_437).size).toBe(255); // code 0 is shown as a space
    const seen = new Map<string, string>();
    for (const character of CODE_PAGE_437) {
      if (character.trim() === '') continue;
      const key = picture(character).join('/');
      expect(seen.get(key), `${character} looks like ${seen.get(key)}`).toBeUndefined();
      expect(key).toContain('#');
      seen.set(key, character);
    }
  });

  it('keeps letters and digits off the cell border, so that they do not touch', () => {
    for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789') {
      expect(
        glyph(character).every((bits) => (bits & 0x80) === 0),
        character,
      ).toBe(true);
      expect(glyph(character)[15], character).toBe(0);
    }
  });

  it('joins lines at the cell borders', () => {
    const reaches = (character: string): Record<string, boolean> => ({
      left: glyph(character).some((bits) => (bits & 0x80) !== 0),
      right: glyph(character).some((bits) => (bits & 0x01) !== 0),
      up: glyph(character)[0] !== 0,
      down: glyph(character)[15] !== 0,
    });

    expect(reaches('┌')).toEqual({ left: false, right: true, up: false, down: true });
    expect(reaches('╣')).toEqual({ left: true, right: false, up: true, down: true });
    expect(reaches('╧')).toEqual({ left: true, right: true, up: true, down: false });
    expect(reaches('╫')).toEqual({ left: true, right: true, up: true, down: true });
  });

  it('leaves double lines open where they meet', () => {
    expect(picture('╬').slice(5, 10)).toEqual(['.##..##.', '###..###', '........', '###..###', '.##..##.']);
    expect(picture('╔').slice(5, 10)).toEqual(['........', '.#######', '.##.....', '.##..###', '.##..##.']);
    expect(picture('╦').slice(5, 10)).toEqual(['........', '########', '........', '###..###', '.##..##.']);
  });

  it('puts accents over letters and takes the dot off an i', () => {
    expect(picture('ï').slice(2, 7)).toEqual(['.##..##.', '.##..##.', '........', '..###...', '...##...']);
    expect(picture('Ä').slice(0, 5)).toEqual(['.##..##.', '.##..##.', '........', '...##...', '..####..']);
  });
});
