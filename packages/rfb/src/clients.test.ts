/** Other people's VNC clients, from Debian, over a real socket: gvnccapture (gtk-vnc) and vncsnapshot (TightVNC). */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Framebuffer } from './framebuffer.ts';
import { RfbSession } from './session.ts';
import { encryptChallenge } from './vnc-authentication.ts';

const execute = promisify(execFile);
const run = (command: string, list: readonly string[]) => execute(command, list, { timeout: 60_000 });
/** Clients count displays from here. */
const DISPLAY_0_PORT = 5900;

/** Why a test with that client cannot run here, or undefined. */
function clientMissing(command: string, debianPackage: string): string | undefined {
  const found = (process.env['PATH'] ?? '').split(delimiter).some((directory) => existsSync(join(directory, command)));
  return found ? undefined : `${command} is not installed (Debian package ${debianPackage})`;
}

/** A screen of text and one of colours, so that fills, palettes and full colour all come about. */
function createPicture(): Framebuffer {
  const [width, height] = [300, 200];
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const text = (x * 7 + y * 13) % 11 < 3 ? 0xaa : 0;
    rgba.set(
      x < 100 ? [0, 0, 0xaa, 255] : x < 200 ? [text, text, text, 255] : [x & 0xff, y, (i * 7) & 0xff, 255],
      i * 4,
    );
  }
  const framebuffer = new Framebuffer(width, height);
  framebuffer.apply({ width, height, copies: [], rectangles: [{ x: 0, y: 0, width, height, rgba }] });
  return framebuffer;
}

/** Serves one picture, and returns the display that clients name. */
async function serve(framebuffer: Framebuffer, endings: string[], password?: string): Promise<string> {
  const server: Server = createServer((socket) => {
    const session = new RfbSession({
      framebuffer,
      name: 'guest',
      password,
      viewOnly: true,
      random: randomBytes,
      send: (bytes) => void socket.write(bytes),
      canSend: () => socket.writableLength < 65_536,
      on: {
        closed: (why) => {
          endings.push(why);
          socket.end();
        },
      },
    });
    socket.on('data', (bytes) => session.receive(bytes));
    socket.on('drain', () => session.pump());
    socket.on('close', () => session.close('it left'));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port - DISPLAY_0_PORT}`;
}

/** The dots of a PNG of eight bits a colour, as red, green, blue (PNG specification, chapters 5, 7 and 9). */
function decodePng(file: Buffer): { width: number; height: number; rgb: Buffer } {
  const [width, height, colourType] = [file.readUInt32BE(16), file.readUInt32BE(20), file[25]];
  const size = colourType === 6 ? 4 : 3;
  const chunks: Buffer[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    if (file.toString('latin1', at + 4, at + 8) === 'IDAT')
      chunks.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  }
  const data = inflateSync(Buffer.concat(chunks));
  const stride = width * size;
  const dots = Buffer.alloc(height * stride);
  for (let row = 0; row < height; row++) {
    const filter = data[row * (stride + 1)]!;
    for (let i = 0; i < stride; i++) {
      const left = i < size ? 0 : dots[row * stride + i - size]!;
      const up = row === 0 ? 0 : dots[(row - 1) * stride + i]!;
      const corner = row === 0 || i < size ? 0 : dots[(row - 1) * stride + i - size]!;
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!;
      dots[row * stride + i] = data[row * (stride + 1) + 1 + i]! + predicted;
    }
  }
  return { width, height, rgb: size === 3 ? dots : withoutFourth(dots) };
}

function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs) as [number, number, number];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

const withoutFourth = (bytes: Uint8Array): Buffer => Buffer.from(bytes.filter((_, i) => i % 4 !== 3));

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tomei-rfb-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('gvnccapture', () => {
  const missing = clientMissing('gvnccapture', 'gvncviewer');

  test('takes exactly the server’s picture', async (context) => {
    if (missing !== undefined) context.skip(missing);
    const endings: string[] = [];
    const framebuffer = createPicture();
    const file = join(folder, 'captured.png');

    await run('gvnccapture', ['-q', await serve(framebuffer, endings), file]);

    const { width, height, rgb } = decodePng(readFileSync(file));
    expect([width, height]).toEqual([300, 200]);
    expect(Buffer.compare(rgb, withoutFourth(framebuffer.rgba))).toBe(0);
    expect(endings).toEqual(['it left']);
  });
});

describe('vncsnapshot', () => {
  const missing = clientMissing('vncsnapshot', 'vncsnapshot');
  /** What vncpasswd writes: the password encrypted with a key that everybody knows. */
  const writePassword = (password: string): string => {
    const file = join(folder, `password-${password}`);
    const known = String.fromCharCode(23, 82, 107, 6, 35, 78, 88, 7);
    writeFileSync(file, encryptChallenge(known, Buffer.from(password.padEnd(8, '\0'))));
    return file;
  };

  // Its file is a JPEG, so that it is there and how large it is must do; it ends with an error when decoding fails.
  test.for(['tight copyrect', 'zrle', 'raw'])(
    'takes the picture with a password and encodings %s',
    async (encodings, context) => {
      if (missing !== undefined) context.skip(missing);
      const endings: string[] = [];
      const display = await serve(createPicture(), endings, 'secret');
      const file = join(folder, `${encodings}.jpg`);

      await run('vncsnapshot', [
        '-quiet',
        '-nojpeg',
        '-encodings',
        encodings,
        '-passwd',
        writePassword('secret'),
        display,
        file,
      ]);

      const jpeg = readFileSync(file);
      const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0, 0, 17, 8]));
      expect([jpeg.readUInt16BE(frame + 7), jpeg.readUInt16BE(frame + 5)]).toEqual([300, 200]);
    },
  );

  test('is refused with another password', async (context) => {
    if (missing !== undefined) context.skip(missing);
    const endings: string[] = [];
    const display = await serve(createPicture(), endings, 'secret');
    const file = join(folder, 'refused.jpg');

    const refused = run('vncsnapshot', ['-quiet', '-passwd', writePassword('guess'), display, file]);

    await expect(refused).rejects.toThrow(/authentication failed/i);
    expect(endings).toEqual(['the viewer gave a wrong password']);
    expect(existsSync(file)).toBe(false);
  });
});
