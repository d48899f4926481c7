/** A gateway on a port of its own, with the controller's API behind `/api`, so that a page needs one address only. */
import { fastifyHttpProxy } from '@fastify/http-proxy';
import { fastify } from 'fastify';
import { TomeiError, messageOf } from '@tomei/kit';
import { closeRefusedUpgrades, hostGuard, listen, opsRoutes, troubleOf, type Metrics } from '@tomei/service';
import type { Gateway } from './gateway.ts';

export interface GatewayServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** See `HostCheck`. */
  readonly allowedHosts?: readonly string[];
  readonly controllerUrl: string;
  readonly metrics: readonly Metrics[];
}
export interface GatewayServer {
  readonly url: string;
  /** Closes the gateway too: viewers are told, then the port is closed. */
  close(): Promise<void>;
}

/** A page that watches events holds a connection to the controller, for as long as it is open. */
const CONTROLLER_CONNECTIONS = 2048;
const CONTROLLER_HEADERS_MS = 60_000;

/** Throws `service.cannot-listen`. */
export async function startGatewayServer(gateway: Gateway, options: GatewayServerOptions): Promise<GatewayServer> {
  const { controllerUrl, metrics, host, allowedHosts = [] } = options;
  const app = fastify({ logger: false, forceCloseConnections: true, routerOptions: { maxParamLength: 500 } });
  app.addHook('onRequest', hostGuard({ bind: host, allowed: allowedHosts }));
  app.addHook('onResponse', closeRefusedUpgrades);
  await app.register(opsRoutes({ metrics, readiness: () => gateway.readiness() }));
  await app.register(fastifyHttpProxy, {
    upstream: controllerUrl,
    prefix: '/api',
    rewritePrefix: '/api',
    // Server-sent events are silent for as long as nothing happens.
    undici: { connections: CONTROLLER_CONNECTIONS, bodyTimeout: 0, headersTimeout: CONTROLLER_HEADERS_MS },
    replyOptions: {
      onError: (reply, { error }) => {
        const trouble = new TomeiError(
          'controller.unavailable',
          `the controller gives no answer: ${messageOf(error)}`,
          {
            retryable: true,
            cause: error,
          },
        );
        void reply
          .code(503)
          .header('cache-control', 'no-store')
          .send({ error: troubleOf(trouble) });
      },
    },
  });
  await app.register(gateway.routes);
  const { url } = await listen(app, host, options.port);
  return {
    url,
    close: async () => {
      await gateway.close();
      await app.close();
    },
  };
}
