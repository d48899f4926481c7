/** Where and when something is measured: figures of different machines do not compare. */
import { cpus, loadavg, release, type as systemType } from 'node:os';

export interface Here {
  /** The day, as ISO 8601 writes it. */
  readonly date: string;
  readonly processor: string;
  readonly processors: number;
  readonly system: string;
  readonly node: string;
  /** Load average over five minutes when it began: above the number of processors, wall time means little. */
  readonly load: number;
}

/** To be called before anything is measured: measuring is a load, too. */
export function describeMachine(): Here {
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model ?? 'unknown',
    processors: cpus().length,
    system: `${systemType()} ${release()}`,
    node: process.versions.node,
    load: loadavg()[1] ?? 0,
  };
}
