/** Serial ports over WebSocket, on real sockets, with guests that print what the test says. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Rig } from './testing/rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.start();
});
afterEach(() => rig.close());

/** A viewer that keeps what it sees. */
class Terminal {
  readonly socket: WebSocket;
  text = '';
  closed = '';
  private waiting: (() => void)[] = [];

  constructor(guestId: string, port = 0, query = '') {
    this.socket = new WebSocket(rig.url(`/console/guests/${guestId}/serial/${port}${query}`).replace('http', 'ws'));
    this.socket.on('message', (data, isBinary) => {
      this.text += isBinary ? (data as Buffer).toString('latin1') : '(text)';
      this.look();
    });
    this.socket.on('close', (code, reason) => {
      this.closed = `${code} ${reason.toString()}`;
      this.look();
    });
    this.socket.on('error', (error) => {
      this.closed = error.message;
      this.look();
    });
  }
  until(condition: (terminal: this) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (condition(this)) resolve();
      else this.waiting.push(check);
    };
    check();
    return promise;
  }
  private look(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const check of waiting) check();
  }
}

describe('a serial port', () => {
  test('is seen by all who watch, and what was printed before they came too', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const first = new Terminal(id);
    await guest.until((g) => g.attachments === 1);
    guest.print(0, 'tiny login: ');
    await first.until((t) => t.text === 'tiny login: ');

    const second = new Terminal(id);
    await second.until((t) => t.text === 'tiny login: ');
    guest.print(0, 'root');
    await Promise.all([first, second].map((t) => t.until(({ text }) => text === 'tiny login: root')));

    expect(guest.attachments).toBe(1);
  });

  test('takes bytes of any value, in order, as many as are pasted', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id, { serialPorts: [0, 1] });
    const terminal = new Terminal(id, 1);
    await once(terminal.socket, 'open');
    await guest.until((g) => g.attachments === 1);
    guest.print(1, '>');
    await terminal.until((t) => t.text === '>');

    const pasted = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) & 0xff));
    terminal.socket.send(pasted);
    await guest.until((g) => g.typed[1]!.length === pasted.length);

    expect(guest.typed[1] === pasted.toString('latin1')).toBe(true);
    expect(guest.typed[0]).toBe('');
  });

  test('takes what is typed while the gateway is still reaching the guest', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const terminal = new Terminal(id);
    terminal.socket.once('open', () => {
      terminal.socket.send(Buffer.from('early '));
      terminal.socket.send(Buffer.from('bird'));
    });

    await guest.until((g) => g.typed[0]!.length >= 'early bird'.length);

    expect(guest.typed[0]).toBe('early bird');
  });

  test('of a guest that is off nothing remains of what is typed', async () => {
    const id = await rig.register();
    const terminal = new Terminal(id);
    await once(terminal.socket, 'open');
    terminal.socket.send(Buffer.from('nobody '));
    terminal.socket.ping();
    await once(terminal.socket, 'pong');

    const guest = await rig.powerOn(id);
    await guest.until((g) => g.attachments === 1);
    guest.print(0, '>');
    await terminal.until((t) => t.text === '>');
    terminal.socket.send(Buffer.from('here'));
    await guest.until((g) => g.typed[0]!.endsWith('here'));

    expect(guest.typed[0]).toBe('here');
  });

  test('takes nothing from those who only watch', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const watching = new Terminal(id, 0, '?viewOnly=true');
    const working = new Terminal(id);
    await Promise.all([once(watching.socket, 'open'), once(working.socket, 'open')]);
    await guest.until((g) => g.attachments === 1);
    guest.print(0, '#');
    await Promise.all([watching, working].map((t) => t.until(({ text }) => text === '#')));

    watching.socket.send(Buffer.from('rm'));
    // The answer to a ping shows that what was sent before it has been read.
    watching.socket.ping();
    await once(watching.socket, 'pong');
    working.socket.send(Buffer.from('ls'));
    await guest.until((g) => g.typed[0] !== '');

    expect(guest.typed[0]).toBe('ls');
  });

  test('that is not there ends the viewer with a reason', async () => {
    const id = await rig.register();
    await rig.powerOn(id, { serialPorts: [0] });

    const terminal = new Terminal(id, 2);
    await terminal.until((t) => t.closed !== '');

    expect(terminal.closed).toMatch(/^4404 serial.missing: the guest has no serial port 2; it has 0/);
  });

  test('goes on for its viewers when the guest is started anew', async () => {
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const terminal = new Terminal(id);
    await guest.until((g) => g.attachments === 1);
    guest.print(0, 'one ');
    await terminal.until((t) => t.text === 'one ');

    await guest.end('reset');
    const again = await rig.powerOn(id, { run: 2 });
    await again.until((g) => g.attachments === 1);
    again.print(0, 'two');

    await terminal.until((t) => t.text === 'one two');
  });

  test('skips output for a viewer that does not keep up, and shows it the end', async () => {
    await rig.close();
    rig = await Rig.start({ limits: { serialBacklogBytes: 100_000, scrollbackBytes: 10_000 } });
    const id = await rig.register();
    const guest = await rig.powerOn(id);
    const slow = new Terminal(id);
    const fast = new Terminal(id);
    await Promise.all([once(slow.socket, 'open'), once(fast.socket, 'open')]);
    await guest.until((g) => g.attachments === 1);
    guest.print(0, '>');
    await Promise.all([slow, fast].map((t) => t.until(({ text }) => text === '>')));
    slow.socket.pause();

    const block = 'x'.repeat(100_000);
    for (let i = 1; i <= 200; i++) {
      guest.print(0, block);
      await fast.until((t) => t.text.length === 1 + i * block.length);
    }
    guest.print(0, 'the end');
    await fast.until((t) => t.text.endsWith('the end'));
    slow.socket.resume();
    await slow.until((t) => t.text.endsWith('the end'));

    expect(slow.text).toContain('\r\n[some output was skipped]\r\nxxx');
    expect(slow.text.length).toBeLessThan(fast.text.length);
  });
});
