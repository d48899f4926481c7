/** The processors of a machine: how each of them reaches the board, and what it finds of its hypervisor. */
import type { Alarms } from '@tomei/kit';
import type { CpuBus } from '../core/cpu.ts';
import { joinProcessors } from '../core/joined-processors.ts';
import type { PhysicalMap } from '../core/physical.ts';
import type { MemoryPlan } from '../core/plan.ts';
import { Processor } from '../core/processor.ts';
import {
  MOST_BYTES,
  compilingEngine,
  type CompilerCounts,
  type CompilingEngine,
  type CompilingOptions,
  type Translator,
} from '../jit/index.ts';
import type { Board } from '../machine/board.ts';
import { createLeaves } from '../numerics/leaves.ts';
import { isBackdoorCall } from '../paravirt/vmware-backdoor.ts';
import { apicWindow } from './apic-window.ts';
import type { HeldClock, MachineClock } from './clocks.ts';
import { hypervisorOf, registersOf } from './hypervisor.ts';
import type { MachineConfig } from './machine-config.ts';
import type { BoardParts } from './populate-board.ts';
import type { WorkMeter } from './work-meter.ts';

/** How code is compiled. */
export interface MachineCompiling extends CompilingOptions {
  /** Who translates for an application processor; the thread itself, at once, when absent. Whoever made it closes it. */
  readonly translatorOf?: (processor: number) => Translator;
}
/** What processors are put into. The board is populated behind them: `parts` are asked for when the guest runs. */
export interface Surroundings {
  readonly config: MachineConfig;
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly physical: PhysicalMap;
  readonly board: Board;
  readonly alarms: Alarms;
  readonly clock: MachineClock;
  readonly time: HeldClock;
  readonly served: WorkMeter;
  readonly compiling: MachineCompiling;
  readonly parts: () => BoardParts;
  /** `callBelowStack` of the machine. */
  readonly callBelowStack: (target: number) => number | undefined;
}

/** As many as the plan has, with the engines of those that compile. */
export function buildProcessors(around: Surroundings): {
  readonly processors: readonly Processor[];
  readonly engines: readonly CompilingEngine[];
} {
  const { config, memory, plan, physical, clock, time, served, parts } = around;
  const leaves = createLeaves(memory),
    engines: CompilingEngine[] = [],
    processors: Processor[] = [],
    isAlone = plan.cpus.length === 1;
  for (let index = 0; index < plan.cpus.length; index++) {
    const hypervisor = hypervisorOf(
      config,
      index,
      () => ({ kvm: parts().kvms[index], vmi: parts().vmi }),
      registersOf(() => processors[index]!.cpu),
      () => {
        time.look();
        clock.touched();
        // An alarm may be set, which an instruction clock is to reach exactly.
        if (!clock.isReal) processors[index]!.requestAttention();
      },
      around.callBelowStack,
    );
    const processor = new Processor({
      ...{ memory, plan, index, physical, leaves },
      bus: served.metered(busOf(index, around)),
      accountant: served,
      system: {
        apicId: index,
        ...(config.coresPerSocket === undefined ? {} : { cores: config.coresPerSocket }),
        // MWAIT ends when another processor stores to the line, which nobody watches: guests halt by HLT instead.
        ...(isAlone ? {} : { without: ['MONITOR'] as const }),
        ...(config.cpuid === undefined ? {} : { cpuid: config.cpuid }),
        ...(hypervisor === undefined ? {} : { hypervisor }),
        ...(config.paravirt === 'kvm' && config.tools?.restricted !== true ? { opensPort: isBackdoorCall } : {}),
      },
      ...(config.interpreted === true
        ? {}
        : {
            engine: (made) =>
              (engines[index] = compilingEngine(made, compilingOf(index, plan.cpus.length, around.compiling))),
          }),
      ...(clock.isReal ? {} : { timekeeper: { worked: (work) => clock.executed(work) } }),
    });
    processors.push(processor);
  }
  joinProcessors(processors);
  return { processors, engines };
}

/** What one of several compiles is kept within its part of what one alone may have. */
function compilingOf(index: number, count: number, { translatorOf, ...options }: MachineCompiling): CompilingOptions {
  if (count === 1) return options;
  const { translator: first, mostBytes = MOST_BYTES, ...others } = options,
    translator = index === 0 ? first : translatorOf?.(index);
  return { ...others, mostBytes: mostBytes / count, ...(translator === undefined ? {} : { translator }) };
}

/** What a processor sees of the board, each time with the time looked at before. */
function busOf(index: number, { board, alarms, clock, time, parts }: Surroundings): CpuBus {
  const touch = <T>(value: T): T => {
    clock.touched();
    return value;
  };
  const touchAll = (bytes: number, width: number): number => {
    clock.touched(bytes / width);
    return bytes;
  };
  const apic = (): BoardParts['localApics'][number]['parts'] => parts().localApics[index]!.parts;
  const memory =
    index === 0
      ? board
      : apicWindow(
          board,
          () => apic().registers,
          () => parts().localApics[0]!.parts.registers,
        );
  return {
    portRead: (port, width) => (time.look(), touch(board.portRead(port, width))),
    portWrite: (port, width, value) => (time.look(), touch(board.portWrite(port, width, value))),
    portReadBlock: (port, width, into) => (time.look(), touchAll(board.ports.readBlock(port, width, into), width)),
    portWriteBlock: (port, width, from) => (time.look(), touchAll(board.ports.writeBlock(port, width, from), width)),
    ...(clock.isReal ? {} : { blockRoom: () => clock.touchesBefore(alarms.next() ?? Infinity) }),
    memoryRead: (address, width) => (time.look(), touch(memory.memoryRead(address, width))),
    memoryWrite: (address, width, value) => (time.look(), touch(memory.memoryWrite(address, width, value))),
    acknowledgeInterrupt: () => (time.look(), board.acknowledge(index)),
    timestamp: () => touch(Math.floor(clock.now())),
    readDeadline: () => (time.look(), touch(apic().deadline())),
    writeDeadline: (low, high, reached) => (time.look(), touch(apic().setDeadline(low, high, reached))),
    apicBase: (value) => apic().setBase(value),
    // Systems of several processors do not use the bootstrap processor's FERR# any more, and others have none (MP 1.4, 3.6.1).
    ...(index === 0 ? { fpuError: (asserted: boolean) => parts().fpuErrors.parts.error(asserted) } : {}),
  };
}

/** What the compilers of all processors have done; undefined without one. */
export function sumOfCounts(counts: readonly Readonly<CompilerCounts>[]): CompilerCounts | undefined {
  const [first, ...rest] = counts;
  if (first === undefined) return undefined;
  return rest.reduce<CompilerCounts>(
    (sum, each) => ({
      regions: sum.regions + each.regions,
      dropped: sum.dropped + each.dropped,
      bytes: sum.bytes + each.bytes,
      translatingMs: sum.translatingMs + each.translatingMs,
      ownMs: sum.ownMs + each.ownMs,
      longestMs: Math.max(sum.longestMs, each.longestMs),
    }),
    { ...first },
  );
}
