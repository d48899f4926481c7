/** Enumerations of proto/ as the words that people and the HTTP API use. It does not compile when the two have come apart. */
import { createEnum } from './enum-words.ts';
import type {
  GuestPhase as ProtoGuestPhase,
  PoolFileKind as ProtoPoolFileKind,
  Power as ProtoPower,
} from './gen/tomei.ts';

export const GUEST_PHASES = ['off', 'pending', 'starting', 'running', 'stopping', 'crashed', 'lost'] as const;
export type GuestPhaseWord = (typeof GUEST_PHASES)[number];
/** A phase that is unspecified counts as off. */
export const guestPhase = createEnum<ProtoGuestPhase, GuestPhaseWord>('GUEST_PHASE_', GUEST_PHASES, 'off');

export const POWERS = ['off', 'on'] as const;
export type PowerWord = (typeof POWERS)[number];
export const power = createEnum<ProtoPower, PowerWord>('POWER_', POWERS, 'off');

export const POOL_FILE_KINDS = ['vmx', 'vmdk', 'other'] as const;
export type PoolFileKindWord = (typeof POOL_FILE_KINDS)[number];
export const poolFileKind = createEnum<ProtoPoolFileKind, PoolFileKindWord>(
  'POOL_FILE_KIND_',
  POOL_FILE_KINDS,
  'other',
);
