import { describe, expect, test } from 'vitest';
import { OutputMatcher, WINDOW_CHARACTERS } from './output-matcher.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('OutputMatcher', () => {
  test('finds a match wherever the stream is cut', () => {
    const text = 'tiny login: ';

    for (let cut = 0; cut <= text.length; cut++) {
      const matcher = new OutputMatcher();
      matcher.push(bytes(text.slice(0, cut)));
      matcher.push(bytes(text.slice(cut)));

      expect(matcher.take(/tiny login:/), `cut at ${cut}`).toBe('tiny login:');
    }
  });

  test('finds a character whose bytes come one by one', () => {
    const matcher = new OutputMatcher();

    for (const byte of bytes('透明')) matcher.push(Uint8Array.of(byte));

    expect(matcher.take(/透明/)).toBe('透明');
  });

  test('uses up the text of a match, and only that', () => {
    const matcher = new OutputMatcher();
    matcher.push(bytes('one two three'));

    expect(matcher.take(/two/)).toBe('two');
    expect(matcher.take(/one|two/)).toBeNull();
    expect(matcher.take(/t.*/)).toBe('three');
  });

  test('takes lines as a terminal does: ^ and $ at carriage returns too, not where a match ended', () => {
    const matcher = new OutputMatcher();
    matcher.push(bytes('boot ok\r\ntiny login: '));

    expect(matcher.take(/^boot/m)).not.toBeNull();
    expect(matcher.take(/^ ok/m)).toBeNull();
    expect(matcher.take(/ok$/m)).not.toBeNull();
    expect(matcher.take(/^tiny/m)).not.toBeNull();
  });

  test('forgets old text, but not the newest', () => {
    const matcher = new OutputMatcher();
    matcher.push(bytes(`start${'.'.repeat(WINDOW_CHARACTERS)}end`));

    expect(matcher.take(/absent/)).toBeNull();
    expect(matcher.take(/start/)).toBeNull();
    expect(matcher.take(/end/)).not.toBeNull();
  });

  test('shows the last lines for an error message', () => {
    const matcher = new OutputMatcher();
    matcher.push(bytes('a\r\nb\r\nc\r\n'));

    expect(matcher.tail(2)).toBe('b\nc');
  });
});
