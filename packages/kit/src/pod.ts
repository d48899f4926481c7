/**
 * Plain-old-data schemas: one declaration gives the type, the initial value and the validator of a state.
 * A saved state is untrusted input, like a packet: `parse` refuses what the schema does not describe and names the field.
 */
import { TomeiError } from './errors.ts';

/** One field: how it starts and what it may hold. `check` returns what is wrong, or undefined. */
export interface Field<T> {
  readonly initial: () => T;
  readonly check: (value: unknown) => string | undefined;
  /** Returns a private copy of a checked value. */
  copy(value: T): T;
}
export type Fields = Readonly<Record<string, Field<unknown>>>;
export type Infer<F> = { -readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };
/** The state type that a schema describes. */
export type StateOf<P> = P extends Pod<infer F> ? Infer<F> : never;

export interface Pod<F> {
  readonly fields: F;
  initial(): Infer<F>;
  /** Returns a validated private copy, or throws `state.invalid` naming the field. */
  parse(raw: unknown): Infer<F>;
  /** A private copy of a state that is known to be valid. */
  copy(state: Infer<F>): Infer<F>;
  /** Adds a rule over the whole state; a rule answers true or what is wrong. */
  check(rule: (state: Infer<F>) => true | string): Pod<F>;
}

const scalar = <T>(initial: T, check: (value: unknown) => string | undefined): Field<T> => ({
  initial: () => initial,
  check,
  copy: (value) => value,
});
const unsigned =
  (bits: number) =>
  (initial = 0): Field<number> =>
    scalar(initial, (v) =>
      Number.isInteger(v) && (v as number) >= 0 && (v as number) < 2 ** bits ? undefined : `is not a u${bits}`,
    );

/** Unsigned integers of a width; the argument is the value after reset. */
export const u8 = unsigned(8);
export const u16 = unsigned(16);
export const u32 = unsigned(32);

/** A signed 32-bit integer. */
export const i32 = (initial = 0): Field<number> =>
  scalar(initial, (v) => (Number.isInteger(v) && (v as number) === ((v as number) | 0) ? undefined : 'is not an i32'));

/** A whole number of nanoseconds or ticks, up to 2^53 - 1. */
export const whole = (initial = 0): Field<number> =>
  scalar(initial, (v) => (Number.isSafeInteger(v) && (v as number) >= 0 ? undefined : 'is not a whole number'));

/** A time in nanoseconds on the machine's clock, or null for "never". */
export const deadline = (): Field<number | null> =>
  scalar<number | null>(null, (v) =>
    v === null || (Number.isSafeInteger(v) && (v as number) >= 0) ? undefined : 'is not a time or null',
  );

export const bool = (initial = false): Field<boolean> =>
  scalar(initial, (v) => (typeof v === 'boolean' ? undefined : 'is not a boolean'));

/** One of a fixed set of words. */
export const oneOf = <const T extends string>(...words: readonly [T, ...T[]]): Field<T> =>
  scalar<T>(words[0], (v) => (words.includes(v as T) ? undefined : `is not one of ${words.join(', ')}`));

/** Text of at most `most` UTF-16 units; starts empty. */
export const text = (most: number): Field<string> => ({
  initial: () => '',
  check: (v) => (typeof v === 'string' && v.length <= most ? undefined : `is no text of at most ${most} characters`),
  copy: (v) => v,
});

/** A queue of bytes with a capacity; starts empty. */
export const fifo = (capacity: number): Field<number[]> => ({
  initial: () => [],
  check: (v) =>
    Array.isArray(v) && v.length <= capacity && v.every((x) => Number.isInteger(x) && x >= 0 && x <= 0xff)
      ? undefined
      : `is not a queue of at most ${capacity} bytes`,
  copy: (v) => [...v],
});

/** A fixed number of values of one field kind. */
export const array = <T>(length: number, element: (index: number) => Field<T>): Field<T[]> => ({
  initial: () => Array.from({ length }, (_, i) => element(i).initial()),
  check: (v) => {
    if (!Array.isArray(v) || v.length !== length) return `is not an array of ${length}`;
    for (let i = 0; i < length; i++) {
      const why = element(i).check(v[i]);
      if (why !== undefined) return `[${i}] ${why}`;
    }
    return undefined;
  },
  copy: (v) => v.map((x, i) => element(i).copy(x)),
});

/** At most `max` values of one field kind; starts empty. */
export const list = <T>(max: number, element: Field<T>): Field<T[]> => ({
  initial: () => [],
  check: (v) => {
    if (!Array.isArray(v) || v.length > max) return `is not an array of at most ${max}`;
    for (let i = 0; i < v.length; i++) {
      const why = element.check(v[i]);
      if (why !== undefined) return `[${i}] ${why}`;
    }
    return undefined;
  },
  copy: (v) => v.map((x) => element.copy(x)),
});

/** A fixed number of raw bytes, zero at first. */
export const bytes = (length: number): Field<Uint8Array> => ({
  initial: () => new Uint8Array(length),
  check: (v) => (v instanceof Uint8Array && v.length === length ? undefined : `is not ${length} bytes`),
  copy: (v) => v.slice(),
});

/** A pod within a pod. */
export const nested = <F extends Fields>(inner: Pod<F>): Field<Infer<F>> => ({
  initial: () => inner.initial(),
  check: (v) => {
    try {
      inner.parse(v);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  },
  copy: (v) => inner.copy(v),
});

const bad = (what: string): never => {
  throw new TomeiError('state.invalid', what);
};

export function pod<F extends Fields>(fields: F, rules: readonly ((s: Infer<F>) => true | string)[] = []): Pod<F> {
  const entries = Object.entries(fields);
  const copy = (state: Infer<F>): Infer<F> =>
    Object.fromEntries(entries.map(([k, f]) => [k, f.copy((state as Record<string, unknown>)[k])])) as Infer<F>;
  return {
    fields,
    initial: () => Object.fromEntries(entries.map(([k, f]) => [k, f.initial()])) as Infer<F>,
    parse(raw) {
      if (typeof raw !== 'object' || raw === null) return bad('state is not an object');
      const source = raw as Record<string, unknown>;
      for (const key of Object.keys(source)) if (!Object.hasOwn(fields, key)) bad(`unknown field '${key}'`);
      for (const [key, field] of entries) {
        const why = field.check(source[key]);
        if (why !== undefined) bad(`field '${key}' ${why}`);
      }
      const state = copy(source as Infer<F>);
      for (const rule of rules) {
        const why = rule(state);
        if (why !== true) bad(why);
      }
      return state;
    },
    copy,
    check: (rule) => pod(fields, [...rules, rule]),
  };
}
