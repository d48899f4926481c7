/** disk-service as a process. */
import { runService } from '@tomei/service';
import { diskServiceConfig } from './config.ts';
import { startDiskService } from './service.ts';

await runService({
  name: 'disk-service',
  config: diskServiceConfig,
  uses: { bus: false, store: false },
  start: (parts, { pool, bind, advertise, leaseTtlMs }) =>
    startDiskService(parts, { pool, bind, advertise, leaseTtlMs }),
});
