/** The variables that every service has. */
import { LOG_LEVELS } from './log.ts';
import { defineConfig, field, settings } from './config.ts';

export const commonConfig = defineConfig({
  natsUrl: field('TOMEI_NATS_URL', settings.url(['nats', 'tls']), {
    doc: 'NATS servers, separated by commas; user and password, or a token, may stand in the URL.',
    default: 'nats://127.0.0.1:4222',
    secret: true,
  }),
  redisUrl: field('TOMEI_REDIS_URL', settings.url(['redis', 'rediss']), {
    doc: 'The Redis server; user, password and the number of the database may stand in the URL.',
    default: 'redis://127.0.0.1:6379',
    secret: true,
  }),
  logLevel: field('TOMEI_LOG_LEVEL', settings.oneOf(LOG_LEVELS), {
    doc: `What is logged: ${LOG_LEVELS.join(', ')}.`,
    default: 'info',
  }),
  opsHost: field('TOMEI_OPS_HOST', settings.text(), {
    doc: 'Address on which /healthz, /readyz and /metrics are served.',
    default: '0.0.0.0',
  }),
  opsPort: field('TOMEI_OPS_PORT', settings.port(), {
    doc: 'Port of /healthz, /readyz and /metrics; 0: any free one.',
    default: 9464,
  }),
});
export type CommonConfig = ReturnType<typeof commonConfig.load>;
