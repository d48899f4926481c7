/** Checks of answers where they enter: small parsers that name the field which is not as promised. */
import { TomeiError } from '@tomei/kit';

/** Reads a value, or throws `answer.malformed` naming `where`, such as `guest.memoryMiB`. */
export type Parser<T> = (value: unknown, where: string) => T;

const describe = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
};

function refuse(where: string, expected: string, value: unknown): never {
  throw new TomeiError(
    'answer.malformed',
    `The server answered ${where} = ${describe(value)} where ${expected} belongs: page and server may be of different versions, reload the page`,
  );
}

export const text: Parser<string> = (value, where) =>
  typeof value === 'string' ? value : refuse(where, 'a text', value);

/** A whole number from 0 to 2^53 - 1. */
export const count: Parser<number> = (value, where) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuse(where, 'a whole number', value);

export const flag: Parser<boolean> = (value, where) =>
  typeof value === 'boolean' ? value : refuse(where, 'true or false', value);

/** A moment: ISO 8601 in the answer, milliseconds since 1970 here. */
export const moment: Parser<number> = (value, where) => {
  const atMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(atMs) ? refuse(where, 'a date', value) : atMs;
};

export const oneOf =
  <T extends string>(names: readonly T[]): Parser<T> =>
  (value, where) =>
    names.includes(value as T) ? (value as T) : refuse(where, `one of ${names.join(', ')}`, value);

export const orNull =
  <T>(parse: Parser<T>): Parser<T | null> =>
  (value, where) =>
    value === null ? null : parse(value, where);

/** As `parse`, and `fallback` where an older server does not say. */
export const orElse =
  <T>(parse: Parser<T>, fallback: T): Parser<T> =>
  (value, where) =>
    value === undefined ? fallback : parse(value, where);

export const listOf =
  <T>(parse: Parser<T>): Parser<readonly T[]> =>
  (value, where) =>
    Array.isArray(value) ? value.map((each, i) => parse(each, `${where}[${i}]`)) : refuse(where, 'a list', value);

/** An object with at least these fields; others are left out. */
export const shape =
  <T>(fields: { readonly [K in keyof T]: Parser<T[K]> }): Parser<T> =>
  (value, where) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(where, 'an object', value);
    const parsed: Partial<T> = {};
    for (const name of Object.keys(fields) as (keyof T & string)[]) {
      parsed[name] = fields[name]((value as Record<string, unknown>)[name], `${where}.${name}`);
    }
    return parsed as T;
  };

/** Reads JSON text with `parse`. Throws `answer.malformed`. */
export function parseJson<T>(json: string, parse: Parser<T>, where: string): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return refuse(where, 'JSON', json);
  }
  return parse(value, where);
}
