/** The HTTP side of a service: `/healthz`, `/readyz`, `/metrics`, alone on a port of their own or beside other routes. */
import { fastify, type FastifyInstance, type FastifyPluginAsync } from 'fastify';
import { TomeiError, messageOf } from '@tomei/kit';
import { metricsText, type Metrics } from './metrics.ts';

export interface OpsOptions {
  /** Of every service that this server speaks for. */
  readonly metrics: readonly Metrics[];
  /** Undefined: ready. Otherwise what it waits for. */
  readonly readiness: () => string | undefined;
}

/** The three routes, for a server that has others too. `/healthz` answers as long as the process does. */
export const opsRoutes =
  ({ metrics, readiness }: OpsOptions): FastifyPluginAsync =>
  // eslint-disable-next-line @typescript-eslint/require-await -- fastify wants a promise
  async (app) => {
    app.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'));
    app.get('/readyz', (_request, reply) => {
      const waits = readiness();
      return reply
        .code(waits === undefined ? 200 : 503)
        .type('text/plain')
        .send(`${waits ?? 'ready'}\n`);
    });
    app.get('/metrics', async (_request, reply) => {
      const text = await metricsText(metrics);
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(text);
    });
  };

export interface OpsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Port 0: any free one. Throws `service.cannot-listen`. */
export async function startOpsServer(
  options: OpsOptions & { readonly host: string; readonly port: number },
): Promise<OpsServer> {
  const app = fastify({ logger: false, forceCloseConnections: true });
  await app.register(opsRoutes(options));
  const { port } = await listen(app, options.host, options.port);
  return { port, close: () => app.close() };
}

/** Listens, and says where. Throws `service.cannot-listen`. */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<{ url: string; port: number }> {
  try {
    const url = await app.listen({ host, port });
    const address = app.server.address();
    return { url, port: typeof address === 'object' && address !== null ? address.port : port };
  } catch (error) {
    await app.close();
    const why = `cannot listen on ${host}:${port}: ${messageOf(error)}`;
    throw new TomeiError('service.cannot-listen', why, { cause: error });
  }
}
