/** gRPC servers: typed handlers, one place for errors, an address that can be given to others. */
import { lstat, rm } from 'node:fs/promises';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import type { Init, Method, Service } from '@tomei/contracts';
import { TomeiError, messageOf } from '@tomei/kit';
import { drainedOf, messagesOf, sendTo, type Duplex, type RawDuplex } from './duplex.ts';
import { toStatus } from './status.ts';

/** A block request or a picture fits; whatever is larger is refused with RESOURCE_EXHAUSTED. */
export const MAX_MESSAGE_BYTES = 8 << 20;

export interface CallContext {
  readonly peer: string;
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal;
}
export type Handler<M> =
  M extends Method<infer Q, infer S, infer QStream, infer SStream>
    ? QStream extends true
      ? (stream: Duplex<Q, S>, context: CallContext) => Promise<void>
      : SStream extends true
        ? (request: Q, context: CallContext) => AsyncIterable<Init<S>>
        : (request: Q, context: CallContext) => Promise<Init<S>>
    : never;
export type Handlers<T extends Service> = { readonly [K in keyof T]: Handler<T[K]> };

/** A service with its handlers, ready for `startRpcServer`. */
export interface ServedService {
  readonly service: Service;
  readonly handlers: Readonly<Record<string, unknown>>;
}
export const serve = <T extends Service>(service: T, handlers: Handlers<T>): ServedService => ({ service, handlers });

export interface RpcServerOptions {
  /** `host:port` (port 0: any free one) or `unix:/absolute/path`. */
  readonly bind: string;
  /** The name under which others reach this machine; the host of `bind` when absent. */
  readonly advertise?: string | undefined;
  readonly services: readonly ServedService[];
  /** Called with what a handler threw that is no TomeiError: a bug. */
  readonly onBug?: (error: unknown, path: string) => void;
}
export interface RpcServer {
  /** What a client dials. */
  readonly target: string;
  /** Takes no new calls, waits `graceMs` for those under way, then ends them. */
  close(graceMs?: number): Promise<void>;
}

/** Throws `service.cannot-listen`. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
  });
  const onBug = options.onBug ?? (() => undefined);
  for (const { service, handlers } of options.services) {
    const implementation = Object.entries(service).map(([name, method]) => [
      name,
      adapt(method, handlers[name], (error) => onBug(error, method.path)),
    ]);
    server.addService(service, Object.fromEntries(implementation) as never);
  }
  const { bind } = options;
  if (bind.startsWith('unix:')) await removeSocket(bind.slice('unix:'.length));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(bind, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else
        reject(
          new TomeiError('service.cannot-listen', `cannot listen on ${bind}: ${messageOf(error)}`, { cause: error }),
        );
    });
  });
  const host = options.advertise ?? bind.slice(0, bind.lastIndexOf(':'));
  return {
    target: bind.startsWith('unix:') ? bind : `${host}:${port}`,
    close: async (graceMs = 0) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.tryShutdown(() => resolve());
      const timer = setTimeout(() => server.forceShutdown(), graceMs);
      await promise;
      clearTimeout(timer);
    },
  };
}

/** One that a process left behind stands in the way of the next; anything else at its place is not ours to remove. */
async function removeSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() === true) await rm(path, { force: true });
}

type Raw = { on(event: 'cancelled', handler: () => void): unknown; getPeer(): string };

function contextOf(call: Raw): { context: CallContext; over: AbortController } {
  const over = new AbortController();
  call.on('cancelled', () => over.abort());
  return { context: { peer: call.getPeer(), signal: over.signal }, over };
}

/** A handler's work, also when it throws before it has anything to wait for. */
const settled = async <T>(work: () => Promise<T>): Promise<T> => work();

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- grpc-js hands over what the method's own codecs made
function adapt(method: Method<any, any>, handler: any, onBug: (error: unknown) => void): unknown {
  const failed = (error: unknown): ReturnType<typeof toStatus> => {
    if (!(error instanceof TomeiError)) onBug(error);
    return toStatus(error);
  };
  if (method.requestStream) {
    return (call: ServerDuplexStream<unknown, unknown>): void => {
      const { context, over } = contextOf(call);
      const raw = call as unknown as RawDuplex;
      const stream: Duplex<unknown, unknown> = {
        messages: messagesOf(raw),
        send: (message) => sendTo(raw, over.signal, message),
        drained: () => drainedOf(raw, over.signal),
        signal: over.signal,
      };
      // A stream that breaks raises an error besides ending its messages; whoever reads them hears of it there.
      call.on('error', () => over.abort());
      settled(() => handler(stream, context) as Promise<void>)
        .then(
          () => call.end(),
          (error: unknown) => {
            if (!over.signal.aborted) call.emit('error', failed(error));
          },
        )
        .finally(() => over.abort());
    };
  }
  if (method.responseStream) {
    return async (call: ServerWritableStream<unknown, unknown>): Promise<void> => {
      const { context, over } = contextOf(call);
      const raw = call as unknown as RawDuplex;
      try {
        for await (const message of handler(call.request, context) as AsyncIterable<unknown>) {
          if (over.signal.aborted) return;
          if (!sendTo(raw, over.signal, message)) await drainedOf(raw, over.signal);
        }
        call.end();
      } catch (error) {
        if (!over.signal.aborted) call.emit('error', failed(error));
      }
    };
  }
  return (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>): void => {
    const { context } = contextOf(call);
    settled(() => handler(call.request, context) as Promise<unknown>).then(
      (value) => answer(null, value),
      (error: unknown) => answer(failed(error)),
    );
  };
}
