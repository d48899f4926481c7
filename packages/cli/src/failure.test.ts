import { PassThrough } from 'node:stream';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { EXIT, TomeiError } from '@tomei/kit';
import { describeError, exitCodeOf, reportError } from './failure.ts';

const thrownBy = (action: () => unknown): unknown => {
  try {
    return action();
  } catch (error) {
    return error;
  }
};
const report = (error: unknown, debug: boolean): string => {
  const stream = new PassThrough();
  reportError(error, { debug }, stream);
  return String(stream.read());
};
const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC', path: '/x' });

describe('exitCodeOf', () => {
  test.each<[string, unknown, number]>([
    ['a wrong option', new TomeiError('usage.pattern', 'x'), EXIT.usage],
    ['a bad file', new TomeiError('vmx.syntax', 'x'), EXIT.badInput],
    ['a missing package', new TomeiError('package.missing', 'x'), EXIT.hostTrouble],
    ['a full disk behind a file', new TomeiError('disk.full', 'x', { cause: full }), EXIT.hostTrouble],
    ['a server that is not there', new TomeiError('server.unreachable', 'x'), EXIT.hostTrouble],
    ['a guest that nobody knows', new TomeiError('guest.missing', 'x'), EXIT.failed],
    ['a guest that is off', new TomeiError('guest.not-running', 'x'), EXIT.failed],
    ['a guest without a balloon', new TomeiError('guest.no-balloon', 'x'), EXIT.failed],
    ['more memory than there is', new TomeiError('guest.bad-memory', 'x'), EXIT.usage],
    ['a guest that crashed', new TomeiError('guest.crashed', 'x'), EXIT.guestCrashed],
    ['anything else of ours', new TomeiError('queue.closed', 'x'), EXIT.failed],
    ['a file that is not there', thrownBy(() => readFileSync('/nowhere/x')), EXIT.badInput],
    ['a full disk', full, EXIT.hostTrouble],
    ['a bug', new TypeError('x'), EXIT.failed],
    ['a thrown text', 'x', EXIT.failed],
  ])('%s', (_, error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });
});

describe('reportError', () => {
  test('a situation is one line', () => {
    expect(report(new TomeiError('vmx.syntax', 'a.vmx:3: no value'), false)).toBe('tomei: a.vmx:3: no value\n');
  });

  test('what the system says is in words and names the file', () => {
    expect(describeError(thrownBy(() => readFileSync('/nowhere/x')))).toBe('/nowhere/x does not exist');
  });

  test('a bug says that it is one, and shows where only when asked', () => {
    const bug = new TypeError('undefined is not a function');

    expect(report(bug, false)).toMatch(/^tomei: internal error: .*\n.*--debug prints\n$/);
    expect(report(bug, true)).toContain('failure.test.ts');
  });

  test('--debug shows every cause', () => {
    const error = new TomeiError('vmx.missing', 'outer', { cause: new Error('inner') });

    expect(report(error, true)).toMatch(/outer[^]*Error: inner/);
  });
});
