/** The console over real gRPC, before a guest of which only this side is there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsoleService } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { renderFrame } from '@tomei/paravirt-core';
import { GuestConsole } from './console.ts';
import { FakeGuest } from './fake-guest.ts';
import { MOST_SERIAL_BYTES } from './input.ts';
import { Viewer } from './viewer.ts';

const TOKEN = 'open sesame';
let folder: string, guest: FakeGuest, served: GuestConsole;
const viewers: Viewer[] = [];
const bugs: unknown[] = [];

function attach(options?: ConstructorParameters<typeof Viewer>[2], token = TOKEN): Viewer {
  const viewer = new Viewer(served.target, token, options);
  viewers.push(viewer);
  return viewer;
}
const attached = (viewer: Viewer) => viewer.until('attached', () => viewer.messages[0]?.attached);
const sees = (viewer: Viewer) =>
  viewer.until('the picture as it is', () => {
    const { rgba } = renderFrame(guest.view.view);
    return viewer.picture !== undefined && Buffer.compare(viewer.picture.rgba, rgba) === 0;
  });
const codeOf = async (viewer: Viewer): Promise<string> => {
  const error = await viewer.over;
  return error instanceof TomeiError ? error.code : String(error);
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-console-'));
  guest = new FakeGuest();
  const options = { bind: `unix:${folder}/console`, token: TOKEN };
  served = await GuestConsole.open(guest, { guestId: 'g-1', run: 3 }, options, (error) => bugs.push(error));
});
afterEach(async () => {
  for (const viewer of viewers.splice(0)) viewer.close();
  guest.isGone = true;
  await served.end('over');
  await rm(folder, { recursive: true });
  expect(bugs.splice(0)).toEqual([]);
});

describe('a caller', () => {
  it('hears what it is attached to, then gets a whole picture, then what changes', async () => {
    guest.draw((x, y) => x * 3 + y);
    const viewer = attach();
    expect(await attached(viewer)).toEqual({ guestId: 'g-1', run: 3, serialPorts: [0, 2], resizable: true });
    await sees(viewer);
    expect(viewer.frames[0]).toMatchObject({ number: 1, width: 64, height: 48, copies: [] });
    expect(viewer.frames[0]!.rectangles).toMatchObject([{ x: 0, y: 0, width: 64, height: 48 }]);

    guest.draw((x, y) => (x === 20 && y > 30 ? 0xff_ffff : x * 3 + y));
    await sees(viewer);
    expect(viewer.frames[1]).toMatchObject({ number: 2, rectangles: [{ x: 20, y: 31, width: 1, height: 17 }] });

    guest.resize(100, 30);
    guest.draw(() => 0x123456);
    await sees(viewer);
    expect(viewer.picture).toMatchObject({ width: 100, height: 30 });
  });

  it('hears the last that a port said before it came, from the beginning of a line on, and then what it says', async () => {
    served.serial(2, Buffer.from('hello\n'));
    served.serial(0, Buffer.from(`${'x'.repeat(70_000)}\nlogin: `));
    const viewer = attach();
    await viewer.until('history', () => viewer.serial[0]!.length > 0 && viewer.serial[2]!.length > 0);
    expect(viewer.serial).toEqual(['login: ', '', 'hello\n', '']);
    served.serial(0, Buffer.from('root\n'));
    await viewer.until('more', () => viewer.serial[0] === 'login: root\n');
  });

  it('gives the guest a text, and hears the newest of those that the guest copies', async () => {
    const viewer = attach();
    await attached(viewer);
    viewer.send({ clipboard: { text: 'größer' } });
    await expect.poll(() => guest.inputs).toEqual([{ kind: 'clipboard', text: 'größer' }]);
    served.copied('older');
    served.copied('newer');
    const texts = (): unknown[] => viewer.messages.flatMap(({ copied }) => copied ?? []);
    await expect.poll(() => texts().at(-1)).toEqual({ text: 'newer' });
  });
  it('asks the guest for a screen of another size', async () => {
    const viewer = attach();
    await attached(viewer);
    expect(viewer.messages[0]!.attached).toMatchObject({ resizable: true });
    viewer.send({ screenSize: { width: 800, height: 600 } });
    await expect.poll(() => guest.inputs).toEqual([{ kind: 'screen-size', width: 800, height: 600 }]);
  });
  it('types, presses keys and moves the mouse; what it held down is released when it goes', async () => {
    const viewer = attach();
    viewer.type(0, 'ls\n');
    viewer.type(2, 'x');
    viewer.send({ key: { code: 0x1d, down: true } });
    viewer.send({ key: { code: 0x2e, down: true } });
    viewer.send({ key: { code: 0x2e, down: false } });
    viewer.send({ pointer: { dx: -3, dy: 4, dz: 1, buttons: 1 } });
    // The first picture may come before what was sent arrives.
    await expect
      .poll(() => guest.inputs)
      .toEqual([
        { kind: 'key', code: 0x1d, down: true },
        { kind: 'key', code: 0x2e, down: true },
        { kind: 'key', code: 0x2e, down: false },
        { kind: 'mouse', dx: -3, dy: 4, dz: 1, buttons: 1 },
      ]);
    expect(guest.typed).toEqual(['ls\n', '', 'x', '']);
    guest.inputs.splice(0);
    viewer.close();
    await expect
      .poll(() => guest.inputs)
      .toEqual([
        { kind: 'key', code: 0x1d, down: false },
        { kind: 'mouse', dx: 0, dy: 0, dz: 0, buttons: 0 },
      ]);
  });

  it('gets no third picture before it has thanked for one, and then the newest', async () => {
    const viewer = attach({ acknowledges: false });
    await sees(viewer);
    guest.draw(() => 1);
    await sees(viewer);
    // A second caller sees the changes that the first one is not sent.
    const other = attach();
    for (const colour of [2, 3, 4]) {
      guest.draw(() => colour);
      await sees(other);
    }
    expect(viewer.frames).toHaveLength(2);
    viewer.acknowledge(1);
    await sees(viewer);
    expect(viewer.frames).toHaveLength(3);
  });

  it('costs nothing when it has gone: nobody looks at the screen any more', async () => {
    expect(guest.looks).toBe(0);
    const viewer = attach();
    await sees(viewer);
    viewer.close();
    let before = -1;
    // Once it is noticed that the caller is gone, no look follows within several times the longest pause.
    await expect
      .poll(
        () => {
          const still = guest.looks === before;
          before = guest.looks;
          return still;
        },
        { interval: 1000, timeout: 10_000 },
      )
      .toBe(true);
  });

  it('who does not read loses old serial output, and is told how much; nobody else does', async () => {
    const slow = attach({ reads: false }),
      quick = attach();
    await Promise.all([attached(slow), attached(quick)]);
    const line = Buffer.from(`${'y'.repeat(1023)}\n`);
    for (let i = 0; i < 4096; i++) {
      served.serial(0, line);
      // As the guest's own pace lets others take a turn.
      if (i % 64 === 0) await quick.until('all so far', () => quick.serial[0]!.length >= i * 1024);
    }
    served.serial(0, Buffer.from('end\n'));
    await quick.until('the end', () => quick.serial[0]!.endsWith('end\n'));
    expect(quick.serial[0]).toHaveLength(4 * 2 ** 20 + 4);
    slow.startReading();
    await slow.until('the end', () => slow.serial[0]!.endsWith('end\n'));
    const heard = slow.serial[0]!;
    const mark = /\r\n\[\d+ bytes left out: the reader was too slow\]\r\n/.exec(heard);
    expect({ mark: mark !== null, length: heard.length }).toEqual({ mark: true, length: expect.any(Number) });
    expect(heard.length).toBeLessThan(2 * 2 ** 20);
  });

  it('hears how the guest ended, after its last picture and words', async () => {
    const viewer = attach();
    await sees(viewer);
    served.serial(0, Buffer.from('reboot: Power down\n'));
    guest.draw(() => 0x77);
    guest.isGone = true;
    await served.end('power-off', guest.view);
    expect(await viewer.over).toBeUndefined();
    expect(viewer.messages.at(-1)).toMatchObject({ ended: { why: 'power-off' } });
    expect(viewer.serial[0]).toBe('reboot: Power down\n');
    expect(viewer.picture).toEqual(renderFrame(guest.view.view));
  });

  it('who does not read when the guest ends does not keep it from ending', async () => {
    const slow = attach({ reads: false });
    guest.resize(1024, 768);
    for (let i = 0; i < 300; i++) served.serial(0, new Uint8Array(1024).fill(65));
    await expect.poll(() => guest.looks).toBeGreaterThan(0);
    await served.end('power-off');
    slow.startReading();
    await slow.over;
  });
});

describe('who is no caller', () => {
  it.each(['', 'open sesam', 'open sesame ', 'x'.repeat(100_000)])('has a wrong token', async (token) => {
    const viewer = attach({}, token);
    expect(await codeOf(viewer)).toBe('console.denied');
    expect(viewer.messages).toEqual([]);
    await expect(viewer.client.calls.screenshot({ token })).rejects.toMatchObject({ code: 'console.denied' });
    expect(guest.screenshots).toBe(0);
  });
  it('says something else first', async () => {
    const { calls, close } = attach().client;
    const stream = calls.attach();
    stream.send({ key: { code: 1, down: true } });
    await expect(stream.messages[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'console.bad-input' });
    expect(guest.inputs).toEqual([]);
    close();
  });
  it.each([
    ['a key that is none', { key: { code: 0x80, down: true } }],
    ['a port that is not there', { serial: { port: 1, data: Uint8Array.of(1) } }],
    ['too many bytes at once', { serial: { port: 0, data: new Uint8Array(MOST_SERIAL_BYTES + 1) } }],
    ['thanks for nothing', { ack: { frame: 1_000_000 } }],
    ['another hello', { hello: { token: TOKEN } }],
  ])('sends %s', async (_, message) => {
    const viewer = attach(),
      other = attach();
    await attached(viewer);
    viewer.send(message);
    expect(await codeOf(viewer)).toBe('console.bad-input');
    await sees(other);
    expect(guest.inputs).toEqual([]);
  });
  it('sends bytes that are no message', async () => {
    const garbage = { ...ConsoleService.attach, requestSerialize: () => Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff]) };
    const viewer = attach({ service: { ...ConsoleService, attach: garbage } });
    expect(await viewer.over).toBeInstanceOf(TomeiError);
    await sees(attach());
  });
  it('is one too many', async () => {
    const eight = Array.from({ length: 8 }, () => attach());
    for (const viewer of eight) await attached(viewer);
    expect(await codeOf(attach())).toBe('console.busy');
    eight[0]!.close();
    await expect
      .poll(async () => {
        const again = attach();
        await Promise.race([again.over, attached(again)]);
        return again.messages.length;
      })
      .toBeGreaterThan(0);
  });
});

describe('a screenshot', () => {
  it('needs no stream', async () => {
    const viewer = attach();
    const { png, text } = await viewer.client.calls.screenshot({ token: TOKEN });
    expect([...png]).toEqual([1, 2, 3]);
    expect(text).toEqual(['login:']);
  });
  it('is refused when the guest is gone', async () => {
    const viewer = attach();
    await attached(viewer);
    guest.screenshot = () => Promise.reject(new TomeiError('guest.ended', 'the guest has ended'));
    await expect(viewer.client.calls.screenshot({ token: TOKEN })).rejects.toMatchObject({ code: 'guest.ended' });
  });
});
