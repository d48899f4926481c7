/** A controller on a port of its own. */
import { fastify } from 'fastify';
import { hostGuard, listen, opsRoutes, type Metrics } from '@tomei/service';
import type { Controller } from './controller.ts';

export interface ControllerServerOptions {
  /** `host:port`; port 0: any free one. */
  readonly bind: string;
  /** See `HostCheck`. */
  readonly allowedHosts: readonly string[];
  readonly metrics: readonly Metrics[];
}
export interface ControllerServer {
  readonly url: string;
  /** Closes the controller too. */
  close(): Promise<void>;
}

/** Throws `service.cannot-listen`. */
export async function startControllerServer(
  controller: Controller,
  { bind, allowedHosts, metrics }: ControllerServerOptions,
): Promise<ControllerServer> {
  const app = fastify({ logger: false, forceCloseConnections: true, routerOptions: { maxParamLength: 500 } });
  const at = bind.lastIndexOf(':');
  const host = bind.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  app.addHook('onRequest', hostGuard({ bind: host, allowed: allowedHosts }));
  await app.register(opsRoutes({ metrics, readiness: () => controller.readiness() }));
  await app.register(controller.routes);
  const { url } = await listen(app, host, Number(bind.slice(at + 1)));
  return {
    url,
    close: async () => {
      await controller.close();
      await app.close();
    },
  };
}
