/** Identifiers of the cluster, told apart by the compiler and checked where they enter. */
import { randomUUID } from 'node:crypto';
import { TomeiError } from '@tomei/kit';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };
export type GuestId = Branded<'GuestId'>;
export type RunnerId = Branded<'RunnerId'>;

/** Ids are parts of NATS subjects, store keys and paths of URLs: nothing that means something there may be in one. */
const ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function checked(noun: string, text: string): string {
  if (ID.test(text)) return text;
  const shown = JSON.stringify(text.slice(0, 80));
  throw new TomeiError(`${noun}.bad-id`, `${shown} is no ${noun} id: use a to z, 0 to 9 and '-', at most 63`);
}
/** Throws `guest.bad-id`. */
export const guestId = (text: string): GuestId => checked('guest', text) as GuestId;
/** Throws `runner.bad-id`. */
export const runnerId = (text: string): RunnerId => checked('runner', text) as RunnerId;

/** An id that nothing else has: twelve hexadecimal digits are enough for what one cluster ever registers. */
export const newGuestId = (): GuestId => `g-${randomUUID().replaceAll('-', '').slice(0, 12)}` as GuestId;
/** An id for a command, an event or an instance of a process. */
export const newId = (): string => randomUUID();

/** Names are for people: what stands in `displayName` is made to fit. */
const NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N} ._()+-]{0,62}[\p{L}\p{N})+])?$/u;
/** Throws `guest.bad-name`. */
export function guestName(text: string): string {
  if (NAME.test(text)) return text;
  const shown = JSON.stringify(text.slice(0, 80));
  throw new TomeiError(
    'guest.bad-name',
    `${shown} is no name for a guest: use letters, digits, spaces and . _ - + ( ), at most 64, a letter or digit first`,
  );
}
