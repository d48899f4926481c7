import { describe, expect, test } from 'vitest';
import { ReleaseChord, type KeyMoment } from './release-chord.ts';

/** Plays `+Control -Control`: presses and releases, with the modifiers as a browser states them. */
function play(script: string): boolean[] {
  const chord = new ReleaseChord();
  const down = new Set<string>();
  return script.split(' ').map((step) => {
    const key = step.slice(1);
    const type = step.startsWith('+') ? 'keydown' : 'keyup';
    if (type === 'keydown') down.add(key);
    else down.delete(key);
    const moment: KeyMoment = {
      type,
      key,
      ctrlKey: down.has('Control'),
      altKey: down.has('Alt'),
      shiftKey: down.has('Shift'),
    };
    return chord.feed(moment);
  });
}
const released = (script: string): boolean => play(script).some(Boolean);

describe('leaving a console by the keyboard', () => {
  test.each([
    '+Control +Alt +Shift -Shift -Alt -Control',
    '+Shift +Control +Alt -Control -Alt -Shift',
    '+Control +Alt +Shift +Shift +Shift -Alt -Control -Shift',
  ])('%s leaves, at the last release', (script) => {
    const steps = play(script);

    expect(steps.indexOf(true)).toBe(steps.length - 1);
  });

  test.each([
    '+Control +Alt -Alt -Control',
    '+Control +Alt +Shift +F1 -F1 -Shift -Alt -Control',
    '+a +Control +Alt +Shift -Shift -Alt -Control -a',
    '+Control -Control +Alt -Alt +Shift -Shift',
    '+Control +Alt +Delete -Delete -Alt -Control',
  ])("%s is the guest's", (script) => {
    expect(released(script)).toBe(false);
  });

  test('a combination of the guest does not spoil the next chord', () => {
    expect(released('+Control +c -c -Control +Control +Alt +Shift -Shift -Alt -Control')).toBe(true);
  });
});
