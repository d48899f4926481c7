import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { FakeSerial } from './fake-serial.ts';
import { shareSerial } from './serial-end.ts';
import { attachTerminal, type TerminalInput } from './terminal.ts';

/** A terminal's keyboard that remembers whether it is raw. */
class Keyboard extends PassThrough implements TerminalInput {
  readonly isTTY: boolean;
  raw = false;

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }
  setRawMode(raw: boolean): void {
    this.raw = raw;
  }
  press(text: string): void {
    this.emit('data', Buffer.from(text, 'latin1'));
  }
}

test('a terminal is raw while it is attached, and Ctrl-C goes to the guest', () => {
  const serial = new FakeSerial();
  const keyboard = new Keyboard(true);
  const terminal = attachTerminal(serial, keyboard, new PassThrough());

  keyboard.press('ls\r\x03');

  expect(keyboard.raw).toBe(true);
  expect(serial.typed).toBe('ls\r\x03');
  terminal.detach();
  expect(keyboard.raw).toBe(false);
});

test('Ctrl-] leaves: what was typed before goes to the guest, what comes after does not', async () => {
  const serial = new FakeSerial();
  const keyboard = new Keyboard(true);
  const terminal = attachTerminal(serial, keyboard, new PassThrough());

  keyboard.press('ab\x1dcd');
  keyboard.press('ef');
  await terminal.left;

  expect(serial.typed).toBe('ab');
  expect(keyboard.raw).toBe(false);
});

test('a pipe is passed on as it is, Ctrl-] too', () => {
  const serial = new FakeSerial();
  const pipe = new Keyboard(false);
  const terminal = attachTerminal(serial, pipe, new PassThrough());

  pipe.press('a\x1db');

  expect(serial.typed).toBe('a\x1db');
  expect(pipe.raw).toBe(false);
  terminal.detach();
});

test('output reaches the terminal and every other listener, until the terminal is detached', () => {
  const serial = new FakeSerial();
  const shared = shareSerial(serial);
  const screen = new PassThrough();
  let log = '';
  const terminal = attachTerminal(shared, new Keyboard(true), screen);
  shared.onData((bytes) => (log += Buffer.from(bytes).toString('latin1')));

  serial.say('one');
  terminal.detach();
  serial.say('two');

  expect((screen.read() as Buffer).toString()).toBe('one');
  expect(log).toBe('onetwo');
});
