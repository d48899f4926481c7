import { describe, expect, test } from 'vitest';
import type { EventView, GuestView, Phase } from '../api/views.ts';
import {
  describeEvent,
  describeState,
  formatAgo,
  formatMemory,
  formatSize,
  powerChoices,
  screenshotName,
} from './format.ts';

const guest = (change: Partial<GuestView>): GuestView => ({
  id: 'g',
  name: 'tiny',
  phase: 'off',
  power: 'off',
  run: 0,
  memoryMiB: 64,
  vcpus: 1,
  vmxPath: 'tiny/tiny.vmx',
  disks: [],
  runner: null,
  message: '',
  since: 0,
  created: 0,
  console: false,
  deleting: false,
  vnc: null,
  serialPorts: [0],
  resizable: false,
  ...change,
});

const event = (noun: string, verb: string, change: Partial<EventView> = {}): EventView => ({
  sequence: 1,
  id: 'e',
  at: 0,
  source: 'controller',
  noun,
  subjectId: 'x-1',
  verb,
  guestName: noun === 'guest' ? 'tiny' : '',
  runnerId: '',
  run: 1,
  message: '',
  ...change,
});

describe('words for people', () => {
  test('sizes', () => {
    expect([0, 64, 1024, 1536, 8192].map(formatMemory)).toEqual(['0 MiB', '64 MiB', '1 GiB', '1.5 GiB', '8 GiB']);
    expect([0, 1023, 1024, 3_500_000, 2 ** 43].map(formatSize)).toEqual([
      '0 bytes',
      '1023 bytes',
      '1 KiB',
      '3.3 MiB',
      '8 TiB',
    ]);
  });

  test('times, also when the server is ahead of the page', () => {
    const ages = [-60_000, 0, 4_999, 5_000, 61_000, 3_600_000, 47 * 3_600_000, 49 * 3_600_000];

    expect(ages.map((age) => formatAgo(1e12 - age, 1e12))).toEqual([
      'just now',
      'just now',
      'just now',
      '5 s ago',
      '1 min ago',
      '1 h ago',
      '47 h ago',
      '2 days ago',
    ]);
  });

  test('states', () => {
    const at = (change: Partial<GuestView>): string => describeState(guest(change), 120_000);

    expect([at({}), at({ phase: 'running' }), at({ phase: 'running', since: 119_000 })]).toEqual([
      'Off',
      'Running for 2 min',
      'Running',
    ]);
    expect([at({ phase: 'pending' }), at({ phase: 'running', deleting: true })]).toEqual([
      'Waiting for a runner',
      'Being removed',
    ]);
  });

  test('events are sentences, with the runner where there is one; verbs of tomorrow stay as they are', () => {
    const sentence = (...args: Parameters<typeof event>): string => {
      const { subject, words } = describeEvent(event(...args));
      return `${subject} ${words}`;
    };

    expect([
      sentence('guest', 'running', { runnerId: 'r1' }),
      sentence('guest', 'starting'),
      sentence('guest', 'crashed', { guestName: '' }),
      sentence('runner', 'lost'),
      sentence('guest', 'teleported'),
    ]).toEqual(['tiny runs on r1', 'tiny is starting', 'x-1 crashed', 'x-1 is no longer heard of', 'tiny teleported']);
  });

  test('a guest that waits for a runner or lost one can be told to stay off; one that stops or goes cannot be told anything', () => {
    const choices = (phase: Phase, power: 'on' | 'off', deleting = false): string =>
      Object.entries(powerChoices(guest({ phase, power, deleting })))
        .filter(([, may]) => may)
        .map(([name]) => name)
        .join(' ');

    expect({
      off: choices('off', 'off'),
      crashed: choices('crashed', 'off'),
      pending: choices('pending', 'on'),
      lost: choices('lost', 'on'),
      running: choices('running', 'on'),
      stopping: choices('stopping', 'off'),
      deleting: choices('running', 'on', true),
    }).toEqual({
      off: 'on',
      crashed: 'on',
      pending: 'off',
      lost: 'off',
      running: 'off reset shutdown',
      stopping: '',
      deleting: '',
    });
  });

  test('names of pictures are safe as file names', () => {
    const at = new Date(2026, 0, 2, 3, 4, 5);

    expect([screenshotName('tiny', at), screenshotName('../a/b:c', at), screenshotName('', at)]).toEqual([
      'tiny 2026-01-02 03.04.05.png',
      '_a_b_c 2026-01-02 03.04.05.png',
      'guest 2026-01-02 03.04.05.png',
    ]);
  });
});
