import { describe, expect, test } from 'vitest';
import { TomeiError } from '@tomei/kit';
import type { GuestEnd } from '@tomei/guest';
import { resetPauseMs, verdictOf } from './outcome.ts';

const ended = (why: GuestEnd['why'], more: Partial<GuestEnd> = {}) =>
  ({ kind: 'ended', end: { why, status: 0, ...more } }) as const;
const failed = (error: unknown) => ({ kind: 'failed', error }) as const;
const BY_ITSELF = { stopping: undefined, killed: false };
const ASKED = { stopping: 'asked', killed: false };

describe('how a process ended, and what becomes of its run', () => {
  test.each([
    [ended('power-off'), BY_ITSELF, 'RUN_PHASE_ENDED', 'power-off', /powered itself off/],
    [ended('halted'), BY_ITSELF, 'RUN_PHASE_ENDED', 'halted', /halted/],
    [ended('exit', { status: 3 }), BY_ITSELF, 'RUN_PHASE_ENDED', 'exit', /status 3/],
    [ended('triple-fault', { detail: 'at 0x10' }), BY_ITSELF, 'RUN_PHASE_CRASHED', 'triple-fault', /at 0x10/],
    [failed(new TomeiError('guest.crashed', 'SIGSEGV')), BY_ITSELF, 'RUN_PHASE_CRASHED', 'guest.crashed', /SIGSEGV/],
    [
      failed(new TomeiError('kernel.missing', 'no vmlinuz')),
      BY_ITSELF,
      'RUN_PHASE_CRASHED',
      'kernel.missing',
      /vmlinuz/,
    ],
    [failed(new Error('what')), BY_ITSELF, 'RUN_PHASE_CRASHED', 'guest.failed', /what/],
    [ended('stopped'), ASKED, 'RUN_PHASE_ENDED', 'stopped', /^asked$/],
    [ended('reset'), ASKED, 'RUN_PHASE_ENDED', 'stopped', /^asked$/],
    [ended('power-off'), ASKED, 'RUN_PHASE_ENDED', 'power-off', /powered itself off/],
    [failed(new Error('gone')), ASKED, 'RUN_PHASE_ENDED', 'stopped', /asked; gone/],
    [failed(new Error('SIGKILL')), { stopping: 'asked', killed: true }, 'RUN_PHASE_ENDED', 'stopped', /by force/],
  ] as const)('%j, %j: %s %s', (outcome, meanwhile, phase, why, message) => {
    expect(verdictOf(outcome, meanwhile)).toEqual({
      kind: 'over',
      phase,
      why,
      message: expect.stringMatching(message) as string,
    });
  });

  test('a reset that the guest asks for goes on with the next process', () => {
    expect(verdictOf(ended('reset'), BY_ITSELF)).toEqual({ kind: 'again' });
  });
});

test.each([
  [60_000, 0, 0],
  [100, 1, 200],
  [100, 2, 400],
  [100, 9, 5_000],
  [100, 1e6, 5_000],
])('a guest that lived %i ms, the %i. time in a row, waits %i ms', (livedMs, shortLives, pauseMs) => {
  expect(resetPauseMs(livedMs, shortLives)).toBe(pauseMs);
});
