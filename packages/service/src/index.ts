/** What every service shares. */
export { errorOf, troubleOf } from './trouble.ts';
export {
  MAX_MESSAGE_BYTES,
  serve,
  startRpcServer,
  type CallContext,
  type Handlers,
  type RpcServer,
  type RpcServerOptions,
  type ServedService,
} from './rpc/server.ts';
export {
  rpcClient,
  type CallOptions,
  type Calls,
  type ClientDuplex,
  type RpcClient,
  type RpcClientOptions,
} from './rpc/client.ts';
export type { Duplex } from './rpc/duplex.ts';
export type { Bus, FollowFrom, StoredMessage, Subscription } from './bus/bus.ts';
export type { Entry, Lease, Store } from './store/store.ts';
export { MemoryBus, type MemoryBusOptions } from './bus/memory-bus.ts';
export { MemoryStore, type MemoryStoreOptions } from './store/memory-store.ts';
export { EventPublisher, type EventPublisherOptions, type NewEvent } from './events.ts';
export {
  LOG_LEVELS,
  createConsoleLog,
  createLog,
  memoryLog,
  quietLog,
  type Log,
  type LogEntry,
  type LogFields,
  type LogLevel,
  type LogOptions,
} from './log.ts';
export { Metrics, metricsText } from './metrics.ts';
export type { RunningService, ServiceParts } from './service.ts';
export {
  defineConfig,
  field,
  settings,
  type Config,
  type ConfigField,
  type ConfigFields,
  type ConfigOf,
  type Environment,
  type FieldOptions,
} from './config.ts';
export { commonConfig, type CommonConfig } from './common-config.ts';
export { listen, opsRoutes, startOpsServer, type OpsOptions, type OpsServer } from './ops.ts';
export { hostGuard, isLoopback, isMeantFor, listOf, type HostCheck } from './host-check.ts';
export { NatsBus, type NatsBusOptions } from './bus/nats-bus.ts';
export { RedisStore, type RedisStoreOptions } from './store/redis-store.ts';
export { runService, type ServiceProgram } from './run.ts';
export { GuestRecords } from './guests.ts';
export { closeRefusedUpgrades } from './upgrades.ts';
