import { describe, expect, test } from 'vitest';
import type { GuestView } from '../cluster/views.ts';
import { hasArrived } from './power.ts';

const at = (phase: string, more: Partial<GuestView> = {}): GuestView => ({
  id: 'g-1',
  name: 'tiny',
  phase,
  power: 'on',
  run: 2,
  memoryMiB: 64,
  vcpus: 1,
  vmxPath: 'tiny/tiny.vmx',
  disks: [],
  runner: null,
  message: '',
  since: '',
  created: '',
  console: false,
  deleting: false,
  vnc: null,
  ...more,
});

describe('waiting after tomei power', () => {
  test.each([
    ['on', at('pending'), false],
    ['on', at('starting'), false],
    ['on', at('lost'), false],
    ['on', at('running'), true],
    ['reset', at('stopping'), false],
    ['reset', at('running'), true],
    ['off', at('stopping', { power: 'off' }), false],
    ['off', at('off', { power: 'off' }), true],
    ['off', at('crashed', { power: 'off' }), true],
  ] as const)('%s: a guest as %j has arrived: %s', (action, now, arrived) => {
    expect(hasArrived(action, at('off'), now)).toBe(arrived);
  });

  test.each([
    ['on', at('crashed', { power: 'off', message: 'triple fault' }), 'guest.crashed'],
    ['on', at('off', { power: 'off' }), 'request.overtaken'],
    ['reset', at('running', { run: 3 }), 'request.overtaken'],
  ] as const)('%s: a guest as %j never arrives: %s', (action, now, code) => {
    expect(() => hasArrived(action, at('off'), now)).toThrow(expect.objectContaining({ code }) as Error);
  });
});
