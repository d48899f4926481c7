/** What tests share. Nothing that ships imports it. */
export { Qemu, qemuArguments, qemuMissing, type QemuOptions } from './qemu.ts';
export { freePort, type ServerProcess } from './server-process.ts';
export { natsServerMissing, startNatsServer, type NatsServer, type NatsServerOptions } from './nats-server.ts';
export { redisServerMissing, startRedisServer, type RedisServer, type RedisServerOptions } from './redis-server.ts';
