/** gRPC clients: typed calls that throw TomeiErrors. */
import { Client, Metadata, credentials, type ClientDuplexStream, type ClientReadableStream } from '@grpc/grpc-js';
import type { Init, Method, Service } from '@tomei/contracts';
import { drainedOf, messagesOf, sendTo, type Duplex, type RawDuplex } from './duplex.ts';
import { MAX_MESSAGE_BYTES } from './server.ts';
import { fromServiceError } from './status.ts';

export interface CallOptions {
  /** From now on; without it the call may take forever. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}
export interface ClientDuplex<In, Out> extends Duplex<In, Out> {
  /** Says that nothing more will be sent. */
  end(): void;
  /** Gives the call up. */
  cancel(): void;
}
type Call<M> =
  M extends Method<infer Q, infer S, infer QStream, infer SStream>
    ? QStream extends true
      ? (options?: CallOptions) => ClientDuplex<S, Q>
      : SStream extends true
        ? (request: Init<Q>, options?: CallOptions) => AsyncIterable<S>
        : (request: Init<Q>, options?: CallOptions) => Promise<S>
    : never;
export type Calls<T extends Service> = { readonly [K in keyof T]: Call<T[K]> };
export interface RpcClient<T extends Service> {
  readonly target: string;
  readonly calls: Calls<T>;
  close(): void;
}

export interface RpcClientOptions {
  /** What a server may send before it waits for us (HTTP/2's window); 64 KiB when absent. For streams of much data. */
  readonly windowBytes?: number;
}

/** A client of one server. It connects when it is first used, and again when the connection broke. */
export function rpcClient<T extends Service>(
  service: T,
  target: string,
  { windowBytes }: RpcClientOptions = {},
): RpcClient<T> {
  const client = new Client(target, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 2_000,
    // Clients of one target in one process each have a connection of their own: one that is busy holds up no other.
    'grpc.use_local_subchannel_pool': 1,
    ...(windowBytes === undefined ? {} : { 'grpc-node.flow_control_window': windowBytes }),
  });
  const calls = Object.entries(service).map(([name, method]) => [name, callOf(client, method, target)]);
  return { target, calls: Object.fromEntries(calls) as Calls<T>, close: () => client.close() };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the method's own codecs decide
function callOf(client: Client, method: Method<any, any>, target: string): unknown {
  const { path, requestSerialize, responseDeserialize } = method;
  const settings = ({ deadlineMs }: CallOptions): { deadline?: number } =>
    deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
  if (method.requestStream) {
    return (options: CallOptions = {}): ClientDuplex<unknown, unknown> => {
      const call = client.makeBidiStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        new Metadata(),
        settings(options),
      );
      return duplexOf(call, target, options);
    };
  }
  if (method.responseStream) {
    return (request: unknown, options: CallOptions = {}): AsyncIterable<unknown> => {
      const call = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        settings(options),
      );
      // Whoever stops reading early ends the call, and its error comes when nobody listens any more.
      call.on('error', () => undefined);
      cancelOn(options.signal, () => call.cancel());
      return received(call, target);
    };
  }
  return (request: unknown, options: CallOptions = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        settings(options),
        (error, value) => (error === null ? resolve(value) : reject(fromServiceError(error, target))),
      );
      cancelOn(options.signal, () => call.cancel());
    });
}

function cancelOn(signal: AbortSignal | undefined, cancel: () => void): void {
  if (signal?.aborted === true) cancel();
  else signal?.addEventListener('abort', cancel, { once: true });
}

async function* received(
  call: ClientReadableStream<unknown>,
  target: string,
  isGivenUp: () => boolean = () => false,
): AsyncIterable<unknown> {
  try {
    yield* messagesOf(call as unknown as RawDuplex);
  } catch (error) {
    // Whoever gave the call up knows.
    if (!isGivenUp()) throw fromServiceError(error, target);
  } finally {
    call.cancel();
  }
}

function duplexOf(
  call: ClientDuplexStream<unknown, unknown>,
  target: string,
  { signal }: CallOptions,
): ClientDuplex<unknown, unknown> {
  const over = new AbortController();
  const raw = call as unknown as RawDuplex;
  let givenUp = false;
  call.on('status', () => over.abort());
  // Heard here too, so that a call that breaks while nobody reads brings down nothing.
  call.on('error', () => over.abort());
  cancelOn(signal, () => call.cancel());
  return {
    messages: { [Symbol.asyncIterator]: () => received(call, target, () => givenUp)[Symbol.asyncIterator]() },
    send: (message) => sendTo(raw, over.signal, message),
    drained: () => drainedOf(raw, over.signal),
    signal: over.signal,
    end: () => call.end(),
    cancel: () => {
      givenUp = true;
      call.cancel();
    },
  };
}
