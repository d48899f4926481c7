import { describe, expect, test } from 'vitest';
import { closeReason, consoleUrl, describeLink } from './link-state.ts';

describe('console connections', () => {
  test("an end is told in the server's words, else by what the code means", () => {
    expect([
      closeReason(4404, 'guest.missing: there is no guest "a"'),
      closeReason(1006, ''),
      closeReason(4999, ''),
    ]).toEqual(['There is no guest "a"', 'The connection was cut', 'The connection ended (WebSocket code 4999)']);
  });

  test('waits are told in whole seconds, at least one', () => {
    const wait = (delayMs: number): string => describeLink({ kind: 'waiting', reason: 'Cut', delayMs });

    expect([wait(200), wait(3900)]).toEqual(['Cut; trying again in 1 s', 'Cut; trying again in 4 s']);
  });

  test('addresses follow the page, with the id escaped', () => {
    expect([
      consoleUrl({ protocol: 'http:', host: 'h:8080' }, 'a/b', 'rfb', false),
      consoleUrl({ protocol: 'https:', host: 'h' }, 'g', 'serial/0', true),
    ]).toEqual(['ws://h:8080/console/guests/a%2Fb/rfb', 'wss://h/console/guests/g/serial/0?viewOnly=true']);
  });
});
