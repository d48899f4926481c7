/** A guest's serial port over the console gateway's WebSocket. */
import { WebSocket } from 'ws';
import { TomeiError } from '@tomei/kit';
import type { SerialEnd } from '../console/serial-end.ts';
import type { ClusterApi } from './api.ts';

export interface SerialSocket extends SerialEnd {
  /** Fulfilled when it was closed; rejected with what the gateway closed it for, or when the connection broke. */
  readonly closed: Promise<void>;
  close(): void;
}
/** A gateway closes a WebSocket with `<code>: <sentence>` for a reason. */
const REASON = /^([a-z][\w-]*\.[\w-]+): (.*)$/s;

/** Connects. Throws the gateway's error when it refuses, such as `guest.missing`, and `server.unreachable`. */
export async function openSerial(
  api: ClusterApi,
  guest: string,
  { port, viewOnly }: { readonly port: number; readonly viewOnly: boolean },
): Promise<SerialSocket> {
  const path = `/console/guests/${encodeURIComponent(guest)}/serial/${port}${viewOnly ? '?viewOnly=true' : ''}`;
  const socket = new WebSocket(`${api.server.replace(/^http/, 'ws')}${path}`, { handshakeTimeout: 10_000 });
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  closed.promise.catch(() => undefined);
  const handlers: ((bytes: Uint8Array) => void)[] = [];
  // What comes before somebody listens is for all who begin to in the same turn.
  const early: Uint8Array[] = [];
  const deliver = (): void => {
    if (handlers.length === 0) return;
    for (const bytes of early.splice(0)) for (const handler of handlers) handler(bytes);
  };
  let isHeard = false;
  const fail = (error: TomeiError): void => {
    opened.reject(error);
    closed.reject(error);
  };
  socket.on('open', () => opened.resolve());
  socket.on('message', (data) => {
    early.push(data as Buffer);
    if (isHeard) deliver();
  });
  socket.on('unexpected-response', (request, response) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece));
    response.on('end', () => {
      fail(api.errorOf(Buffer.concat(pieces).toString(), response.statusCode ?? 0, path));
      request.destroy();
    });
  });
  socket.on('error', (error) => fail(api.unreachable(error)));
  socket.on('close', (status, reason) => {
    const [, code, why] = REASON.exec(reason.toString()) ?? [];
    if (code !== undefined && why !== undefined) return fail(new TomeiError(code, why));
    if (status === 1006) return fail(new TomeiError('server.unreachable', `the connection to ${api.server} broke`));
    closed.resolve();
  });
  await opened.promise;
  return {
    onData: (handler) => {
      handlers.push(handler);
      queueMicrotask(() => {
        isHeard = true;
        deliver();
      });
    },
    write: (bytes) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
    },
    closed: closed.promise,
    close: () => socket.close(),
  };
}
