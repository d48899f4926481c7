/** One processor put together: what runs, when events are delivered, and how much was executed. */
import { EFLAGS, EXCEPTION } from '../isa/build.ts';
import { Decoder } from '../isa/decode.ts';
import { allRows } from '../isa/instructions/index.ts';
import { CodeCache } from './code-cache.ts';
import { BREAKPOINT, CR0, Cpu, GUEST_FAULT, HOLD, STEP, STOP, type CpuBus } from './cpu.ts';
import { DR6, DebugRegisters } from './debug-registers.ts';
import { compileInterpreter, instantiateInterpreter, type Engine, type Leaf } from './interpreter/engine.ts';
import { RUN } from './interpreter/record.ts';
import { MONITOR, NMI, OFFSET, SHADOW } from './layout.ts';
import { Mmu } from './mmu.ts';
import type { PhysicalMap } from './physical.ts';
import type { MemoryPlan } from './plan.ts';
import { Segmentation } from './segmentation.ts';
import { createServices, type Service } from './services.ts';
import { SystemRegisters, type SystemOptions } from './system.ts';
import { Transfers, type EventKind } from './transfer.ts';
import { observedServices, type WorkObserver } from './work.ts';

/** Exceptions that turn a second one into a double fault (SDM vol. 3, table 6-4). */
const CONTRIBUTORY = new Set<number>([EXCEPTION.DE, EXCEPTION.TS, EXCEPTION.NP, EXCEPTION.SS, EXCEPTION.GP]);
/** A run of decoded instructions is longer than its budget by no more than this; so many are counted out one by one. */
const TAIL = 80;

/** Why `run` came back before its budget was used. 'breakpoint' is a debugger's: `debug.stop` says which. */
export type StopReason = 'budget' | 'halted' | 'attention' | 'triple-fault' | 'breakpoint';

/**
 * Somebody to whom time is a matter of how much was executed. `run` keeps to its budget exactly then, and comes back after each
 * access outside of the processor, which may have changed when the next alarm is due.
 */
export interface Timekeeper {
  /** More of `work` was done. Called before time is asked for. */
  worked(work: number): void;
}
/** Somebody who looks at each instruction. */
export interface Observer {
  /** EIP is at an instruction, or a repetition of one, that is executed next. */
  before(): void;
  /** An exception or interrupt is delivered; software interrupts are instructions. */
  delivered(vector: number): void;
}

let sharedDecoder: Decoder | undefined;
/** The decoder of the whole table; it holds no state. */
export const decoder = (): Decoder => (sharedDecoder ??= new Decoder(allRows));

/** Makes what all processors of a thread share, so that the first one starts at once. */
export function prepareEngine(): void {
  compileInterpreter(decoder().table);
}

export interface ProcessorOptions {
  /** Zero in the areas of the plan that are not the guest's: TLBs, page maps and records of another processor would be believed. */
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly index: number;
  readonly physical: PhysicalMap;
  readonly bus: CpuBus;
  readonly leaves: Readonly<Record<string, Leaf>>;
  readonly system?: SystemOptions;
  /** Absent where time passes by itself. */
  readonly timekeeper?: Timekeeper;
  /** Whoever keeps account of what is done beside guest code. */
  readonly accountant?: WorkObserver;
  /** Makes what executes; the generated interpreter when missing. */
  readonly engine?: (parts: EngineParts) => Engine;
}

/** What an engine works on. */
export interface EngineParts {
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly code: CodeCache;
  readonly services: Readonly<Record<string, Service>>;
  readonly leaves: Readonly<Record<string, Leaf>>;
}

export class Processor {
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly code: CodeCache;
  readonly segments: Segmentation;
  readonly transfers: Transfers;
  readonly system: SystemRegisters;
  readonly debug: DebugRegisters;
  /** Instructions executed since power-on. */
  instructions = 0;
  /**
   * What takes time: instructions, each repetition of a string instruction, and each event delivered. It depends on what the guest
   * does alone, not on where runs were cut.
   */
  work = 0;
  /** When set, runs go instruction by instruction. */
  observer: Observer | undefined;
  /** Interrupts and NMIs wait: a debugger steps. */
  holdInterrupts = false;
  /** Events delivered, by vector: for --stats. */
  readonly delivered = new Uint32Array(256);
  private readonly engine: Engine;
  private attention = false;
  private readonly timekeeper: Timekeeper | undefined;
  /** Work that the timekeeper knows of. */
  private told = 0;
  /** Nothing is watched that compiled code does not keep to. */
  private mayCompile = true;
  /** The engine runs more than one instruction: the time within is not known. */
  private inStretch = false;
  /** Repetitions that an instruction at its exact time may do on top of one. */
  private room = 0;
  /** Acknowledges the interrupt that is requested, and delivers it. */
  private readonly takeInterrupt: () => 'delivered' | 'triple-fault';

  constructor(options: ProcessorOptions) {
    const { memory, plan, index, accountant } = options;
    const place = plan.cpus[index]!;
    this.timekeeper = options.timekeeper;
    const bus = this.timekeeper === undefined ? options.bus : this.atExactTime(options.bus);
    this.cpu = new Cpu(memory, index, options.physical, bus);
    this.mmu = new Mmu(this.cpu, place.tlb);
    const compiled = compileInterpreter(decoder().table);
    this.code = new CodeCache(this.cpu, this.mmu, decoder(), compiled.generated.handlerOf, place.code);
    this.segments = new Segmentation(this.cpu, this.mmu);
    this.transfers = new Transfers(this.cpu, this.mmu, this.segments);
    this.system = new SystemRegisters(this.cpu, this.mmu, options.system);
    // A counter that is read in the middle of a stretch is one of the things that are done once more by themselves.
    const exact = (count: () => number) => (): number => {
      if (this.inStretch) this.cpu.raise(STEP);
      return count();
    };
    this.system.counters.sources = { instructions: exact(() => this.instructions), cycles: exact(() => this.work) };
    this.debug = new DebugRegisters(this.cpu, this.mmu);
    this.code.stops = this.debug;
    this.transfers.tasks.onSwitch = (traps) => this.debug.taskSwitched(traps);
    const taking = (): 'delivered' | 'triple-fault' => this.event(this.cpu.bus.acknowledgeInterrupt(), 'external');
    this.takeInterrupt = accountant?.observed('interrupt', taking) ?? taking;
    const own = createServices({
      cpu: this.cpu,
      mmu: this.mmu,
      segments: this.segments,
      transfers: this.transfers,
      system: this.system,
      debug: this.debug,
    });
    const services = {
      ...(accountant === undefined ? own : observedServices(own, accountant)),
      resolve: (eip: number) => this.code.resolve(eip),
      cross: (eip: number) => this.code.cross(eip >>> 0),
      leaveAfter: (record: number) => this.code.leaveAfter(record),
    };
    const { cpu, mmu, code } = this,
      { leaves } = options;
    this.engine =
      options.engine?.({ cpu, mmu, code, services, leaves }) ?? instantiateInterpreter(compiled, cpu, services, leaves);
    if (this.engine.deliver !== undefined) this.transfers.delivery.flat = this.engine.deliver;
    this.cpu.onModeChange = () => {
      this.code.flush();
      this.debug.refresh();
    };
    this.cpu.reset();
  }

  /** The board raised or dropped the interrupt request. */
  setInterruptRequest(level: boolean): void {
    this.cpu.set('interruptPending', level ? 1 : 0);
    if (level && (this.cpu.get('systemFlags') & EFLAGS.IF) !== 0) this.cpu.set('exit', 1);
  }
  /** The NMI pin rose, or a message of that kind came. One waits while another is handled. */
  requestNmi(): void {
    this.cpu.set('nmi', this.cpu.get('nmi') | NMI.pending);
    this.cpu.set('exit', 1);
  }
  /** Asks `run` to come back after the current instruction. */
  requestAttention(): void {
    this.attention = true;
    this.cpu.set('exit', 1);
  }

  /** Whether a halted processor would take an interrupt. */
  get canWake(): boolean {
    const { cpu } = this;
    return (cpu.get('systemFlags') & EFLAGS.IF) !== 0 || this.takesNmi || cpu.get('monitor') === MONITOR.waitingMasked;
  }
  /** Whether it is halted, and nothing has come that ends that. */
  get sleeps(): boolean {
    const { cpu } = this;
    if (cpu.get('halted') === 0 || cpu.get('debugTraps') !== 0 || this.takesNmi) return false;
    const ends = (cpu.get('systemFlags') & EFLAGS.IF) !== 0 || cpu.get('monitor') === MONITOR.waitingMasked;
    return cpu.get('interruptPending') === 0 || !ends;
  }
  /**
   * INIT (SDM vol. 3, table 10-1): as after reset, but that the registers of x87 and SSE, model-specific ones and the time stamp counter
   * stay as they are, and CD and NW of CR0.
   */
  init(): void {
    const { cpu, system } = this,
      { timestampOffset } = cpu,
      cache = cpu.get('cr0') & (CR0.CD | CR0.NW),
      units = [cpu.base + OFFSET.fpuControl, cpu.base + OFFSET.scratch] as const,
      kept = cpu.u8.slice(...units),
      msrs = system.msrs.save(),
      { apicBase } = system,
      counters = system.counters.save(),
      isRequested = cpu.get('interruptPending') !== 0;
    cpu.reset();
    cpu.u8.set(kept, units[0]);
    cpu.timestampOffset = timestampOffset;
    system.msrs.restore(msrs);
    system.apicBase = apicBase;
    system.counters.restore(counters);
    cpu.set('cr0', CR0.ET | cache);
    cpu.refreshMode();
    this.setInterruptRequest(isRequested);
    this.debug.refresh();
  }
  /** Ends HLT or MWAIT without an interrupt. */
  wake(): void {
    this.cpu.set('halted', 0);
    this.cpu.set('monitor', MONITOR.none);
  }
  private get takesNmi(): boolean {
    return this.cpu.get('nmi') === NMI.pending;
  }

  /** The bus, where each access finds the time that it is at: what comes in the middle of a stretch is done once more by itself. */
  private atExactTime(bus: CpuBus): CpuBus {
    const now = (): CpuBus => {
      if (this.inStretch) this.cpu.raise(STEP);
      this.attention = true;
      return bus;
    };
    // Repetitions that are done at once are work as well, and take their time before the next one looks at it.
    const repeated = (bytes: number, width: number): number => {
      this.work += bytes / width;
      this.room -= bytes / width;
      this.tellTime();
      return bytes;
    };
    return {
      portRead: (port, width) => now().portRead(port, width),
      portWrite: (port, width, value) => now().portWrite(port, width, value),
      memoryRead: (address, width) => now().memoryRead(address, width),
      memoryWrite: (address, width, value) => now().memoryWrite(address, width, value),
      portReadBlock: (port, width, into) => repeated(now().portReadBlock?.(port, width, into) ?? 0, width),
      portWriteBlock: (port, width, from) => repeated(now().portWriteBlock?.(port, width, from) ?? 0, width),
      blockRoom: () => (this.inStretch ? 0 : Math.min(this.room, bus.blockRoom?.() ?? 0)),
      acknowledgeInterrupt: () => bus.acknowledgeInterrupt(),
      timestamp: () => now().timestamp(),
      isTimeExact: () => {
        if (this.inStretch) this.cpu.setFault(STEP, -1);
        return !this.inStretch;
      },
      readDeadline: () => now().readDeadline(),
      writeDeadline: (low, high, reached) => now().writeDeadline(low, high, reached),
      apicBase: (value) => now().apicBase(value),
      fpuError: (asserted) => bus.fpuError?.(asserted) ?? true,
    };
  }
  private tellTime(): void {
    this.timekeeper?.worked(this.work - this.told);
    this.told = this.work;
  }

  /**
   * Executes about `budget` of work, or exactly so much with a timekeeper, delivering exceptions and interrupts on the way. With
   * `exactly`, as with one.
   */
  run(budget: number, exactly = this.timekeeper !== undefined): StopReason {
    this.attention = false;
    const end = this.work + budget;
    while (this.work < end) {
      const stop = this.deliverPending() ?? this.execute(end - this.work, exactly);
      if (stop === 'delivered') continue;
      this.tellTime();
      if (stop !== 'done') return stop;
      if (this.attention) return 'attention';
    }
    return 'budget';
  }
  /** What comes between two instructions, in the order of SDM vol. 3, table 6-2. */
  private deliverPending(): StopReason | 'delivered' | undefined {
    const { cpu, debug } = this,
      shadow = cpu.get('shadow'),
      traps = cpu.get('debugTraps');
    if (traps !== 0 && shadow !== SHADOW.stack) {
      debug.note(traps);
      cpu.set('debugTraps', 0);
      return this.event(EXCEPTION.DB, 'trap');
    }
    if (!this.holdInterrupts) {
      if (this.takesNmi && shadow !== SHADOW.stack) {
        cpu.set('nmi', NMI.blocked);
        return this.event(EXCEPTION.NMI, 'external');
      }
      const taken =
        cpu.get('interruptPending') !== 0 && (cpu.get('systemFlags') & EFLAGS.IF) !== 0 && shadow === SHADOW.none;
      if (taken) {
        this.tellTime();
        return this.takeInterrupt();
      }
    }
    // MWAIT may end by an interrupt that is not taken (SDM vol. 2, MWAIT).
    if (cpu.get('monitor') === MONITOR.waitingMasked && cpu.get('interruptPending') !== 0) {
      cpu.set('halted', 0);
      cpu.set('monitor', MONITOR.none);
    }
    return cpu.get('halted') !== 0 ? 'halted' : undefined;
  }
  /** Delivering takes time too: a guest whose handlers do nothing but fault comes back. */
  private event(vector: number, kind: EventKind, errorCode = -1): 'delivered' | 'triple-fault' {
    this.work++;
    // The instruction before may have been one by itself, as behind STI; between flat segments delivering is the engine's all the same.
    this.cpu.allowCompiled(this.mayCompile);
    return this.deliver(vector, kind, errorCode) ? 'delivered' : 'triple-fault';
  }
  /** A stretch of instructions, up to the next event; `left` is more than 0. */
  private execute(left: number, exactly: boolean): StopReason | 'done' | 'delivered' {
    const { cpu, debug, transfers } = this,
      end = this.work + left;
    const system = cpu.get('systemFlags'),
      stepping = (system & EFLAGS.TF) !== 0,
      resumed = (system & EFLAGS.RF) !== 0,
      held = cpu.get('debugTraps'),
      shadow = cpu.get('shadow');
    // Behind MOV SS and POP SS no instruction breakpoint is met, as if RF were set (17.3.1.1).
    const alone = stepping || shadow !== SHADOW.none || (resumed && debug.watchesCode);
    // RF is for the one instruction that starts now; a fault of it pushes 1 in any case (SDM vol. 3, 17.3.1.1).
    if (resumed) cpu.set('systemFlags', system & ~EFLAGS.RF);
    this.observer?.before();
    // Compiled code keeps to no exact count, and asks nobody about single instructions.
    const counts = exactly || this.observer !== undefined;
    this.mayCompile = !counts && !debug.watchesCode;
    // A single-stepped string instruction traps after each repetition.
    let how = alone
      ? this.single(stepping ? 1 : left, resumed || shadow === SHADOW.stack)
      : counts
        ? this.counted(this.observer === undefined ? left : 1)
        : this.stretch(0, left, left);
    if (how === RUN.fault && cpu.get('faultVector') === STEP) {
      cpu.set('fault', 0);
      how = this.again(end - this.work);
    }
    if (how === RUN.fault) {
      cpu.set('debugTraps', held);
      return this.fault(resumed);
    }
    debug.passing = -1;
    // The rest of the repetitions belongs to an instruction that has begun.
    if (how === RUN.restart) cpu.set('systemFlags', cpu.get('systemFlags') | EFLAGS.RF);
    if (stepping && !transfers.interrupted && cpu.get('shadow') !== SHADOW.stack)
      cpu.set('debugTraps', cpu.get('debugTraps') | DR6.BS);
    return debug.stop === undefined ? 'done' : 'breakpoint';
  }
  /** Executes exactly one instruction, without looking at interrupts or TF. */
  step(): StopReason {
    const how = this.single(1, false);
    if (how === RUN.fault && this.fault(false) === 'triple-fault') return 'triple-fault';
    return this.cpu.get('halted') !== 0 ? 'halted' : 'budget';
  }

  /** One instruction by itself; of one that repeats, at most so many repetitions. */
  private single(repetitions: number, resumed: boolean): number {
    this.tellTime();
    const entry = this.find((eip) => this.code.single(eip, resumed));
    if (entry === 0) return RUN.fault;
    const { counters } = this.system;
    counters.alone = true;
    const how = this.stretch(entry, 1, repetitions - 1);
    counters.alone = false;
    return how;
  }
  /**
   * The instruction that was left because it wants its exact place and time, out of what is decoded: guests poll with such ones.
   * One that repeats does at most `left` repetitions.
   */
  private again(left: number): number {
    this.tellTime();
    const entry = this.find((eip) => this.code.stopAfter(eip, 1));
    if (entry === 0) return RUN.fault;
    const { counters } = this.system;
    counters.alone = true;
    this.room = Math.max(0, left - 1);
    const how = this.stretch(entry, 1, 0);
    this.room = 0;
    counters.alone = false;
    this.code.unstop();
    return how;
  }
  /** At most `left`, never more. */
  private counted(left: number): number {
    this.inStretch = this.timekeeper !== undefined;
    try {
      if (left > 2 * TAIL) {
        const repetitions = left >> 2;
        return this.stretch(0, left - repetitions - TAIL, repetitions);
      }
      const entry = this.find((eip) => this.code.stopAfter(eip, left));
      if (entry === 0) return RUN.fault;
      const how = this.stretch(entry, 1, 0);
      this.code.unstop();
      return how;
    } finally {
      this.inStretch = false;
    }
  }
  /** A record for EIP, or 0 with a fault recorded. */
  private find(record: (eip: number) => number): number {
    this.cpu.set('fault', 0);
    try {
      return record(this.cpu.get('eip'));
    } catch (error) {
      if (error !== GUEST_FAULT) throw error;
      return 0;
    }
  }
  /** Lets the engine run; `repetitions` are those of string instructions that may come on top of `budget`. */
  private stretch(entry: number, budget: number, repetitions: number): number {
    const { cpu } = this;
    cpu.allowCompiled(entry === 0 && this.mayCompile);
    cpu.set('shadow', SHADOW.none);
    cpu.set('exit', 0);
    this.transfers.interrupted = false;
    cpu.set('instructionsReturned', 0);
    cpu.set('pollBudget', repetitions);
    const how = this.engine.run(entry, budget);
    if (how === RUN.fault) this.transfers.landing.settle();
    const signed = (field: 'instructionsLeft' | 'instructionsReturned' | 'pollBudget'): number =>
      cpu.i32[(cpu.base + OFFSET[field]) >> 2]!;
    const executed = budget - signed('instructionsLeft') - signed('instructionsReturned');
    this.instructions += executed;
    this.work += executed + repetitions - signed('pollBudget');
    return how;
  }
  private fault(resumed: boolean): StopReason | 'delivered' {
    const { cpu, debug } = this,
      vector = cpu.get('faultVector');
    if (vector === STOP) {
      cpu.set('fault', 0);
      if (resumed) cpu.set('systemFlags', cpu.get('systemFlags') | EFLAGS.RF);
      return 'breakpoint';
    }
    debug.stop = undefined;
    cpu.set('shadow', SHADOW.none);
    if (vector === HOLD) {
      this.work++;
      cpu.set('fault', 0);
      if (resumed) cpu.set('systemFlags', cpu.get('systemFlags') | EFLAGS.RF);
      return 'delivered';
    }
    if (vector === BREAKPOINT) {
      debug.note(debug.matched);
      return this.event(EXCEPTION.DB, 'trap');
    }
    const place = cpu.get('cpl') === 0 ? this.system.hypervisor?.faultPlace?.(cpu.get('eip')) : undefined;
    if (place !== undefined) cpu.set('eip', place);
    return this.event(vector, 'fault', this.faultCode());
  }
  private faultCode(): number {
    return this.cpu.get('faultCode') | 0;
  }

  /** Delivers an event; false when even the double fault cannot be delivered. */
  private deliver(vector: number, kind: EventKind, errorCode: number): boolean {
    const { cpu } = this;
    for (;;) {
      cpu.set('fault', 0);
      cpu.set('halted', 0);
      // A handler may store to the line that is watched: what was armed counts as triggered.
      cpu.set('monitor', MONITOR.none);
      try {
        this.delivered[vector]!++;
        this.observer?.delivered(vector);
        this.transfers.deliver(vector, kind, errorCode);
        if (vector === EXCEPTION.DB) this.debug.entered();
        return true;
      } catch (error) {
        if (error !== GUEST_FAULT) throw error;
      }
      this.transfers.landing.settle();
      this.segments.external = 0;
      const second = cpu.get('faultVector');
      cpu.set('fault', 0);
      if (vector === EXCEPTION.DF && kind === 'fault') return false;
      const doubles =
        kind === 'fault' &&
        ((CONTRIBUTORY.has(vector) && CONTRIBUTORY.has(second)) ||
          (vector === EXCEPTION.PF && (CONTRIBUTORY.has(second) || second === EXCEPTION.PF)));
      errorCode = doubles ? 0 : this.faultCode();
      vector = doubles ? EXCEPTION.DF : second;
      kind = 'fault';
    }
  }
}
