/** Virtualization work: how often a guest is served by something that is not its own code, by kind, and the host time of that. */
import type { CpuBus } from '../core/cpu.ts';
import type { ProcessorWork, WorkObserver } from '../core/work.ts';
import { Meter } from './meter.ts';

/** `port` and `device-memory`: accesses; a block of one port counts once. `timer`: alarms of devices that are due. */
export const METERED_WORK = ['port', 'device-memory', 'hypervisor', 'privileged', 'interrupt', 'timer'] as const;
export type MeteredWork = (typeof METERED_WORK)[number];

export class WorkMeter implements WorkObserver {
  private readonly meters: Readonly<Record<MeteredWork, Meter>>;

  /** `now` gives host time in milliseconds. */
  constructor(now: () => number) {
    this.meters = Object.fromEntries(METERED_WORK.map((kind) => [kind, new Meter(now)])) as Record<MeteredWork, Meter>;
  }
  /** Of one kind: for whoever does work of it in a way that neither bus nor services see. */
  of(kind: MeteredWork): Meter {
    return this.meters[kind];
  }

  observed<A extends readonly number[], R>(kind: ProcessorWork, work: (...given: A) => R): (...given: A) => R {
    return metered(this.meters[kind], work);
  }
  /** The same bus, with what passes over it counted. */
  metered(bus: CpuBus): CpuBus {
    const { port, 'device-memory': memory } = this.meters,
      { portReadBlock, portWriteBlock } = bus;
    return {
      ...bus,
      portRead: metered(port, bus.portRead),
      portWrite: metered(port, bus.portWrite),
      memoryRead: metered(memory, bus.memoryRead),
      memoryWrite: metered(memory, bus.memoryWrite),
      ...(portReadBlock === undefined
        ? {}
        : { portReadBlock: (at, width, into) => port.alone(() => portReadBlock.call(bus, at, width, into)) }),
      ...(portWriteBlock === undefined
        ? {}
        : { portWriteBlock: (at, width, from) => port.alone(() => portWriteBlock.call(bus, at, width, from)) }),
    };
  }
}

/** Four parameters are the most that there are; handing on more of them than were given changes nothing. */
function metered<A extends readonly number[], R>(meter: Meter, work: (...given: A) => R): (...given: A) => R {
  const call = work as unknown as (a?: number, b?: number, c?: number, d?: number) => R;
  return ((a?: number, b?: number, c?: number, d?: number): R => {
    if (!meter.isTimed) return call(a, b, c, d);
    const began = meter.begin(),
      value = call(a, b, c, d);
    meter.end(began);
    return value;
  }) as unknown as (...given: A) => R;
}
