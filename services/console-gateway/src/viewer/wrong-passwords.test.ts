import { describe, expect, test } from 'vitest';
import { WrongPasswords, networkOf } from './wrong-passwords.ts';

describe('wrong passwords', () => {
  const setUp = (mostKept?: number) => {
    const clock = { ms: 1000 };
    const guesses = new WrongPasswords(() => clock.ms, mostKept);
    const wrong = (times: number, peer = '192.0.2.1', guest = 'g') => {
      for (let i = 0; i < times; i++) guesses.tried(guest, peer, false);
    };
    return { clock, guesses, wrong };
  };

  test('are free at first; then there is a pause, and each further one makes it longer', () => {
    const { clock, guesses, wrong } = setUp();
    wrong(4);
    expect(guesses.refusal('g', '192.0.2.1')).toBeUndefined();
    wrong(1);
    expect(guesses.refusal('g', '192.0.2.1')).toBe('Too many wrong passwords: try again in 10 s');

    clock.ms += 9_999;
    expect(guesses.refusal('g', '192.0.2.1')).toBe('Too many wrong passwords: try again in 1 s');
    clock.ms += 1;
    expect(guesses.refusal('g', '192.0.2.1')).toBeUndefined();
    wrong(1);
    expect(guesses.refusal('g', '192.0.2.1')).toBe('Too many wrong passwords: try again in 20 s');
    wrong(2000);
    expect(guesses.refusal('g', '192.0.2.1')).toBe('Too many wrong passwords: try again in 900 s');
  });

  test('of one peer, at one guest, are nothing to others', () => {
    const { guesses, wrong } = setUp();
    wrong(5);

    expect(guesses.refusal('g', '192.0.2.2')).toBeUndefined();
    expect(guesses.refusal('h', '192.0.2.1')).toBeUndefined();
  });

  test('are forgotten after a right one, and after an hour', () => {
    const { clock, guesses, wrong } = setUp();
    wrong(4);
    guesses.tried('g', '192.0.2.1', true);
    wrong(4);
    expect(guesses.refusal('g', '192.0.2.1')).toBeUndefined();

    clock.ms += 3_600_000;
    wrong(4);
    expect(guesses.refusal('g', '192.0.2.1')).toBeUndefined();
  });

  test('take only so much memory', () => {
    const { guesses, wrong } = setUp(3);
    wrong(5, '192.0.2.1');
    for (let i = 2; i < 100; i++) wrong(5, `192.0.2.${i}`);

    expect(guesses.size).toBe(3);
    expect(guesses.refusal('g', '192.0.2.1')).toBeUndefined();
    expect(guesses.refusal('g', '192.0.2.99')).toBeDefined();
  });

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:0DB8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['', ''],
  ])('%s is one of %s', (peer, network) => {
    expect(networkOf(peer)).toBe(network);
  });
});
