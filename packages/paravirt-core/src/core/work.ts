/**
 * What the processor does for a guest's system that a processor of silicon under a hypervisor would leave to that: told to whoever
 * keeps account of it (vm/work-meter.ts). Page walks, exceptions and far transfers are not among it: a processor does those by itself.
 */
import type { Service } from './services.ts';

/** `privileged`: a system instruction, done in TypeScript. `hypervisor`: a call of it. `interrupt`: one is acknowledged and delivered. */
export type ProcessorWork = 'privileged' | 'hypervisor' | 'interrupt';

/** Whoever keeps account. */
export interface WorkObserver {
  /** The same function, whose calls are counted as work of a kind. */
  observed<A extends readonly number[], R>(kind: ProcessorWork, work: (...given: A) => R): (...given: A) => R;
}

/**
 * The services that are such work, by name. Not HLT and MWAIT, after which the guest's code is left anyway, nor what is in
 * WebAssembly: changing IF, segments, IRET, SYSENTER.
 */
const KINDS: Readonly<Record<string, ProcessorWork>> = {
  ...{ readControl: 'privileged', writeControl: 'privileged', loadMachineStatus: 'privileged' },
  ...{ clearTaskSwitched: 'privileged', invalidatePage: 'privileged' },
  ...{ readDebug: 'privileged', writeDebug: 'privileged' },
  ...{ readMsr: 'privileged', writeMsr: 'privileged', identify: 'privileged' },
  ...{ readTimestamp: 'privileged', readCounter: 'privileged' },
  ...{ loadGdt: 'privileged', loadIdt: 'privileged', loadLdt: 'privileged', loadTaskRegister: 'privileged' },
  callHypervisor: 'hypervisor',
};

/** The same services, with those that are work observed. */
export function observedServices(
  services: Readonly<Record<string, Service>>,
  observer: WorkObserver,
): Readonly<Record<string, Service>> {
  const observed = Object.entries(KINDS).map(
    ([name, kind]) => [name, observer.observed(kind, services[name]!)] as const,
  );
  return { ...services, ...Object.fromEntries(observed) };
}
