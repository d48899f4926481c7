/** From error codes to gRPC status codes and back. The code itself travels in the trailer, so that nothing is lost. */
import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { messages } from '@tomei/contracts';
import { TomeiError, messageOf } from '@tomei/kit';
import { errorOf, troubleOf } from '../trouble.ts';

const TRAILER = 'tomei-trouble-bin';

/** By what is wrong: the part of a code behind the dot. What is not named here is FAILED_PRECONDITION. */
const BY_WHAT: Readonly<Record<string, status>> = {
  missing: status.NOT_FOUND,
  exists: status.ALREADY_EXISTS,
  malformed: status.INVALID_ARGUMENT,
  'out-of-range': status.INVALID_ARGUMENT,
  'too-large': status.RESOURCE_EXHAUSTED,
  denied: status.PERMISSION_DENIED,
  internal: status.INTERNAL,
};
function statusOf(code: string): status {
  const what = code.slice(code.indexOf('.') + 1);
  if (what.startsWith('bad-')) return status.INVALID_ARGUMENT;
  return BY_WHAT[what] ?? status.FAILED_PRECONDITION;
}

/** What a server answers when a handler throws. */
export function toStatus(error: unknown): Partial<StatusObject> {
  const trouble = troubleOf(error);
  const metadata = new Metadata();
  metadata.set(TRAILER, Buffer.from(messages.Trouble.encode(trouble)));
  return { code: statusOf(trouble.code), details: trouble.message, metadata };
}

/** What a client throws for a call that failed: the server's own error, or what became of the connection. */
export function fromServiceError(error: unknown, target: string): TomeiError {
  if (error instanceof TomeiError) return error;
  const { code, details, metadata } = error as Partial<ServiceError>;
  const [trailer] = metadata?.get(TRAILER) ?? [];
  if (trailer instanceof Uint8Array) return errorOf(messages.Trouble.decode(trailer));
  const say = (what: string, message: string, retryable: boolean): TomeiError =>
    new TomeiError(what, message, { cause: error, retryable, data: { target } });
  switch (code) {
    case status.UNAVAILABLE:
      return say('peer.unavailable', `${target} cannot be reached: ${details}`, true);
    case status.DEADLINE_EXCEEDED:
      return say('peer.timeout', `${target} gave no answer in time`, true);
    case status.CANCELLED:
      return say('peer.cancelled', `the call to ${target} was given up`, false);
    case status.RESOURCE_EXHAUSTED:
      return say('message.too-large', `a message to or from ${target} is too large: ${details}`, false);
    case status.UNIMPLEMENTED:
      return say('peer.unimplemented', `${target} does not know this call: is it of another version?`, false);
    default:
      return say('peer.failed', `${target}: ${details ?? messageOf(error)}`, false);
  }
}
