/** The console gateway: links to guests on one side, viewers on the other, and the routes by which viewers come. */
import type { FastifyPluginAsync } from 'fastify';
import { GuestRecords, type RunningService, type ServiceParts } from '@tomei/service';
import { consoleRoutes } from './http/console-routes.ts';
import { errorAnswerer } from './http/errors.ts';
import { pageRoutes } from './http/pages.ts';
import { addSecurityHeaders } from './http/security.ts';
import { GuestWatch } from './link/guest-watch.ts';
import { Links } from './link/links.ts';
import { createGatewayMetrics } from './metrics.ts';
import { DEFAULT_LIMITS, DEFAULT_PACE, type GatewayOptions } from './options.ts';
import { Screens } from './screen/screens.ts';
import { Rounds } from './viewer/rounds.ts';
import { Viewers } from './viewer/viewers.ts';
import { VncPorts } from './viewer/vnc-ports.ts';
import { WrongPasswords } from './viewer/wrong-passwords.ts';

const DEFAULT_VNC_HOST = '127.0.0.1';

export interface Gateway extends RunningService {
  /** Consoles and pages, for a fastify server that may have other routes too. */
  readonly routes: FastifyPluginAsync;
  /** VNC ports that are open, by the id of their guest. */
  readonly vncPorts: ReadonlyMap<string, number>;
}

/** Starts at once, whether or not the store answers: whoever comes before it does is told so. */
// eslint-disable-next-line @typescript-eslint/require-await -- the shape of all services' start
export async function startGateway(parts: ServiceParts, options: GatewayOptions = {}): Promise<Gateway> {
  const { log } = parts;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const pace = { ...DEFAULT_PACE, ...options.pace };
  const metrics = createGatewayMetrics(parts.metrics);
  const watch = new GuestWatch(new GuestRecords(parts.store), parts.bus, log);
  const links = new Links({ watch, log, metrics, pace, scrollbackBytes: limits.scrollbackBytes });
  const viewers = new Viewers(limits, metrics, log);
  const wrongPasswords = new WrongPasswords(options.now ?? (() => performance.now()));
  const viewerParts = { links, viewers, rounds: new Rounds(), metrics, limits, wrongPasswords };
  const vncHost = options.vncHost ?? DEFAULT_VNC_HOST;
  const vnc = new VncPorts(viewerParts, watch, { host: vncHost, recheckMs: pace.recheckMs }, log);
  const screens = new Screens(links, pace.screenMs);
  let isClosing = false;

  const routes: FastifyPluginAsync = async (app) => {
    app.addHook('onRequest', (_request, reply, done) => {
      addSecurityHeaders(reply);
      done();
    });
    app.setErrorHandler(errorAnswerer(log));
    await app.register(
      consoleRoutes({
        ...viewerParts,
        records: watch.records,
        screens,
        allowedOrigins: options.allowedOrigins ?? [],
        log,
      }),
    );
    await app.register(pageRoutes(options.pages));
  };
  let closed: Promise<void> | undefined;
  return {
    routes,
    get vncPorts() {
      return vnc.open;
    },
    readiness: () => (isClosing ? 'it is closing' : undefined),
    close: () => {
      isClosing = true;
      closed ??= (async () => {
        await vnc.close();
        await links.close();
        await watch.close();
        await screens.close();
      })();
      return closed;
    },
  };
}
