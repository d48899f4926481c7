import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { guestId, guestName, newGuestId, newId, runnerId, subjects } from './index.ts';

const refused = (code: string): unknown => expect.objectContaining({ code });

describe('an id', () => {
  test.each(['a', 'g-0123456789ab', 'runner-1', '0', 'x'.repeat(63)])('%s is one', (text) => {
    expect(guestId(text)).toBe(text);
    expect(runnerId(text)).toBe(text);
  });

  test.each(['', '-', 'a-', '-a', 'A', 'a b', 'a.b', 'a/b', '*', '>', '../x', 'ä', 'a\n', 'x'.repeat(64)])(
    '%j is none',
    (text) => {
      expect(() => guestId(text)).toThrow(refused('guest.bad-id'));
      expect(() => runnerId(text)).toThrow(refused('runner.bad-id'));
    },
  );

  test('that is made is one, and not one that was there', () => {
    const made = Array.from({ length: 1_000 }, newGuestId);

    for (const id of made) expect(guestId(id)).toBe(id);
    expect(new Set([...made, newId(), newId()]).size).toBe(1_002);
  });

  test('that is refused is shown in part, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 64 }), (text) => {
        try {
          guestId(text);
          expect.unreachable();
        } catch (error) {
          expect((error as Error).message.length).toBeLessThan(700);
        }
      }),
    );
  });
});

describe('a name of a guest', () => {
  test.each(['a', 'Windows 2000 (old)', 'tiny.vmx', 'Fenêtre', '日本語', '1+1', 'a-b_c', 'x'.repeat(64)])(
    '%s is one',
    (text) => {
      expect(guestName(text)).toBe(text);
    },
  );

  test.each(['', ' ', ' a', 'a ', '.a', 'a.', 'a/b', 'a\tb', '<script>', 'a"b', 'a\u202eb', 'x'.repeat(65)])(
    '%j is none',
    (text) => {
      expect(() => guestName(text)).toThrow(refused('guest.bad-name'));
    },
  );
});

describe('subjects', () => {
  test('are what other programs know them as', () => {
    expect({
      command: subjects.runnerCommand('r1'),
      heartbeat: subjects.runnerHeartbeat('r1'),
      everyHeartbeat: subjects.everyHeartbeat,
      event: subjects.event({ noun: 'guest', subjectId: 'g-1', verb: 'started' }),
      everyEvent: subjects.everyEvent,
      eventsOf: subjects.eventsOf('guest', 'g-1'),
    }).toEqual({
      command: 'tomei.v1.runner.r1.command',
      heartbeat: 'tomei.v1.runner.r1.heartbeat',
      everyHeartbeat: 'tomei.v1.runner.*.heartbeat',
      event: 'tomei.v1.event.guest.g-1.started',
      everyEvent: 'tomei.v1.event.>',
      eventsOf: 'tomei.v1.event.guest.g-1.*',
    });
  });
});
