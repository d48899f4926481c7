/** Between an enumeration of proto/ (`GUEST_PHASE_RUNNING`) and a word (`running`). */

export interface EnumWords<Proto extends string, Word extends string> {
  toWord(value: Proto): Word;
  toProto(word: Word): Proto;
}

/** The proto value of a word; compiles only when there is one. */
type ProtoOf<Prefix extends string, Word extends string> = `${Prefix}${Uppercase<Word>}`;

/**
 * `unspecified` is what a value counts as that the sender left out, or that is newer than this program. Compiles only when the words
 * are all of the enumeration's values, and no others.
 */
export function createEnum<Proto extends string, Word extends string>(
  prefix: string,
  words: [Exclude<Proto, ProtoOf<string, Word> | `${string}_UNSPECIFIED`>] extends [never] ? readonly Word[] : never,
  unspecified: Word,
): EnumWords<Proto, Word> {
  const known = words as readonly Word[];
  const byProto = new Map(known.map((word) => [`${prefix}${word.toUpperCase()}`, word]));
  return {
    toWord: (value) => byProto.get(value) ?? unspecified,
    toProto: (word) => `${prefix}${word.toUpperCase()}` as Proto,
  };
}
