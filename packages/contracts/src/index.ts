/** What the services of a cluster say to each other: messages and services of proto/, ids, subjects. */
export type { Codec, Init } from './codec.ts';
export type { Method, Service } from './method.ts';
export * from './gen/tomei.ts';
export { guestId, guestName, newGuestId, newId, runnerId, type GuestId, type RunnerId } from './ids.ts';
export { EVENT_STREAM, EVENT_STREAM_LIMITS, subjects } from './subjects.ts';
export { createEnum, type EnumWords } from './enum-words.ts';
export {
  GUEST_PHASES,
  POOL_FILE_KINDS,
  POWERS,
  guestPhase,
  poolFileKind,
  power,
  type GuestPhaseWord,
  type PoolFileKindWord,
  type PowerWord,
} from './phase.ts';
