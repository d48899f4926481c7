import { describe, expect, test } from 'vitest';
import { TomeiError } from '@tomei/kit';
import { createConsoleLog, createLog, memoryLog, quietLog } from './log.ts';

/** What is written, line by line. */
function written(level?: 'debug' | 'warn'): { log: ReturnType<typeof createLog>; lines: string[] } {
  const lines: string[] = [];
  const log = createLog({ name: 'runner/r1', level, destination: { write: (line) => void lines.push(line) } });
  return { log, lines };
}

describe('a log', () => {
  test('writes one JSON line an entry: level, time, service, fields, message', () => {
    const { log, lines } = written();

    log.child({ guestId: 'g-1' }).info({ run: 2 }, 'a guest runs');

    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{.*\}\n$/);
    expect(JSON.parse(lines[0]!)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      service: 'runner/r1',
      guestId: 'g-1',
      run: 2,
      msg: 'a guest runs',
    });
  });

  test('writes from its level on', () => {
    const { log, lines } = written('warn');

    for (const level of ['debug', 'info', 'warn', 'error', 'fatal'] as const) log[level]({}, level);

    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['warn', 'error', 'fatal']);
  });

  test('writes no token and no password, down to the third level, also of its children', () => {
    const { log, lines } = written();
    const secrets = { token: 'secret', password: 'secret' };

    log.child({ vnc: secrets }).info({ ...secrets, spec: { vnc: secrets } }, 'a guest');

    expect(lines[0]).not.toContain('"secret"');
    expect(lines[0]!.match(/"\[secret\]"/g)).toHaveLength(6);
  });

  test('writes an error with its code and its data, any other with where it came from', () => {
    const { log, lines } = written();

    log.error({ error: new TomeiError('disk.busy', 'busy', { data: { path: 'a', token: 'x' } }) }, 'one');
    log.error({ error: new TypeError('a bug') }, 'two');
    log.error({ error: 'a text' }, 'three');

    const errors = lines.map((line) => (JSON.parse(line) as { error: unknown }).error);
    expect(errors).toEqual([
      { code: 'disk.busy', message: 'busy', path: 'a', token: '[secret]' },
      expect.objectContaining({
        type: 'TypeError',
        message: 'a bug',
        stack: expect.stringContaining('log.test') as string,
      }),
      'a text',
    ]);
  });

  test('for people is a line with the fields behind', () => {
    const lines: string[] = [];
    const log = createConsoleLog({ name: 'lab', write: (line) => void lines.push(line) });

    log.warn({ runnerId: 'r2', why: 'no answer', error: new Error('broken') }, 'a runner is lost');
    log.info({}, 'ready');

    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d warn {2}lab: a runner is lost {2}runnerId=r2 why="no answer" error="broken"\n$/,
    );
    expect(lines[1]).toMatch(/ info {2}lab: ready\n$/);
  });

  test('in memory keeps what would have been written', () => {
    const log = memoryLog();

    log.child({ a: 1 }).debug({ token: 'x' }, 'one');
    quietLog().fatal({}, 'nowhere');

    expect(log.entries).toEqual([{ level: 'debug', message: 'one', fields: { a: 1, token: '[secret]' } }]);
  });
});
