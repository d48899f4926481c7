/**
 * The hypervisor's side of VMI: what the option ROM's code cannot do by itself. It has neither ports nor memory: the ROM's hypercalls
 * come here, with numbers alone, so that nothing of a guest's memory is read or written.
 */
import { bool, list, nested, pod, u32 } from '@tomei/kit';
import { backendKind, defineDevice, typed } from '../machine/device.ts';
import { apStateWords, readApState, wrongInApState, type ApState } from './ap-state.ts';
import { ProcessorClock, clockFields } from './clock.ts';
import { ALARM, AP_STATE_WORDS, CALL, CALL_NAMES, COUNTER, HYPERCALL_INIT } from './interface.ts';
import { PageTables } from './page-tables.ts';

export interface VmiConfig {
  /** Unix time in seconds when the machine's clock was 0. */
  readonly epoch: number;
  readonly processors: number;
}
/** A processor as the device knows it. */
export interface VmiProcessor {
  /** Registers of its local APIC by their offset, multiples of 16. */
  readRegister(offset: number): number;
  writeRegister(offset: number, value: number): void;
  /** An interrupt of the timer, by its entry in the local vector table. */
  timerInterrupt(): void;
  /** The page of the root of its address space; undefined while it has none. */
  root(): number | undefined;
}
/** All of them, by number: the identifiers of their local APICs after reset. */
export const vmiProcessors = backendKind<readonly VmiProcessor[]>('vmi-processors');

/** A hypercall of the ROM: the number of its call, five arguments, by which processor, and at which privilege level. */
export interface VmiCall {
  readonly number: number;
  readonly arguments: readonly [number, number, number, number, number];
  readonly processor: number;
  readonly cpl: number;
}
/** EAX and EDX afterwards; EDX as it was when absent. */
export type VmiAnswer = readonly [eax: number, edx?: number];

const TIMER_LINE = 0;
/** More RAM than a 32-bit board has, in pages. */
const MOST_PAGES = 1 << 20;
const PAGE_BYTES = 4096;
/** More processors than an APIC has identifiers for. */
const MOST_PROCESSORS = 256;
/** APIC registers are within a page. */
const APIC_OFFSET = 0xfff;
const DONE: VmiAnswer = [0];
const REFUSED: VmiAnswer = [0xffff_ffff];

/** What each processor has of its own. */
const processorState = pod({ ...clockFields, apState: apStateWords });
interface OldState {
  readonly alarms: unknown;
  readonly stolen: unknown;
  readonly available: unknown;
}

export const vmi = defineDevice({
  kind: 'vmi',
  version: 2,
  summary: "VMI 3.0: timers, APIC, page tables, start of processors, power, behind an option ROM's calls",
  config: typed<VmiConfig>({ epoch: 0, processors: 1 }),
  state: pod({
    /** VMI_Init has been called, and where the guest has its ROM: a linear address. */
    active: bool(),
    base: u32(),
    /** The level at which the timer's line is driven. */
    line: bool(),
    /** Page frame numbers. */
    pageTables: list(MOST_PAGES, u32()),
    /** As many as the machine has. */
    processors: list(MOST_PROCESSORS, nested(processorState)),
  }),
  /** There was one processor, whose clock was the machine's. */
  migrate(_version, state) {
    if (typeof state !== 'object' || state === null) return state;
    const { alarms, stolen, available, ...rest } = state as OldState;
    return { ...rest, processors: [{ alarms, stolen, available, apState: [] }] };
  },
  attach({ config: { epoch, processors: count }, state, host }) {
    const processors = host.backend(vmiProcessors) ?? [];
    const counts = { calls: 0 };
    const ramPages = Math.floor(host.memory.size / PAGE_BYTES);
    let pageTables = new PageTables(state.pageTables, ramPages);
    const fit = (): void => {
      while (state.processors.length < count) state.processors.push(processorState.initial());
      state.processors.length = count;
    };
    fit();

    const clocks = Array.from(
      { length: count },
      (_, index) =>
        new ProcessorClock(host, () => state.processors[index]!, {
          line() {
            state.line = true;
            host.irq(TIMER_LINE, false);
            host.irq(TIMER_LINE, true);
          },
          local: () => processors[index]?.timerInterrupt(),
        }),
    );
    /** The guest has stopped the PIT, whose output may be high: while an alarm comes on its line, nothing else does. */
    const settleLine = (): void => {
      const uses = clocks.some(({ usesLine }) => usesLine);
      state.line &&= uses;
      host.replaceLine(TIMER_LINE, uses);
      host.irq(TIMER_LINE, state.line);
    };

    /** 64 bits in EDX:EAX. */
    const wide = (n: number): VmiAnswer => [n % 2 ** 32, Math.floor(n / 2 ** 32)];
    const alarmOf = (flags: number): number | undefined => {
      const which = flags & ALARM.COUNTER;
      if (which === COUNTER.REAL || which === COUNTER.AVAILABLE) return which;
      host.trouble(`sets an alarm on counter ${which}, which there is not`);
      return undefined;
    };
    const wrong = (what: string | undefined): VmiAnswer => {
      if (what !== undefined) host.trouble(what);
      return DONE;
    };

    /** A word of the state in which a processor is to start: they come one after the other. Answers what is wrong, for a person. */
    const giveWord = (index: number, id: number, word: number): string | undefined => {
      if (id === 0 || id >= count)
        return index === 0
          ? `gives a state to start processor ${id} in, ${id === 0 ? 'which runs when the others start' : 'which there is not'}`
          : undefined;
      const own = state.processors[id]!;
      if (index === 0) own.apState = [];
      // Those that have no place are of a state that has been refused, or that another processor has begun anew.
      if (index !== own.apState.length) return undefined;
      own.apState.push(word);
      if (own.apState.length < AP_STATE_WORDS) return undefined;
      const why = wrongInApState(readApState(own.apState));
      if (why === undefined) return undefined;
      own.apState = [];
      return `gives a state to start processor ${id} in that is ${why}`;
    };
    const roots = (): number[] => processors.map((each) => each.root()).filter((root) => root !== undefined);

    const call = (
      number: number,
      [first, second, third, fourth, fifth]: VmiCall['arguments'],
      processor: number,
    ): VmiAnswer => {
      const clock = clocks[processor]!,
        apic = processors[processor];
      switch (number) {
        case HYPERCALL_INIT:
          state.active = true;
          state.base = first;
          return DONE;
        case CALL.GetCycleCounter:
          return wide(clock.counter(first));
        case CALL.SetAlarm: {
          const which = alarmOf(first);
          if (which === undefined) return DONE;
          clock.set(which, first, [second, third, fourth, fifth]);
          settleLine();
          return DONE;
        }
        case CALL.CancelAlarm: {
          const which = alarmOf(first),
            was = which !== undefined && clock.cancel(which);
          settleLine();
          return [was ? 1 : 0];
        }
        case CALL.GetWallclockTime: {
          const time = BigInt(epoch) * 1_000_000_000n + BigInt(Math.floor(host.clock.now()));
          return [Number(BigInt.asUintN(32, time)), Number(BigInt.asUintN(32, time >> 32n))];
        }
        case CALL.APICRead:
          return [apic?.readRegister(first & APIC_OFFSET) ?? 0xffff_ffff];
        case CALL.APICWrite:
          apic?.writeRegister(first & APIC_OFFSET, second);
          return DONE;
        case CALL.AllocatePage:
          return wrong(pageTables.allocate({ page: first, flags: second, source: third, first: fourth, count: fifth }));
        case CALL.ReleasePage:
          return wrong(pageTables.release(first, roots()));
        case CALL.SetInitialAPState:
          return wrong(giveWord(first, second, third));
        case CALL.Reboot:
          host.signal('reset', 0);
          return DONE;
        case CALL.Shutdown:
          host.signal('power-off', 0);
          return DONE;
        default:
          host.trouble(
            `makes call ${CALL_NAMES[number] ?? number} of its hypervisor, which is none of those that come here`,
          );
          return REFUSED;
      }
    };

    return {
      ports: [],
      /** A hypercall of the ROM. Above CPL 0 it is refused. */
      hypercall({ number, arguments: given, processor, cpl }: VmiCall): VmiAnswer {
        counts.calls++;
        if (cpl === 0) return call(number, given, processor);
        host.trouble(`makes call ${CALL_NAMES[number] ?? number} of its hypervisor from outside of its kernel`);
        return REFUSED;
      },
      /** Where the guest's ROM is, once it uses it: a linear address. */
      base: (): number | undefined => (state.active ? state.base : undefined),
      /**
       * A processor is started: the state for that; null where it is not to start at all, since the guest has given none that is whole and
       * right. Its alarms are as after power-on. Undefined until the guest uses VMI: processors start as they do by themselves.
       */
      start(processor: number): ApState | null | undefined {
        if (!state.active) return undefined;
        const words = state.processors[processor]!.apState;
        clocks[processor]!.cancelAll();
        settleLine();
        if (words.length === AP_STATE_WORDS) return readApState(words);
        host.trouble(`starts processor ${processor}, and has given it no state to start in`);
        return null;
      },
      /** A processor could not be brought into its initial state: why, for a person. */
      startRefused(processor: number, why: string): void {
        host.trouble(`starts processor ${processor} in a state that it cannot have: ${why}`);
      },
      /** Whether the guest wants to hear how long its processors waited for one of the host's. */
      wantsStolenTime: (): boolean => state.active,
      /** A processor was ready and did not execute for so many nanoseconds since this was said last. */
      stolen(processor: number, nanoseconds: number): void {
        clocks[processor]!.stolen(nanoseconds);
      },
      /** Pages that are announced as page tables now. */
      pageTables: (): number => state.pageTables.length,
      /** Hypercalls since this was made. */
      counts,
      lines: [TIMER_LINE],
      settle(): void {
        fit();
        pageTables = new PageTables(state.pageTables, ramPages);
        settleLine();
        for (const clock of clocks) clock.settleAll();
      },
    };
  },
});
