/** Starts and supervises guests. */
export { startRunner, type RunnerOptions } from './runner.ts';
export type { GuestStarter } from './guest-run.ts';
export { defaultMemoryMib, defaultRunnerId, defaultVcpus, runnerIdFrom } from './host.ts';
