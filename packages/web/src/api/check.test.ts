import { TomeiError } from '@tomei/kit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { count, listOf, moment, parseJson, shape, text } from './check.ts';
import { parseEvent, parseGuest, parseRunner } from './views.ts';

const guest = {
  id: 'g-1',
  name: 'tiny',
  phase: 'running',
  power: 'on',
  run: 3,
  memoryMiB: 64,
  vcpus: 1,
  vmxPath: 'tiny/tiny.vmx',
  disks: [{ slot: 'ide0:0', path: 'tiny/tiny.vmdk' }],
  runner: 'runner-1',
  message: '',
  since: '2026-01-02T03:04:05.678Z',
  created: '2026-01-01T00:00:00.000Z',
  console: true,
  deleting: false,
  vnc: { port: null, password: true },
};

describe('answers', () => {
  test('a guest is read with times in milliseconds and fields that are not known left out', () => {
    expect(parseGuest({ ...guest, token: 'x' }, 'guest')).toEqual({
      ...guest,
      since: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
      created: Date.UTC(2026, 0, 1),
      serialPorts: [0],
      resizable: false,
    });
  });

  test.each([
    [{ phase: 'suspended' }, 'guest.phase'],
    [{ memoryMiB: -1 }, 'guest.memoryMiB'],
    [{ memoryMiB: 1.5 }, 'guest.memoryMiB'],
    [{ runner: undefined }, 'guest.runner'],
    [{ since: 'yesterday' }, 'guest.since'],
    [{ disks: [{ slot: 'ide0:0' }] }, 'guest.disks[0].path'],
    [{ vnc: { port: '5901', password: false } }, 'guest.vnc.port'],
  ])('a guest with %j is refused naming %s', (change, field) => {
    const read = (): unknown => parseGuest({ ...guest, ...change }, 'guest');

    expect(read).toThrow(`answered ${field} =`);
  });

  test('text that is not JSON, and an answer that is a list where an object belongs, are refused', () => {
    expect(() => parseJson('<html>', shape({ id: text }), 'answer')).toThrow('where JSON belongs');
    expect(() => parseJson('[]', shape({ id: text }), 'answer')).toThrow('where an object belongs');
    expect(() => parseJson('{}', listOf(count), 'answer')).toThrow('where a list belongs');
  });

  test('whatever comes, a parser answers or throws answer.malformed', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const parse of [parseGuest, parseRunner, parseEvent, moment]) {
          try {
            parse(value, 'x');
          } catch (error) {
            if (!(error instanceof TomeiError) || error.code !== 'answer.malformed') throw error;
          }
        }
      }),
    );
  });
});
