/** Methods of the services of proto/, in the shape that `@grpc/grpc-js` takes, typed by their messages. */
import type { Codec, Init } from './codec.ts';

/** Assignable to grpc-js's `MethodDefinition<Q, S>`. */
export interface Method<Q, S, QStream extends boolean = boolean, SStream extends boolean = boolean> {
  readonly path: string;
  readonly requestStream: QStream;
  readonly responseStream: SStream;
  readonly requestSerialize: (value: Init<Q>) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Q;
  readonly responseSerialize: (value: Init<S>) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => S;
}
/** A service: its methods by their names in lower camel case. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any message may be in either place
export type Service = Readonly<Record<string, Method<any, any>>>;

const toBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function method<Q, S, QStream extends boolean, SStream extends boolean>(
  path: string,
  request: Codec<Q>,
  response: Codec<S>,
  streams: { readonly requestStream: QStream; readonly responseStream: SStream },
): Method<Q, S, QStream, SStream> {
  return {
    path,
    ...streams,
    requestSerialize: (value) => toBuffer(request.encode(value)),
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: (value) => toBuffer(response.encode(value)),
    responseDeserialize: (bytes) => response.decode(bytes),
  };
}
