/** What is known of a running guest's engine: what was executed, where host time went, and why guest code was left. Plain data. */
import type { CompilerCounts, MeteredWork, TranslationCounts } from '@tomei/paravirt-core';

/**
 * Where the time of the processor's thread went, in host milliseconds; together they are what has passed since the start, without
 * pauses. Interpreted and compiled are told apart by samples; devices and system are measured as `VirtualizationWork` says.
 */
export interface TimeUse {
  /** In the interpreter; decoding, page walks and delivering events included. */
  readonly interpreted: number;
  /** In compiled code, with the page walks that it asks for. */
  readonly compiled: number;
  /** Taking compiled code into use. Translating itself is another thread's: `CompilerCounts.translatingMs`. */
  readonly translating: number;
  /** In devices, and with what passes between them and the host: port, device-memory, timer and host of `VirtualizationWork`. */
  readonly devices: number;
  /** With the guest's system: privileged, hypervisor and interrupt of `VirtualizationWork`. */
  readonly system: number;
  /** Halted. */
  readonly idle: number;
}
export const TIME_USES = ['interpreted', 'compiled', 'translating', 'devices', 'system', 'idle'] as const;

/** What is done for a guest by something that is not its own code, each with host time on the processor's thread. */
export const VIRTUALIZATION_WORK = [
  /** Devices behind ports, and behind memory that is theirs: registers of interrupt controllers and timers too. */
  'port',
  'device-memory',
  /** Hypercalls. Registers of the hypervisor's are privileged: instructions that reach them are. */
  'hypervisor',
  /** System instructions: control, debug and model-specific registers, INVLPG, CPUID, RDTSC, descriptor tables. */
  'privileged',
  /** Interrupts: acknowledged by their controller, and delivered. Exceptions are the guest's own. */
  'interrupt',
  /** Alarms of devices: ticks of timers, ends of requests. */
  'timer',
  /** Between two slices: input taken, output passed on, commands answered. */
  'host',
] as const satisfies readonly (MeteredWork | 'host')[];
export type VirtualizationWork = (typeof VIRTUALIZATION_WORK)[number];
/** The part of it that is the system's; the rest is the devices'. */
export const SYSTEM_WORK = ['privileged', 'hypervisor', 'interrupt'] as const satisfies readonly VirtualizationWork[];

/**
 * Virtualization work by guest code, where guest code is all that executes it: the interpreter with its page walks, compiled code, and
 * taking that into use. Undefined before there was any.
 */
export function overheadOf({ interpreted, compiled, translating, devices, system }: TimeUse): number | undefined {
  const code = interpreted + compiled + translating;
  return code > 0 ? (devices + system) / code : undefined;
}

/** Why guest code was left for the engine's TypeScript, or ended its slice. */
export const EXIT_CAUSES = [
  /** An access of a port, or of memory that is a device's. */
  'port',
  'device-memory',
  /** A register of the hypervisor's, or a hypercall. */
  'hypervisor',
  /** A system instruction that is done in TypeScript; none of the above, and not HLT. */
  'privileged',
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
  /** Host milliseconds, by kind; together they are `devices` and `system` of `time`. */
  readonly virtualization: Readonly<Record<VirtualizationWork, number>>;
  /** `overheadOf` the time. */
  readonly overhead?: number;
  readonly exits: Readonly<Record<ExitCause, number>>;
  readonly decoded: number;
  readonly codeInvalidations: number;
  readonly codeFlushes: number;
  readonly pageWalks: number;
  readonly translations: TranslationCounts;
  /** Compiled code; absent where everything is interpreted. */
  readonly compiled?: CompilerCounts;
  /** Events delivered by vector; only those that occurred. */
  readonly events: Readonly<Record<number, number>>;
  /** Ethernet frames of all cards together; absent where there are none. `lost` found no room on their way. */
  readonly frames?: { readonly sent: number; readonly received: number; readonly lost: number };
}
