/** The controller as a program. What can be set: `node main.ts --help`. */
import { fastify } from 'fastify';
import { listen, opsRoutes, runService } from '@tomei/service';
import { config } from './config.ts';
import { startController } from './controller.ts';

await runService({
  name: 'controller',
  config,
  uses: { bus: true, store: true },
  start: async (parts, { bind, disks, heartbeatTimeoutMs, leaseMs }) => {
    const controller = await startController(parts, { disks, heartbeatTimeoutMs, leaseMs });
    const readiness = (): string | undefined => controller.readiness();
    const app = fastify({ logger: false, forceCloseConnections: true, routerOptions: { maxParamLength: 500 } });
    await app.register(opsRoutes({ metrics: [parts.metrics], readiness }));
    await app.register(controller.routes);
    const at = bind.lastIndexOf(':');
    const { url } = await listen(app, bind.slice(0, at), Number(bind.slice(at + 1)));
    parts.log.info({ url }, 'the API is served');
    return {
      readiness,
      close: async () => {
        await controller.close();
        await app.close();
      },
    };
  },
});
