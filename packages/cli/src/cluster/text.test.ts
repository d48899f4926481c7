import { describe, expect, test } from 'vitest';
import { ago, describeGuest, eventLine, guestTable, plain, runnerTable, table } from './text.ts';
import type { GuestView } from './views.ts';

const NOW = Date.UTC(2026, 0, 2, 12);
const guest: GuestView = {
  id: 'g-1',
  name: 'tiny',
  phase: 'running',
  power: 'on',
  run: 2,
  memoryMiB: 64,
  vcpus: 1,
  vmxPath: 'tiny/tiny.vmx',
  disks: [{ slot: 'ide0:0', path: 'tiny/tiny.vmdk' }],
  runner: 'lab',
  message: '',
  since: new Date(NOW - 5000).toISOString(),
  created: new Date(NOW - 100_000).toISOString(),
  console: true,
  deleting: false,
  vnc: { port: 5901, password: true },
};

describe('guests for a person', () => {
  test('stand in columns under headings', () => {
    const crashed = { ...guest, name: 'a longer name', phase: 'crashed', runner: null, message: 'triple fault' };

    expect(guestTable([guest, crashed], NOW).split('\n')).toEqual([
      'NAME           STATE    SINCE  MEMORY  VCPUS  RUNNER  MESSAGE',
      'tiny           running  5 s    64 MiB  1      lab',
      'a longer name  crashed  5 s    64 MiB  1      -       triple fault',
    ]);
  });

  test('the last column ends where the terminal does; a file gets all of it', () => {
    const rows = [['x', 'a message that is long']];

    expect(table(['A', 'B'], rows, 16)).toBe('A  B\nx  a message ...');
    expect(table(['A', 'B'], rows)).toContain('that is long');
  });

  test('all facts of one, aligned', () => {
    const text = describeGuest(guest, 'http://x');

    expect(text).toContain('state       running since 2026-01-02T11:59:55.000Z');
    expect(text).toContain('ide0:0      tiny/tiny.vmdk');
    expect(text).toContain('page        http://x/guests/g-1');
    expect(text).toContain('vnc         port 5901, with a password');
  });
});

test('runners show what is in use', () => {
  const runner = {
    id: 'r1',
    state: 'ready',
    memoryMiB: 1024,
    usedMemoryMiB: 64,
    vcpus: 8,
    usedVcpus: 1,
    guests: 1,
    lastSeen: new Date(NOW).toISOString(),
    version: '0.1.0',
  };

  expect(runnerTable([runner], NOW).split('\n')[1]).toBe(
    'r1      ready  1       64 of 1024 MiB  1 of 8  0 s ago  0.1.0',
  );
});

test('an event is one line, whatever its message has in it', () => {
  const line = eventLine({
    at: '2026-01-02T12:00:00Z',
    noun: 'guest',
    subjectId: 'g-1',
    verb: 'crashed',
    guestName: 'tiny',
    message: 'first\nsecond \u001b[2J\u202Ethird',
  });

  expect(line).toMatch(/^\d\d:\d\d:\d\d {2}tiny {14}crashed {5}first second \[2J third$/);
});

test.each([
  ['a\u0000b', 'a b'],
  ['\u001b]0;title\u0007', ']0;title'],
  ['漢字 é', '漢字 é'],
])('%j is shown as %j', (text, shown) => {
  expect(plain(text)).toBe(shown);
});

test.each([
  [0, '0 s'],
  [99, '99 s'],
  [100, '2 min'],
  [7200, '2 h'],
  [86_400 * 3, '3 d'],
  [-5, '0 s'],
])('%i seconds ago: %s', (seconds, shown) => {
  expect(ago(new Date(NOW - seconds * 1000).toISOString(), NOW)).toBe(shown);
});
