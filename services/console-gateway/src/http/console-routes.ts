/** `/console/guests/:idOrName/...`: screens and serial ports over WebSocket, single pictures. */
import type { Socket } from 'node:net';
import { fastifyWebsocket } from '@fastify/websocket';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { Guest } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import type { Log } from '@tomei/service';
import type { GuestReader } from '../link/guest-watch.ts';
import type { Screens } from '../screen/screens.ts';
import { RfbViewer, type ViewerParts } from '../viewer/rfb-viewer.ts';
import { SerialViewer } from '../viewer/serial-viewer.ts';
import { closeWebSocket, webSocketWire } from '../viewer/wires.ts';
import { SERIAL_PORTS } from '../link/attachment.ts';
import { checkOrigin } from './origin.ts';

export interface ConsoleRoutesParts extends ViewerParts {
  readonly records: GuestReader;
  readonly screens: Screens;
  readonly allowedOrigins: readonly string[];
  readonly log: Log;
}

const MAX_NAME = 200;
const params = z.object({ idOrName: z.string().min(1).max(MAX_NAME) });
const serialParams = params.extend({
  port: z
    .string()
    .regex(new RegExp(`^[0-${SERIAL_PORTS - 1}]$`), `a serial port is a number from 0 to ${SERIAL_PORTS - 1}`)
    .transform(Number),
});
const query = z.object({ viewOnly: z.enum(['true', 'false', '1', '0', '']).optional() });

/** Throws `request.bad`. */
function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new TomeiError('request.bad', `this URL is not right: ${problems}`);
}
const isViewOnly = (request: FastifyRequest): boolean =>
  ['true', '1', ''].includes(parsed(query, request.query).viewOnly ?? 'false');

declare module 'fastify' {
  interface FastifyRequest {
    /** Found before a WebSocket is accepted, so that a refusal is an answer of HTTP. */
    consoleGuest: Guest | undefined;
  }
}

/** A plain program, noVNC, and websockify's clients: all send bytes, some name them. */
const handleProtocols = (offered: ReadonlySet<string>): string | false => (offered.has('binary') ? 'binary' : false);

export const consoleRoutes =
  (parts: ConsoleRoutesParts): FastifyPluginAsync =>
  async (app) => {
    const { records, screens, viewers, limits, log } = parts;
    await app.register(fastifyWebsocket, {
      options: { maxPayload: limits.messageBytes, handleProtocols, perMessageDeflate: false },
      errorHandler: (error, socket) => {
        log.info({ error }, 'a WebSocket broke');
        socket.terminate();
      },
      // The gateway itself tells viewers when it closes; here are those of a server that closes without it.
      preClose: (done) => {
        for (const socket of app.websocketServer.clients)
          closeWebSocket(socket, 'gateway.closing', 'the console gateway stops');
        done();
      },
    });
    app.decorateRequest('consoleGuest', undefined);

    const find = async (idOrName: string): Promise<Guest> => {
      const guest = await records.find(idOrName);
      if (guest !== undefined) return guest;
      throw new TomeiError('guest.missing', `there is no guest ${JSON.stringify(idOrName)}`);
    };
    const admit =
      (schema: z.ZodType<{ idOrName: string }>) =>
      async (request: FastifyRequest): Promise<void> => {
        if (!request.ws) throw new TomeiError('upgrade.required', 'this is a WebSocket: connect with ws:// or wss://');
        checkOrigin(request.headers, parts.allowedOrigins);
        isViewOnly(request);
        const guest = await find(parsed(schema, request.params).idOrName);
        viewers.checkRoom(guest.id);
        request.consoleGuest = guest;
      };

    app.get('/console/guests/:idOrName/rfb', { websocket: true, preValidation: admit(params) }, (socket, request) => {
      const guest = request.consoleGuest!;
      receive(
        socket,
        () =>
          new RfbViewer(
            parts,
            {
              kind: 'rfb-websocket',
              guestId: guest.id,
              name: guest.name,
              password: guest.spec?.vnc?.password ?? '',
              peer: request.socket.remoteAddress ?? '',
              viewOnly: isViewOnly(request),
            },
            webSocketWire(socket, request.socket as Socket),
          ),
      );
    });
    app.get(
      '/console/guests/:idOrName/serial/:port',
      { websocket: true, preValidation: admit(serialParams) },
      (socket, request) => {
        const { port } = parsed(serialParams, request.params);
        const settings = { guestId: request.consoleGuest!.id, port, viewOnly: isViewOnly(request) };
        receive(socket, () => new SerialViewer(parts, settings, webSocketWire(socket, request.socket as Socket)));
      },
    );

    app.get('/console/guests/:idOrName/screen.png', async (request, reply) => {
      const { png, etag } = await screens.png(await find(parsed(params, request.params).idOrName));
      void reply.headers({ etag, 'cache-control': 'private, no-cache' });
      if (request.headers['if-none-match']?.split(/\s*,\s*/).includes(etag) === true) return reply.code(304).send();
      return reply.type('image/png').send(png);
    });
    app.get('/console/guests/:idOrName/screen.txt', async (request, reply) => {
      const lines = await screens.text(await find(parsed(params, request.params).idOrName));
      return reply
        .header('cache-control', 'no-store')
        .type('text/plain; charset=utf-8')
        .send(`${lines.join('\n')}\n`);
    });
  };

/** What both kinds of viewers do with a WebSocket: bytes in, and its end. */
function receive(
  socket: WebSocket,
  create: () => { receive(bytes: Uint8Array): void; refuse(why: string): void; lost(): void },
): void {
  let viewer: ReturnType<typeof create>;
  try {
    viewer = create();
  } catch (error) {
    if (!(error instanceof TomeiError)) throw error;
    closeWebSocket(socket, error.code, error.message);
    return;
  }
  socket.on('message', (data, isBinary) => {
    if (isBinary) viewer.receive(data as Buffer);
    else viewer.refuse('a text message came; only binary ones are understood');
  });
  socket.on('close', () => viewer.lost());
}
