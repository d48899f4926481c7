/** What the controller can be told by its environment. */
import { defineConfig, field, settings } from '@tomei/service';

export const config = defineConfig({
  bind: field('TOMEI_BIND', settings.address(), {
    doc: 'Where the HTTP API is served: host:port.',
    default: '0.0.0.0:8005',
  }),
  allowedHosts: field('TOMEI_ALLOWED_HOSTS', settings.text(), {
    doc: 'Names by which this server is reached, separated by commas; requests for others are refused. Empty: any, or none but localhost when it serves this machine alone. Addresses are always allowed.',
    default: '',
  }),
  disks: field('TOMEI_DISKS', settings.address(), {
    doc: 'Where disk-service is, as this controller and all runners reach it.',
  }),
  heartbeatTimeoutMs: field('TOMEI_HEARTBEAT_TIMEOUT_MS', settings.whole({ min: 500, max: 600_000 }), {
    doc: 'A runner that is silent for so many milliseconds is lost, and its guests are started anew elsewhere.',
    default: 5_000,
  }),
  leaseMs: field('TOMEI_LEADER_LEASE_MS', settings.whole({ min: 500, max: 600_000 }), {
    doc: 'How many milliseconds other controllers wait for a leader that is not heard of.',
    default: 5_000,
  }),
});
