/**
 * Messages of proto/ as plain objects. What comes in is untrusted: bytes that are no such message are refused with
 * `message.malformed`, and nothing of protobufjs goes further than this file and its generated neighbour.
 */
import protobuf, { type Enum, type Field, type INamespace, type Message, type Type } from 'protobufjs';
import { TomeiError, messageOf } from '@tomei/kit';

/** What may be left out when a message is made: everything, at every depth. Left-out fields get proto3's defaults. */
export type Init<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer E)[]
    ? readonly Init<E>[]
    : T extends object
      ? { readonly [K in keyof T]?: Init<T[K]> | undefined }
      : T;

export interface Codec<T> {
  /** The message's full name, such as `tomei.v1.Guest`. */
  readonly name: string;
  encode(value: Init<T>): Uint8Array;
  /** Throws `message.malformed`. */
  decode(bytes: Uint8Array): T;
  /** A whole message out of some of its fields. Throws `message.malformed` when one has another type. */
  make(value: Init<T>): T;
  /** Bytes are base64, as proto3's JSON has them. */
  toJson(value: T): string;
  /** Throws `message.malformed`. */
  fromJson(text: string): T;
}

/** One field on its way from protobufjs's object to ours. */
interface Step {
  readonly key: string;
  read(message: Record<string, unknown>): unknown;
}
type Plan = { readonly steps: readonly Step[]; readonly oneof: OneofPlan | undefined };
interface OneofPlan {
  readonly name: string;
  readonly members: readonly string[];
}

const plans = new WeakMap<Type, Plan>();

function planOf(type: Type): Plan {
  const known = plans.get(type);
  if (known !== undefined) return known;
  const oneof = type.oneofsArray.find((o) => !o.name.startsWith('_'));
  const plan: Plan = {
    steps: type.fieldsArray.map(stepOf),
    oneof: oneof === undefined ? undefined : { name: oneof.name, members: oneof.oneof },
  };
  plans.set(type, plan);
  return plan;
}
function stepOf(field: Field): Step {
  const { name: key } = field;
  field.resolve();
  const one = elementOf(field);
  if (field.repeated) return { key, read: (m) => ((m[key] ?? []) as unknown[]).map(one) };
  const absent = field.partOf !== null && field.partOf !== undefined;
  // Members of a oneof and optional fields are there or not; the prototype's default must not look like a value.
  if (absent || field.resolvedType instanceof protobuf.Type)
    return {
      key,
      read: (m) => (Object.hasOwn(m, key) && m[key] !== null && m[key] !== undefined ? one(m[key]) : undefined),
    };
  return { key, read: (m) => one(m[key]) };
}
function elementOf(field: Field): (value: unknown) => unknown {
  const type = field.resolvedType;
  if (type instanceof protobuf.Type) return (value) => plain(type, value as Message);
  if (type instanceof protobuf.Enum) {
    const { valuesById } = type as Enum;
    // A number that a newer peer knows and this program does not is the unspecified one.
    return (value) => (typeof value === 'string' ? value : (valuesById[value as number] ?? valuesById[0]));
  }
  // protobufjs's default is an empty array of numbers.
  if (field.type === 'bytes') return (value) => (value instanceof Uint8Array ? value : new Uint8Array());
  return (value) => (typeof value === 'object' && value !== null ? Number(value) : value);
}
function plain(type: Type, message: Message): unknown {
  const { steps, oneof } = planOf(type);
  const source = message as unknown as Record<string, unknown>;
  const out: Record<string, unknown> = {};
  for (const { key, read } of steps) {
    const value = read(source);
    if (value !== undefined) out[key] = value;
  }
  if (oneof !== undefined) {
    const set = oneof.members.find((member) => out[member] !== undefined);
    if (set !== undefined) out[oneof.name] = set;
  }
  return out;
}

/** For JSON.stringify; `this` has the value before a Buffer's own `toJSON` has been at it. */
function bytesAsBase64(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const original = this[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : value;
}

/** Makes codecs for the messages of a descriptor, as the generated file does. */
export function createCodecs(descriptor: object): <T>(name: string) => Codec<T> {
  const root = protobuf.Root.fromJSON(descriptor as INamespace);
  root.resolveAll();
  return <T>(name: string): Codec<T> => {
    const type = root.lookupType(name);
    const refuse = (error: unknown): never => {
      throw new TomeiError('message.malformed', `not a message ${name}: ${messageOf(error)}`, { cause: error });
    };
    const build = (value: unknown): Message => {
      try {
        return type.fromObject(value as Record<string, unknown>);
      } catch (error) {
        return refuse(error);
      }
    };
    return {
      name,
      encode: (value) => type.encode(build(value)).finish(),
      decode: (bytes) => {
        try {
          return plain(type, type.decode(bytes)) as T;
        } catch (error) {
          return refuse(error);
        }
      },
      make: (value) => plain(type, build(value)) as T,
      toJson: (value) => JSON.stringify(value, bytesAsBase64),
      fromJson: (text) => {
        let raw: unknown;
        try {
          raw = JSON.parse(text);
        } catch (error) {
          return refuse(error);
        }
        if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return refuse('not an object');
        return plain(type, build(raw)) as T;
      },
    };
  };
}
