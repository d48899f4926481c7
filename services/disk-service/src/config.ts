/** The variables of disk-service. */
import { defineConfig, field, settings } from '@tomei/service';
import { LEASE_TTL_MS } from './service.ts';

export const diskServiceConfig = defineConfig({
  pool: field('TOMEI_POOL', settings.text(), { doc: 'The folder of images.' }),
  bind: field('TOMEI_BIND', settings.address(), {
    doc: 'Where disks are served (gRPC): host:port or unix:/path.',
    default: '0.0.0.0:7410',
  }),
  advertise: field('TOMEI_ADVERTISE', settings.text(), {
    doc: 'The name or address under which other hosts reach this one.',
    default: undefined,
  }),
  leaseTtlMs: field('TOMEI_LEASE_TTL_MS', settings.whole({ min: 1_000, max: 3_600_000 }), {
    doc: 'A writer that is not heard of for so many milliseconds loses its disk.',
    default: LEASE_TTL_MS,
  }),
});
