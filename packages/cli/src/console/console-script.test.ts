import { expect, test } from 'vitest';
import { describeFailure, playScript, type After } from './console-script.ts';
import { FakeSerial } from './fake-serial.ts';
import { discStep, expectStep, powerButtonStep, sendStep } from './steps.ts';

const never: After = () => () => undefined;
const none = (): Promise<void> => Promise.resolve();

test('plays steps in their order: a text is typed after the match before it', async () => {
  const serial = new FakeSerial();
  const script = playScript(serial, [expectStep('login:'), sendStep('root\\n'), expectStep('# $')], 1000, none, never);

  serial.say('tiny log');
  expect(serial.typed).toBe('');
  serial.say('in: ');
  expect(serial.typed).toBe('root\n');
  serial.say('tiny:~# ');

  expect(await script.result).toEqual({ matched: true });
});

test('a pattern does not match output from before the match of the step before', async () => {
  const serial = new FakeSerial();
  const script = playScript(serial, [expectStep('done'), expectStep('done')], 1000, none, never);

  serial.say('done\n');
  script.guestEnded();

  expect(await script.result).toMatchObject({ matched: false, why: 'ended' });
});

test('output that comes at once satisfies several steps', async () => {
  const serial = new FakeSerial();
  const script = playScript(serial, [expectStep('a'), sendStep('x'), expectStep('b')], 1000, none, never);

  serial.say('a b');

  expect(await script.result).toEqual({ matched: true });
  expect(serial.typed).toBe('x');
});

test('a guest that answers while it is typed at gets each text once', async () => {
  const serial = new FakeSerial();
  serial.answer = (text) => serial.say(`echo ${text}`);
  const script = playScript(
    serial,
    [sendStep('1'), expectStep('echo 1'), sendStep('2'), expectStep('2')],
    1000,
    none,
    never,
  );

  expect(await script.result).toEqual({ matched: true });
  expect(serial.typed).toBe('12');
});

test('a script without a pattern is done when it has typed', async () => {
  const serial = new FakeSerial();

  const script = playScript(serial, [sendStep('hello')], 1000, none, never);

  expect(await script.result).toEqual({ matched: true });
});

test('the end of the time names the pattern and shows the last output', async () => {
  const serial = new FakeSerial();
  const timers: { ms: number; fire: () => void }[] = [];
  const after: After = (ms, fire) => {
    timers.push({ ms, fire });
    return () => undefined;
  };
  const script = playScript(serial, [expectStep('login:')], 90_000, none, after);
  serial.say('Kernel panic\r\nrebooting');

  expect(timers.map((timer) => timer.ms)).toEqual([90_000]);
  timers[0]!.fire();

  const result = await script.result;
  expect(result).toMatchObject({ matched: false, why: 'timeout', tail: 'Kernel panic\nrebooting' });
  expect(result.matched || result.why === 'failed' ? '' : describeFailure(result, 90_000)).toMatch(
    /login: within 90 seconds[^]*Kernel panic/,
  );
});

test('the clock is called off when the script is done', async () => {
  const serial = new FakeSerial();
  let cancelled = 0;
  const script = playScript(serial, [expectStep('x')], 1000, none, () => () => void cancelled++);

  serial.say('x');
  await script.result;

  expect(cancelled).toBe(1);
});

test('the step behind something that is done to the machine waits for it', async () => {
  const serial = new FakeSerial();
  const done = Promise.withResolvers<void>();
  const steps = [expectStep('a'), powerButtonStep(), sendStep('x'), expectStep('b')];
  const script = playScript(serial, steps, 1000, () => done.promise, never);

  serial.say('a b');
  await Promise.resolve();
  expect(serial.typed).toBe('');
  done.resolve();

  expect(await script.result).toEqual({ matched: true });
  expect(serial.typed).toBe('x');
});

test('what cannot be done to the machine ends the script', async () => {
  const serial = new FakeSerial();
  const error = new Error('no such drive');
  const script = playScript(serial, [discStep('ide1:0='), sendStep('x')], 1000, () => Promise.reject(error), never);

  expect(await script.result).toEqual({ matched: false, why: 'failed', error });
  expect(serial.typed).toBe('');
});

test('a guest that ends while something is done to it leaves the next pattern without hope', async () => {
  const serial = new FakeSerial();
  const script = playScript(serial, [powerButtonStep(), expectStep('x')], 1000, none, never);

  script.guestEnded();

  expect(await script.result).toMatchObject({ matched: false, why: 'ended' });
});
