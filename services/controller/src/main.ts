/** The controller as a program. What can be set: `node main.ts --help`. */
import { listOf, runService } from '@tomei/service';
import { config } from './config.ts';
import { startController } from './controller.ts';
import { startControllerServer } from './server.ts';

await runService({
  name: 'controller',
  config,
  uses: { bus: true, store: true },
  start: async (parts, { bind, disks, heartbeatTimeoutMs, leaseMs, allowedHosts }) => {
    const controller = await startController(parts, { disks, heartbeatTimeoutMs, leaseMs });
    const server = await startControllerServer(controller, {
      bind,
      allowedHosts: listOf(allowedHosts),
      metrics: [parts.metrics],
    });
    parts.log.info({ url: server.url }, 'the API is served');
    return { readiness: () => controller.readiness(), close: () => server.close() };
  },
});
