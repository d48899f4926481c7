/** What is known of a running guest's engine: what was executed, where host time went, and why guest code was left. Plain data. */
import type { CompilerCounts } from '@tomei/paravirt-core';

/**
 * Where the time of the processor's thread went, in host milliseconds; together they are what has passed since the start, without
 * pauses. Interpreted and compiled are told apart by samples, devices by timing some accesses.
 */
export interface TimeUse {
  /** In the interpreter; decoding, page walks and delivering events included. */
  readonly interpreted: number;
  /** In compiled code, with the page walks that it asks for. */
  readonly compiled: number;
  /** Taking compiled code into use. Translating itself is another thread's: `CompilerCounts.translatingMs`. */
  readonly translating: number;
  /** In devices, and with what passes between them and the host. */
  readonly devices: number;
  /** Halted. */
  readonly idle: number;
}
export const TIME_USES = ['interpreted', 'compiled', 'translating', 'devices', 'idle'] as const;

/** Why guest code was left for the engine's TypeScript, or ended its slice. */
export const EXIT_CAUSES = [
  /** An access of a port, or of memory that is a device's. */
  'port',
  'device-memory',
  /** A register of the hypervisor's, or a hypercall. */
  'hypervisor',
  /** Page tables had to be walked. */
  'tlb-miss',
  'exception',
  'interrupt',
  /** The guest waits for an interrupt. */
  'halt',
  /** A slice was over. */
  'slice',
] as const;
export type ExitCause = (typeof EXIT_CAUSES)[number];

/** What was executed and where host time went. Times are host milliseconds on the vCPU thread. */
export interface GuestStats {
  readonly instructions: number;
  readonly guestMs: number;
  /** Host CPU time of the thread, which on a busy host is less than the time that passed. */
  readonly cpuMs: number;
  readonly haltedMs: number;
  readonly time: TimeUse;
  readonly exits: Readonly<Record<ExitCause, number>>;
  readonly decoded: number;
  readonly codeInvalidations: number;
  readonly codeFlushes: number;
  readonly pageWalks: number;
  /** Compiled code; absent where everything is interpreted. */
  readonly compiled?: CompilerCounts;
  /** Events delivered by vector; only those that occurred. */
  readonly events: Readonly<Record<number, number>>;
  /** Ethernet frames of all cards together; absent where there are none. `lost` found no room on their way. */
  readonly frames?: { readonly sent: number; readonly received: number; readonly lost: number };
}
