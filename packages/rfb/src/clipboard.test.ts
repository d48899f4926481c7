/** Texts that are copied on either side, by viewers of Latin-1 and by those of any text, noVNC among them. */
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { TestScene, hex } from './test-scene.ts';
import { say } from './test-viewer.ts';

const EXTENDED = 0xc0a1_e5ce | 0;
const PROVIDE = 0x1000_0001,
  REQUEST = 0x0200_0001,
  NOTIFY = 0x0800_0001;
const u32 = (n: number): Buffer => Buffer.from([n >>> 24, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff]);
/** An extended message of a viewer. */
const message = (flags: number, data: Uint8Array = Buffer.alloc(0)): Buffer =>
  Buffer.concat([Buffer.from([6, 0, 0, 0]), u32(-(4 + data.length) >>> 0), u32(flags), data]);
const packed = (text: string, size = Buffer.byteLength(text)): Buffer =>
  deflateSync(Buffer.concat([u32(size), Buffer.from(text)]));
/** Of a viewer that takes any text, and has said so. */
function able(): TestScene {
  const scene = new TestScene().connect().receive(say.encodings([0, EXTENDED]));
  expect(scene.hex()).toBe(hex('03 000000 fffffff8 1f000001 00040000'));
  return scene.receive(message(0x1f00_0001, u32(0)));
}

describe('a viewer of Latin-1', () => {
  test('gets what the guest copies, with question marks for what it does not know', () => {
    const scene = new TestScene().connect();
    scene.session.cutText('caf\xe9 漢🙂\n');
    expect(scene.hex()).toBe(hex('03 000000 00000008 636166e9203f3f0a'));
  });
  test('gets the newest when there is room, and nothing when it only watches', () => {
    const scene = new TestScene().connect();
    scene.canSend = false;
    scene.session.cutText('older');
    scene.session.cutText('new');
    expect(scene.hex()).toBe('');
    scene.canSend = true;
    scene.session.pump();
    scene.session.pump();
    expect(scene.hex()).toBe(hex('03 000000 00000003 6e6577'));
    const watching = new TestScene({ viewOnly: true }).connect().receive(say.encodings([0, EXTENDED]));
    watching.session.cutText('new');
    expect(watching.hex()).toBe('');
  });
});

describe('a viewer of any text', () => {
  test('is told that there is one, and gets it when it asks', () => {
    const scene = able();
    scene.session.cutText('größer 漢🙂\nend');
    expect(scene.hex()).toBe(hex('03 000000 fffffffc 08000001'));
    scene.receive(message(REQUEST));
    const answer = scene.hex();
    const size = Buffer.byteLength('größer 漢🙂\r\nend\0');
    const data = packed('größer 漢🙂\r\nend\0', size);
    expect(answer).toBe(`03000000${u32(-(4 + data.length) >>> 0).toString('hex')}10000001${data.toString('hex')}`);
  });
  test('gets nothing where nothing was copied, whatever it asks', () => {
    const scene = able().receive(message(REQUEST), message(0x0200_0002), message(NOTIFY & ~1), message(0x0100_0000));
    expect(scene.hex()).toBe('');
    expect(scene.receive(message(0x0400_0000)).hex()).toBe(hex('03 000000 fffffffc 08000000'));
  });
  test('is asked for what its person has copied, and may send it unasked', () => {
    const scene = able();
    expect(scene.receive(message(NOTIFY)).hex()).toBe(hex('03 000000 fffffffc 02000001'));
    scene.receive(message(PROVIDE, packed('größer 漢🙂\r\nend\0')), message(PROVIDE, packed('plain')));
    scene.receive(message(0x1000_0002, packed('rich')), say.cutText('old'));
    expect(scene.texts).toEqual(['größer 漢🙂\nend', 'plain', 'old']);
  });
  test.each<[string, Buffer, RegExp]>([
    ['no stream', message(PROVIDE, Buffer.from('no stream')), /cannot be unpacked/],
    ['nothing', message(PROVIDE), /shorter than it says/],
    ['less than it says', message(PROVIDE, packed('abc', 4)), /shorter than it says/],
    ['a text as large as a disk', message(PROVIDE, deflateSync(Buffer.alloc(8 << 20))), /more than 262144 bytes/],
  ])('is cut off when it sends %s', (_, bytes, why) => {
    const scene = able().receive(bytes);
    expect(scene.endings[0]).toMatch(why);
    expect(scene.texts).toEqual([]);
  });
  test('that sends what is too long is let go on', () => {
    const scene = able().receive(message(PROVIDE, Buffer.alloc(262_145)), say.key(0x61, true));
    expect([scene.texts, scene.keys, scene.endings]).toEqual([[], [{ code: 0x1e, down: true }], []]);
  });
});
