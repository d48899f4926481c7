import { describe, expect, test } from 'vitest';
import type { GuestView } from '../cluster/views.ts';
import { hasArrived, type Asked } from './power.ts';

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
  since: '2026-01-01T00:00:02Z',
  created: '',
  console: false,
  deleting: false,
  vnc: null,
  ...more,
});

/** The guest's first run had `phase` when it was asked for a second one. */
const asked = (action: Asked['action'], phase = 'off'): Asked => {
  const before = at(phase, { run: 1, since: '2026-01-01T00:00:01Z' });
  return { action, before, answer: { ...before, run: 2 } };
};
const old = { since: '2026-01-01T00:00:01Z' };

describe('waiting after tomei power', () => {
  test.each([
    [asked('on'), at('pending'), false],
    [asked('on'), at('starting'), false],
    [asked('on'), at('lost'), false],
    [asked('on'), at('running'), true],
    [asked('on', 'crashed'), at('crashed', old), false],
    [asked('reset'), at('stopping'), false],
    [asked('reset', 'running'), at('running', old), false],
    [asked('reset', 'running'), at('running'), true],
    [asked('off'), at('stopping', { power: 'off' }), false],
    [asked('off'), at('off', { power: 'off' }), true],
    [asked('off'), at('crashed', { power: 'off' }), true],
  ] as const)('%j: a guest as %j has arrived: %s', (request, now, arrived) => {
    expect(hasArrived(request, now)).toBe(arrived);
  });

  test('a guest that runs already has arrived at on', () => {
    const running = at('running');

    expect(hasArrived({ action: 'on', before: running, answer: running }, running)).toBe(true);
  });

  test.each([
    [asked('on'), at('crashed', { power: 'off', message: 'triple fault' }), 'guest.crashed'],
    [asked('on'), at('off', { power: 'off' }), 'request.overtaken'],
    [asked('reset'), at('running', { run: 3 }), 'request.overtaken'],
  ] as const)('%j: a guest as %j never arrives: %s', (request, now, code) => {
    expect(() => hasArrived(request, now)).toThrow(expect.objectContaining({ code }) as Error);
  });
});
