/** The shape of a service: what it is given, and what whoever started it holds. */
import type { Bus } from './bus/bus.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Store } from './store/store.ts';

/** What a service is given. In a lab all four get the same bus and store. */
export interface ServiceParts {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly bus: Bus;
  readonly store: Store;
}
export interface RunningService {
  /** Undefined: ready. Otherwise what it waits for, in words. */
  readiness(): string | undefined;
  /** Takes nothing new, finishes what is under way, lets go of everything. Safe to call twice. */
  close(): Promise<void>;
}
