/** The console gateway as a program. What can be set: `node main.ts --help`. */
import { join } from 'node:path';
import { listOf, runService } from '@tomei/service';
import { gatewayConfig } from './config.ts';
import { startGateway } from './gateway.ts';
import { startGatewayServer } from './server.ts';

const BUILT_PAGES = join(import.meta.dirname, '../../../packages/web/dist');

await runService({
  name: 'console-gateway',
  config: gatewayConfig,
  uses: { bus: true, store: true },
  start: async (parts, config) => {
    const { vncHost, viewers, viewersPerGuest } = config;
    const gateway = await startGateway(parts, {
      vncHost,
      pages: config.pages ?? BUILT_PAGES,
      allowedOrigins: listOf(config.allowedOrigins),
      limits: { viewers, viewersPerGuest },
    });
    const server = await startGatewayServer(gateway, {
      host: config.httpHost,
      port: config.httpPort,
      allowedHosts: listOf(config.allowedHosts),
      controllerUrl: config.controllerUrl,
      metrics: [parts.metrics],
    });
    parts.log.info({ url: server.url }, 'pages and consoles are served');
    return { readiness: () => gateway.readiness(), close: () => server.close() };
  },
});
