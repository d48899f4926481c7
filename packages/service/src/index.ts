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
export { rpcClient, type CallOptions, type Calls, type ClientDuplex, type RpcClient } from './rpc/client.ts';
export type { Duplex } from './rpc/duplex.ts';
export type { Bus, FollowFrom, StoredMessage, Subscription } from './bus/bus.ts';
export type { Entry, Lease, Store } from './store/store.ts';
