import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Framebuffer } from './framebuffer.ts';
import { COLOUR_MAP_FORMAT, SERVER_FORMAT } from './pixel-format.ts';
import { TestScene, hex } from './test-scene.ts';
import { TestViewer, ids, say } from './test-viewer.ts';

/** `count` dots, the n-th red n, green 16 * n, blue 255 - n. */
const dots = (count: number): Uint8Array =>
  Uint8Array.from(Array.from({ length: count }, (_, n) => [n, 16 * n, 255 - n, 255]).flat());

function paint(framebuffer: Framebuffer, x: number, y: number, width: number, height: number): void {
  framebuffer.apply({
    width: framebuffer.width,
    height: framebuffer.height,
    copies: [],
    rectangles: [{ x, y, width, height, rgba: dots(width * height) }],
  });
}

/** FramebufferUpdate with one rectangle, up to its body. */
const update = (x: number, y: number, width: number, height: number, encoding: number): string =>
  Buffer.from([0, 0, 0, 1, 0, x, 0, y, 0, width, 0, height, 0, 0, 0, encoding]).toString('hex');

describe('updates', () => {
  test('come when they are asked for, and once', () => {
    const scene = new TestScene().connect();
    paint(scene.framebuffer, 0, 0, 2, 1);
    expect(scene.session.pump()).toBe(false);

    scene.receive(say.request(false, 0, 0, 2, 1));
    expect(scene.hex()).toBe(update(0, 0, 2, 1, 0) + hex('ff 00 00 00  fe 10 01 00'));

    paint(scene.framebuffer, 1, 0, 1, 1);
    expect(scene.session.pump()).toBe(false);
    expect(scene.hex()).toBe('');
  });

  test('are told to their owner rectangle by rectangle, however many go out together', () => {
    const scene = new TestScene().connect();
    scene.receive(say.encodings([ids.copyRect, ids.desktopSize]), say.request(false, 0, 0, 4, 2)).hex();
    scene.receive(say.request(true, 0, 0, 4, 2));
    scene.rectangles.length = 0;
    scene.framebuffer.apply({
      width: 4,
      height: 2,
      copies: [{ x: 2, y: 1, width: 2, height: 1, fromX: 1, fromY: 0 }],
      rectangles: [{ x: 0, y: 0, width: 2, height: 1, rgba: dots(2) }],
    });
    scene.session.pump();

    expect(scene.rectangles).toEqual([
      { encoding: 1, bytes: 12 + 4 },
      { encoding: 0, bytes: 12 + 2 * 4 },
    ]);
    expect(scene.hex()).toHaveLength(2 * (4 + 16 + 20));
    scene.framebuffer.apply({ width: 3, height: 1, copies: [], rectangles: [] });
    scene.receive(say.request(true, 0, 0, 4, 2));
    expect(scene.rectangles.slice(2)).toEqual([{ encoding: ids.desktopSize, bytes: 12 }]);
  });

  test('wait for damage when they are incremental', () => {
    const scene = new TestScene().connect();
    scene.receive(say.request(false, 0, 0, 4, 2)).hex();
    scene.receive(say.request(true, 0, 0, 4, 2));
    expect(scene.hex()).toBe('');

    paint(scene.framebuffer, 3, 1, 1, 1);

    expect(scene.session.pump()).toBe(true);
    expect(scene.hex()).toBe(update(3, 1, 1, 1, 0) + hex('ff 00 00 00'));
  });

  test('skip the frames that came while there was no room to send', () => {
    const scene = new TestScene().connect();
    scene.receive(say.request(false, 0, 0, 4, 2)).hex();
    scene.receive(say.request(true, 0, 0, 4, 2));
    scene.canSend = false;
    for (let x = 0; x < 4; x++) {
      paint(scene.framebuffer, x, 0, 1, 1);
      expect(scene.session.pump()).toBe(false);
    }

    scene.canSend = true;

    expect(scene.session.pump()).toBe(true);
    expect(scene.session.pump()).toBe(false);
    expect(scene.hex()).toBe(update(0, 0, 4, 1, 0) + hex('ff 00 00 00').repeat(4));
  });

  test('copy what the viewer has', () => {
    const scene = new TestScene().connect();
    scene.receive(say.encodings([ids.copyRect]), say.request(false, 0, 0, 4, 2)).hex();
    scene.framebuffer.apply({
      width: 4,
      height: 2,
      copies: [{ x: 2, y: 1, width: 2, height: 1, fromX: 1, fromY: 0 }],
      rectangles: [],
    });
    expect(scene.receive(say.request(true, 0, 0, 4, 2)).hex()).toBe(update(2, 1, 2, 1, 1) + hex('0001 0000'));
  });

  test('say that the size has changed, before and apart from dots', () => {
    const scene = new TestScene().connect();
    scene
      .receive(say.encodings([ids.desktopSize]), say.request(false, 0, 0, 4, 2), say.request(true, 0, 0, 4, 2))
      .hex();

    scene.framebuffer.apply({ width: 3, height: 1, copies: [], rectangles: [] });
    scene.session.pump();

    expect(scene.hex()).toBe(hex('00 00 0001  0000 0000 0003 0001 ffffff21'));
    expect(scene.receive(say.request(true, 0, 0, 3, 1)).hex()).toBe(update(0, 0, 3, 1, 0) + '00'.repeat(12));
  });

  test('show a viewer that cannot follow the size what fits, and black where nothing is any more', () => {
    const scene = new TestScene().connect();
    const viewer = new TestViewer(4, 2, SERVER_FORMAT);
    for (const [width, height] of [
      [4, 2],
      [5, 1],
      [1, 3],
    ] as const) {
      const rgba = new Uint8Array(width * height * 4).fill(255);
      scene.framebuffer.apply({ width, height, copies: [], rectangles: [{ x: 0, y: 0, width, height, rgba }] });
      scene.receive(say.request(true, 0, 0, 4, 2));
    }
    for (const message of scene.sent) viewer.receive(message);
    expect([...viewer.pixels].map((pixel) => (pixel === 0 ? '.' : '#')).join('')).toBe('#...#...');
  });

  test('give a viewer without local cursor no cursor, and one with it the arrow, once, or none', () => {
    const sizes = (['arrow', 'none'] as const).map((cursor) => {
      const scene = new TestScene({ cursor }).connect();
      const viewer = new TestViewer(4, 2, SERVER_FORMAT);
      viewer.offered = [ids.cursor];
      scene.receive(say.request(false, 0, 0, 4, 2), say.encodings(viewer.offered));
      for (let i = 0; i < 2; i++) scene.receive(say.request(false, 0, 0, 4, 2));
      for (const message of scene.sent) viewer.receive(message);
      return viewer.events.map(({ kind, width, height }) => [kind, width, height]);
    });
    expect(sizes).toEqual([[['cursor', 12, 17]], [['cursor', 0, 0]]]);
  });

  test('serve a viewer that wants a colour map, which it is told', () => {
    const scene = new TestScene().connect();
    const viewer = new TestViewer(4, 2, COLOUR_MAP_FORMAT);
    paint(scene.framebuffer, 0, 0, 4, 2);

    scene.receive(say.pixelFormat({ ...SERVER_FORMAT, bitsPerPixel: 8, trueColour: false }));
    scene.receive(say.request(false, 0, 0, 4, 2));
    for (const message of scene.sent) viewer.receive(message);

    const [map] = viewer.events as unknown as { first: number; colours: number[][] }[];
    expect([map!.first, map!.colours.length, map!.colours[0b111_000_01]]).toEqual([0, 256, [0xffff, 0, 0x5555]]);
    // Blue 255 and red 0: index 3.
    expect(viewer.pixels[0]).toBe(3);
  });

  test('of viewers with equal wishes are encoded once', () => {
    const framebuffer = new Framebuffer(64, 64);
    paint(framebuffer, 0, 0, 64, 64);
    let encoded = 0;
    const original = framebuffer.encoded.encode.bind(framebuffer.encoded);
    const bodies = new Set<unknown>();
    framebuffer.encoded.encode = (encoding, request) => {
      encoded++;
      const result = original(encoding, request);
      bodies.add(result);
      return result;
    };
    const scenes = [1, 2, 3].map(() => new TestScene({ framebuffer }).connect());

    for (const scene of scenes) scene.receive(say.encodings([ids.zrle]), say.request(false, 0, 0, 64, 64));

    expect([encoded, bodies.size]).toEqual([3, 1]);
    expect(scenes[0]!.hex()).toBe(scenes[1]!.hex());
  });
});

describe('continuous updates', () => {
  const offered = [ids.fence, ids.continuousUpdates];
  const GREETINGS = hex('f8 000000 80000001 00  96');

  test('are offered once, with fences', () => {
    const scene = new TestScene().connect();
    expect(scene.receive(say.encodings(offered)).hex()).toBe(GREETINGS);
    expect(scene.receive(say.encodings(offered)).hex()).toBe('');
  });

  test('come without requests, each with a fence after it, and end with an answer', () => {
    const scene = new TestScene().connect();
    scene.receive(say.encodings(offered)).hex();
    scene.receive(say.continuous(true, 0, 0, 1, 1));
    expect(scene.hex()).toBe(update(0, 0, 1, 1, 0) + hex('00000000  f8 000000 80000001 04 00000001'));
    expect(scene.receive(say.request(true, 0, 0, 4, 2)).hex()).toBe('');

    paint(scene.framebuffer, 0, 0, 1, 1);
    scene.session.pump();
    expect(scene.hex()).toBe(update(0, 0, 1, 1, 0) + hex('ff000000  f8 000000 80000001 04 00000002'));

    expect(scene.receive(say.continuous(false, 0, 0, 0, 0)).hex()).toBe('96');
    paint(scene.framebuffer, 0, 0, 1, 1);
    expect(scene.session.pump()).toBe(false);
  });

  test('stop while eight are under way, and go on when fences were answered', () => {
    const scene = new TestScene().connect();
    scene.receive(say.encodings(offered), say.continuous(true, 0, 0, 4, 2));
    const send = (): boolean => (paint(scene.framebuffer, 0, 0, 1, 1), scene.session.pump());
    expect(Array.from({ length: 9 }, send)).toEqual([...new Array<boolean>(7).fill(true), false, false]);

    scene.receive(say.fence(1, Buffer.from('00000003', 'hex')));

    // One went out at once, with what had added up.
    expect(Array.from({ length: 3 }, send)).toEqual([true, true, false]);
  });

  test('of the whole picture are of the whole picture when that has grown', () => {
    const scene = new TestScene().connect();
    const viewer = new TestViewer(4, 2, SERVER_FORMAT);
    viewer.offered = [...offered, ids.desktopSize];
    scene.receive(say.encodings(viewer.offered), say.continuous(true, 0, 0, 4, 2));

    scene.framebuffer.apply({ width: 8, height: 8, copies: [], rectangles: [] });
    scene.session.pump();
    for (const message of scene.sent) viewer.receive(message);

    expect([viewer.width, viewer.height, new Set(viewer.pixels)]).toEqual([8, 8, new Set([0])]);
  });

  test('honour a request for everything, wherever it is', () => {
    const scene = new TestScene().connect();
    scene.receive(say.encodings(offered), say.continuous(true, 0, 0, 1, 1)).hex();
    scene.receive(say.request(false, 3, 1, 1, 1));
    expect(scene.hex()).toMatch(new RegExp(`^${update(3, 1, 1, 1, 0)}`));
  });
});

describe('fences', () => {
  test('are answered with what is understood of their flags', () => {
    const scene = new TestScene().connect();
    expect(scene.receive(say.fence(0xffffffff - 4, Buffer.from('abc'))).hex()).toBe(
      hex('f8 000000 00000003 03 616263'),
    );
  });

  test('for the next message are answered just before it', () => {
    const scene = new TestScene().connect();
    scene.receive(say.encodings([ids.fence])).hex();
    expect(scene.receive(say.fence(0x80000004, Buffer.from('x'))).hex()).toBe('');
    expect(scene.receive(say.continuous(false, 0, 0, 0, 0)).hex()).toBe(hex('f8 000000 00000004 01 78  96'));
  });

  test('answered without having been asked for are ignored', () => {
    const scene = new TestScene().connect();
    expect(scene.receive(say.fence(0, Buffer.from('00000001', 'hex'))).hex()).toBe('');
    expect(scene.session.closeReason).toBeUndefined();
  });
});

describe('the extended desktop size', () => {
  const body = hex('01 000000  00000000 0000 0000 0004 0002 00000000');
  const size = (by: number, status: number): string =>
    hex('00 00 0001') + Buffer.from([0, by, 0, status, 0, 4, 0, 2]).toString('hex') + hex('fffffecc') + body;
  const connect = (): TestScene => {
    const scene = new TestScene().connect();
    scene.receive(say.encodings([ids.desktopSize, ids.extendedDesktopSize])).hex();
    return scene;
  };

  test('is told before the dots of a request for everything', () => {
    expect(
      connect()
        .receive(say.request(false, 0, 0, 1, 1))
        .hex(),
    ).toBe(size(0, 0) + update(0, 0, 1, 1, 0) + '00000000');
  });

  test('is asked of the guest, which changes it when it likes', () => {
    const asked: unknown[] = [];
    const screens = [{ x: 0, y: 0, width: 800, height: 600 }];
    const ask = (viewOnly: boolean, agrees: boolean): string => {
      const resize = (wanted: unknown): boolean => asked.push(wanted) > 0 && agrees;
      const scene = new TestScene({ viewOnly, on: { resize } }).connect();
      scene.receive(say.encodings([ids.extendedDesktopSize])).hex();
      return scene.receive(say.desktopSize(800, 600, screens)).hex();
    };
    expect(ask(false, true)).toBe(size(1, 4));
    expect(ask(false, false)).toBe(size(1, 1));
    expect(ask(true, true)).toBe(size(1, 1));
    expect(asked).toEqual([
      { width: 800, height: 600 },
      { width: 800, height: 600 },
    ]);
  });

  test('cannot be changed where nobody can be asked', () => {
    const screens = [{ x: 0, y: 0, width: 800, height: 600 }];
    expect(
      connect()
        .receive(say.desktopSize(800, 600, screens))
        .hex(),
    ).toBe(size(1, 1));
  });

  test.each([
    ['no screens', []],
    ['a screen outside', [{ x: 1, y: 0, width: 800, height: 600 }]],
    ['an empty screen', [{ x: 0, y: 0, width: 0, height: 600 }]],
  ])('is not valid with %s', (_, screens) => {
    expect(
      connect()
        .receive(say.desktopSize(800, 600, screens))
        .hex(),
    ).toBe(size(1, 3));
  });
});

describe('input', () => {
  test('becomes keys and movement', () => {
    const scene = new TestScene().connect();
    scene.receive(say.key(0x61, true), say.scanCode(0xc8, 0xff52, true), say.pointer(0, 5, 5), say.pointer(1, 7, 4));
    expect(scene.keys).toEqual([
      { code: 0x1e, down: true },
      { code: 0xe048, down: true },
    ]);
    // Both lie outside of the picture: at its lower right end.
    const at = { x: 65_535, y: 65_535 };
    expect(scene.moves).toEqual([
      { dx: 0, dy: 0, dz: 0, buttons: 0, at },
      { dx: 2, dy: -1, dz: 0, buttons: 1, at },
    ]);
  });

  test('is let go of when the viewer goes', () => {
    const scene = new TestScene().connect();
    scene.receive(say.key(0x61, true), say.pointer(1, 0, 0));
    scene.keys.length = scene.moves.length = 0;

    scene.session.close('it left');
    scene.session.close('it left again');

    expect([scene.keys, scene.moves, scene.endings]).toEqual([
      [{ code: 0x1e, down: false }],
      [{ dx: 0, dy: 0, dz: 0, buttons: 0 }],
      ['it left'],
    ]);
    expect(scene.session.closeReason).toBe('it left');
  });

  test('of a view-only viewer goes nowhere', () => {
    const scene = new TestScene({ viewOnly: true }).connect();
    scene.receive(say.key(0x61, true), say.scanCode(0x1e, 0x61, true), say.pointer(1, 0, 0), say.cutText('text'));
    scene.session.close('it left');
    expect([scene.keys, scene.moves, scene.texts]).toEqual([[], [], []]);
  });

  test('with scan codes and with movement is asked for when the viewer can, and not of one that only views', () => {
    const told = [false, true].map((viewOnly) => {
      const scene = new TestScene({ viewOnly }).connect();
      const viewer = new TestViewer(4, 2, SERVER_FORMAT);
      viewer.offered = [ids.extendedKeys, ids.pointerMotion];
      scene.receive(say.encodings(viewer.offered), say.request(false, 0, 0, 4, 2));
      for (const message of scene.sent) viewer.receive(message);
      scene.receive(say.pointer(0, 0x7fff + 3, 0x7fff - 4));
      return [viewer.events.map(({ kind, x }) => [kind, x]), scene.moves];
    });
    expect(told).toEqual([
      [
        [
          ['extended-keys', 0],
          ['pointer-motion', 0],
        ],
        [{ dx: 3, dy: -4, dz: 0, buttons: 0 }],
      ],
      [[], []],
    ]);
  });

  test('of text is taken up to 256 KiB, and left out above it', () => {
    const scene = new TestScene().connect();
    const long = Buffer.alloc(256 * 1024 + 1, 'x');
    const header = Buffer.from([6, 0, 0, 0, 0, 4, 0, 1]);
    scene.receive(say.cutText('caf\xe9'), header, long.subarray(0, 1000), long.subarray(1000), say.key(0x61, true));
    expect(scene.texts).toEqual(['café']);
    expect(scene.keys).toEqual([{ code: 0x1e, down: true }]);
  });
});

describe('a viewer that does what it must not', () => {
  test.each<[name: string, bytes: Uint8Array | string, says: RegExp]>([
    ['an unknown message', '63', /a message of type 99/],
    ['a fence that is too long', hex('f8 000000 80000000 41'), /a fence with 65 bytes; 64 are allowed/],
    [
      'text for the extended clipboard',
      hex('06 000000 fffffffc 10000001'),
      /the extended clipboard, which was not offered/,
    ],
    ['an extended message without flags', hex('06 000000 fffffffd'), /without flags/],
    ['audio', hex('ff 01 0001'), /QEMU message 1/],
    ['pixels of 24 bits', say.pixelFormat({ ...SERVER_FORMAT, bitsPerPixel: 24 as 32 }), /24 bits a pixel/],
    ['no red', say.pixelFormat({ ...SERVER_FORMAT, redMax: 0 }), /a red maximum of 0/],
    ['a strange maximum', say.pixelFormat({ ...SERVER_FORMAT, blueMax: 254 }), /a blue maximum of 254/],
    [
      'green outside the pixel',
      say.pixelFormat({ ...SERVER_FORMAT, greenShift: 25 }),
      /8 bits of green at bit 25 of 32/,
    ],
    [
      'a colour map of 16 bits',
      say.pixelFormat({ ...SERVER_FORMAT, bitsPerPixel: 16, trueColour: false }),
      /colour maps are for 8 bits/,
    ],
  ])('is told the reason after %s, and gets nothing more', (_, bytes, says) => {
    const scene = new TestScene().connect();
    scene.receive(say.request(false, 0, 0, 4, 2)).hex();

    scene.receive(bytes, say.request(false, 0, 0, 4, 2));
    paint(scene.framebuffer, 0, 0, 1, 1);

    expect(scene.session.pump()).toBe(false);
    expect(scene.hex()).toBe('');
    expect(scene.session.closeReason).toMatch(says);
    expect(scene.endings).toEqual([scene.session.closeReason]);
  });

  test('ends when it asks for answers and does not read them', () => {
    const scene = new TestScene().connect();
    scene.canSend = false;
    scene.receive(Buffer.concat(new Array(5000).fill(say.fence(0x80000000, Buffer.alloc(64)))));
    expect(scene.session.closeReason).toMatch(/does not read the answers/);
    expect(scene.sent.length).toBe(1000);
  });

  test('that a listener sends away in the middle of its messages is gone at once', () => {
    const scene = new TestScene({ on: { key: () => scene.session.close('enough') } });
    scene.connect().receive(Buffer.concat([say.key(0x61, true), Buffer.from('63', 'hex')]));
    expect(scene.session.closeReason).toBe('enough');
  });
});

describe('whatever comes', () => {
  // Not movement: that begins with a picture, and those come after each piece.
  const offers = Object.values(ids).filter((id) => id !== ids.pointerMotion);
  const message = fc.oneof(
    fc.tuple(fc.nat(0xffff), fc.boolean()).map(([keysym, down]) => say.key(keysym, down)),
    fc.tuple(fc.nat(255), fc.nat(255), fc.boolean()).map(([xt, keysym, down]) => say.scanCode(xt, keysym, down)),
    fc.tuple(fc.nat(255), fc.nat(9), fc.nat(9)).map(([buttons, x, y]) => say.pointer(buttons, x, y)),
    fc.array(fc.constantFrom(...offers)).map((list) => say.encodings(list)),
    fc.boolean().map((incremental) => say.request(incremental, 0, 0, 4, 2)),
    fc.boolean().map((enable) => say.continuous(enable, 0, 0, 4, 2)),
    fc.uint8Array({ maxLength: 64 }).map((payload) => say.fence(0x80000007, payload)),
    fc.string({ maxLength: 40 }).map((text) => say.cutText(text)),
    fc.constant(say.desktopSize(5, 5, [{ x: 0, y: 0, width: 5, height: 5 }])),
    fc.constantFrom(SERVER_FORMAT, COLOUR_MAP_FORMAT).map((format) => say.pixelFormat(format)),
  );

  test('the same bytes in other pieces have the same effect', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 12 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        (list, sizes) => {
          // Pictures are sent after each piece, so they may differ in number: input and answers may not.
          const effect = (pieces: Iterable<Uint8Array>): unknown => {
            const scene = new TestScene().connect();
            for (const piece of pieces) scene.receive(piece);
            const answers = scene.sent.filter((bytes) => bytes[0] !== 0 && !(bytes[0] === 248 && bytes[4] === 0x80));
            return [scene.keys, scene.moves, scene.texts, scene.session.closeReason, answers];
          };
          const all = Buffer.concat(list);
          const pieces = function* (size: () => number): Generator<Uint8Array> {
            for (let at = 0; at < all.length;) yield all.subarray(at, (at += size()));
          };

          const whole = effect(list);

          expect(effect(pieces(() => 1))).toEqual(whole);
          expect(effect(pieces(() => sizes.next().value))).toEqual(whole);
          expect(effect([all])).toEqual(whole);
        },
      ),
    );
  });

  test.each([
    ['from the beginning', (scene: TestScene) => scene],
    ['to the password', (scene: TestScene) => scene.receive(say.version(), '02')],
    ['after the handshake', (scene: TestScene) => scene],
  ])('garbage %s ends the session with a reason or does nothing, and nothing else', (name, begin) => {
    const garbage = fc.array(fc.oneof(fc.uint8Array({ maxLength: 300 }), message), { maxLength: 20 });
    fc.assert(
      fc.property(garbage, (pieces) => {
        const scene = begin(name.startsWith('to') ? new TestScene({ password: 'x' }) : new TestScene());
        if (name.startsWith('after')) scene.connect();

        for (const piece of pieces) {
          scene.receive(piece);
          paint(scene.framebuffer, 0, 0, 2, 2);
          scene.session.pump();
        }

        expect(scene.session.closeReason ?? '').not.toMatch(/internal error/);
        expect(scene.endings.length).toBe(scene.session.closeReason === undefined ? 0 : 1);
      }),
      { numRuns: 1000 },
    );
  });
});
