/** The least of RFB 3.8 (RFC 6143) that noVNC can work with: raw rectangles, no security or VNC authentication. Not shipped. */
import { createCipheriv, randomBytes } from 'node:crypto';
import type { WebSocket } from 'ws';
import { HEIGHT, WIDTH, drawLines } from './picture.ts';
import { PASSWORD, type FakeGuest, type World } from './world.ts';

/** rfbproto, "ExtendedDesktopSize Pseudo-encoding": who changed it, and what came of it. */
const EXTENDED_DESKTOP_SIZE = -308;
const BY_SERVER = { by: 0, status: 0 };
const FORWARDED = { by: 1, status: 4 };

/** Lengths of the client's messages by type (RFC 6143, 7.5); SetEncodings and ClientCutText say theirs. */
const LENGTHS: Readonly<Record<number, number>> = { 0: 20, 3: 10, 4: 8, 5: 6, 255: 12 };

/** VNC authentication (7.2.2): DES with the bits of each password byte turned round; three equal keys make one of 3DES. */
function expectedAnswer(challenge: Buffer): Buffer {
  const key = Buffer.alloc(8);
  for (let i = 0; i < Math.min(8, PASSWORD.length); i++) {
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) if (PASSWORD.charCodeAt(i) & (1 << bit)) byte |= 0x80 >> bit;
    key[i] = byte;
  }
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

export function serveRfb(socket: WebSocket, world: World, guest: FakeGuest, isViewOnly: boolean): void {
  const challenge = randomBytes(16);
  const hasPassword = guest.vnc?.password === true;
  let stage: 'version' | 'security' | 'answer' | 'init' | 'messages' = 'version';
  let buffered = Buffer.alloc(0);
  let sentVersion = 0;
  let isWanted = false;
  let isToldOfSizes = false;
  const send = (...bytes: (number | Buffer)[]): void =>
    socket.send(Buffer.concat(bytes.map((each) => (typeof each === 'number' ? Buffer.of(each) : each))));
  const paint = (): void => {
    const shown = world.consoles.get(guest.id);
    if (!isWanted || shown === undefined || shown.version === sentVersion) return;
    isWanted = false;
    sentVersion = shown.version;
    const head = Buffer.alloc(16);
    head.writeUInt16BE(1, 2);
    head.writeUInt16BE(WIDTH, 8);
    head.writeUInt16BE(HEIGHT, 10);
    send(head, drawLines(shown.lines));
  };
  const tellSize = ({ by, status }: { readonly by: number; readonly status: number }): void => {
    const update = Buffer.alloc(36);
    update.writeUInt16BE(1, 2);
    [by, status, WIDTH, HEIGHT].forEach((value, i) => update.writeUInt16BE(value, 4 + 2 * i));
    update.writeInt32BE(EXTENDED_DESKTOP_SIZE, 12);
    update[16] = 1;
    update.writeUInt16BE(WIDTH, 28);
    update.writeUInt16BE(HEIGHT, 30);
    send(update);
  };
  const onScreen = (id: string): void => {
    if (id === guest.id) paint();
  };
  const onEnd = (id: string): void => {
    if (id === guest.id) socket.close(1001, `${guest.name} was powered off`);
  };
  world.changes.on('screen', onScreen).on('end', onEnd);
  socket.on('close', () => world.changes.off('screen', onScreen).off('end', onEnd));

  const message = (): number => {
    const type = buffered[0]!;
    const length =
      type === 2
        ? 4 + 4 * (buffered.length >= 4 ? buffered.readUInt16BE(2) : 0)
        : type === 6
          ? 8 + (buffered.length >= 8 ? buffered.readInt32BE(4) : 0)
          : type === 251
            ? 8 + 16 * (buffered[6] ?? 0)
            : (LENGTHS[type] ?? -1);
    if (length === -1) socket.close(1002, `message ${type}`);
    if (length === -1 || buffered.length < Math.max(length, 4)) return 0;
    if (type === 3) {
      if (buffered[1] === 0) sentVersion = 0;
      if (guest.resizable && !isToldOfSizes) tellSize(BY_SERVER);
      isToldOfSizes = true;
      isWanted = true;
      paint();
    }
    if (type === 4 && !isViewOnly) {
      const keysym = buffered.readUInt32BE(4);
      const isDown = buffered[1] === 1;
      world.consoles.get(guest.id)?.keys.push(`${isDown ? '+' : '-'}${keysym.toString(16)}`);
      if (isDown && keysym < 0x80) world.write(guest, String.fromCharCode(keysym));
      if (isDown && keysym === 0xff0d) world.write(guest, '\n');
    }
    if (type === 251 && length > 8) {
      world.consoles.get(guest.id)?.sizes.push(`${buffered.readUInt16BE(2)} × ${buffered.readUInt16BE(4)}`);
      tellSize(FORWARDED);
    }
    return length;
  };
  /** Bytes that were understood; 0: more are needed. */
  const step = (): number => {
    if (buffered.length === 0) return 0;
    switch (stage) {
      case 'version':
        if (buffered.length < 12) return 0;
        stage = 'security';
        send(1, hasPassword ? 2 : 1);
        return 12;
      case 'security':
        stage = hasPassword ? 'answer' : 'init';
        if (hasPassword) send(challenge);
        else send(Buffer.alloc(4));
        return 1;
      case 'answer': {
        if (buffered.length < 16) return 0;
        const isRight = buffered.subarray(0, 16).equals(expectedAnswer(challenge));
        const reason = Buffer.from('authentication failed');
        if (isRight) send(Buffer.alloc(4));
        else {
          send(Buffer.of(0, 0, 0, 1, 0, 0, 0, reason.length), reason);
          socket.close();
        }
        stage = 'init';
        return 16;
      }
      case 'init': {
        const init = Buffer.alloc(24);
        init.writeUInt16BE(WIDTH, 0);
        init.writeUInt16BE(HEIGHT, 2);
        // 32 bits, 24 of them used, little-endian, true colour, maxima of 255, shifts 0, 8, 16.
        init.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16], 4);
        init.writeUInt32BE(guest.name.length, 20);
        send(init, Buffer.from(guest.name));
        stage = 'messages';
        return 1;
      }
      case 'messages':
        return message();
    }
  };
  socket.on('message', (data: Buffer) => {
    buffered = Buffer.concat([buffered, data]);
    for (let used = step(); used > 0; used = step()) buffered = buffered.subarray(used);
  });
  send(Buffer.from('RFB 003.008\n'));
}
