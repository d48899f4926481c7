/** Connections as an outbox wants them. */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Wire } from './outbox.ts';

/** Dead peers that close nothing are found by the system. */
const KEEP_ALIVE_MS = 30_000;
/** How long a connection that is being closed may take to bring out what was written. */
const CLOSING_MS = 2000;

export function socketWire(socket: Socket): Wire {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return {
    write: (bytes, done) => {
      socket.write(bytes, (error) => {
        if (error === undefined || error === null) done();
      });
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => {
      socket.end();
      // What it still sends is thrown away, so that its closing is seen.
      socket.removeAllListeners('data').resume();
      const timer = setTimeout(() => socket.destroy(), CLOSING_MS);
      socket.once('close', () => clearTimeout(timer));
    },
    destroy: () => void socket.destroy(),
  };
}

/** Codes of our own (RFC 6455, 7.4.2), by the code of the error; the reason begins with that code, for a program to read. */
const CLOSE_CODES: Readonly<Record<string, number>> = {
  'gateway.closing': 1001,
  'viewer.refused': 4000,
  'viewers.too-many': 4029,
  'guest.missing': 4404,
  'serial.missing': 4404,
};
const OTHER = 4000;
/** RFC 6455, 5.5: a control frame has at most 125 bytes, two of them the code. */
const REASON_BYTES = 123;

/** What a browser gets to see when a WebSocket is closed: `<error's code>: <sentence>`. */
export function closeWebSocket(socket: WebSocket, code: string, why: string): void {
  const reason = Buffer.from(`${code}: ${why}`)
    .subarray(0, REASON_BYTES)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  socket.close(CLOSE_CODES[code] ?? OTHER, reason);
  const timer = setTimeout(() => socket.terminate(), CLOSING_MS);
  socket.once('close', () => clearTimeout(timer));
}

export function webSocketWire(socket: WebSocket, underneath: Socket): Wire {
  underneath.setKeepAlive(true, KEEP_ALIVE_MS);
  return {
    write: (bytes, done) => {
      socket.send(bytes, { binary: true }, (error) => {
        if (error === undefined || error === null) done();
      });
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    end: (code, why) => {
      // Paused, it would not see the other side close.
      socket.resume();
      closeWebSocket(socket, code, why);
    },
    destroy: () => socket.terminate(),
  };
}
