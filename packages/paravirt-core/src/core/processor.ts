/** One processor put together: what runs, when events are delivered, and how much was executed. */
import { EFLAGS, EXCEPTION } from '../isa/build.ts';
import { Decoder } from '../isa/decode.ts';
import { allRows } from '../isa/instructions/index.ts';
import { CodeCache } from './code-cache.ts';
import { Cpu, GUEST_FAULT, HOLD, type CpuBus } from './cpu.ts';
import { compileInterpreter, instantiateInterpreter, type Engine, type Leaf } from './interpreter/engine.ts';
import { RUN } from './interpreter/record.ts';
import { OFFSET, SHADOW } from './layout.ts';
import { Mmu } from './mmu.ts';
import type { PhysicalMap } from './physical.ts';
import type { MemoryPlan } from './plan.ts';
import { Segmentation } from './segmentation.ts';
import { createServices, type Service } from './services.ts';
import { SystemRegisters, type SystemOptions } from './system.ts';
import { Transfers, type EventKind } from './transfer.ts';

/** Exceptions that turn a second one into a double fault (SDM vol. 3, table 6-4). */
const CONTRIBUTORY = new Set<number>([EXCEPTION.DE, EXCEPTION.TS, EXCEPTION.NP, EXCEPTION.SS, EXCEPTION.GP]);
/** DR6.BS: the debug exception comes from single-stepping. */
const DR6_BS = 1 << 14;

/** Why `run` came back before its budget was used. */
export type StopReason = 'budget' | 'halted' | 'attention' | 'triple-fault';

let sharedDecoder: Decoder | undefined;
/** The decoder of the whole table; it holds no state. */
export const decoder = (): Decoder => (sharedDecoder ??= new Decoder(allRows));

export interface ProcessorOptions {
  /** Zero in the areas of the plan that are not the guest's: TLBs, page maps and records of another processor would be believed. */
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly index: number;
  readonly physical: PhysicalMap;
  readonly bus: CpuBus;
  readonly leaves: Readonly<Record<string, Leaf>>;
  readonly system?: SystemOptions;
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
  /** Instructions executed since power-on. */
  instructions = 0;
  /** Instructions, and iterations of string instructions in their place: what takes time. */
  work = 0;
  /** Events delivered, by vector: for --stats. */
  readonly delivered = new Uint32Array(256);
  private readonly engine: Engine;
  private attention = false;

  constructor(options: ProcessorOptions) {
    const { memory, plan, index } = options;
    const place = plan.cpus[index]!;
    this.cpu = new Cpu(memory, index, options.physical, options.bus);
    this.mmu = new Mmu(this.cpu, place.tlb);
    const compiled = compileInterpreter(decoder().table);
    this.code = new CodeCache(this.cpu, this.mmu, decoder(), compiled.generated.handlerOf, place.code);
    this.segments = new Segmentation(this.cpu, this.mmu);
    this.transfers = new Transfers(this.cpu, this.mmu, this.segments);
    this.system = new SystemRegisters(this.cpu, this.mmu, options.system);
    const services = {
      ...createServices({
        cpu: this.cpu,
        mmu: this.mmu,
        segments: this.segments,
        transfers: this.transfers,
        system: this.system,
      }),
      resolve: (eip: number) => this.code.resolve(eip),
      cross: (eip: number) => this.code.cross(eip >>> 0),
    };
    const { cpu, mmu, code } = this,
      { leaves } = options;
    this.engine =
      options.engine?.({ cpu, mmu, code, services, leaves }) ?? instantiateInterpreter(compiled, cpu, services, leaves);
    this.cpu.onModeChange = () => this.code.flush();
    this.cpu.reset();
  }

  /** The board raised or dropped the interrupt request. */
  setInterruptRequest(level: boolean): void {
    this.cpu.set('interruptPending', level ? 1 : 0);
    if (level && (this.cpu.get('systemFlags') & EFLAGS.IF) !== 0) this.cpu.set('exit', 1);
  }
  /** Asks `run` to come back after the current instruction. */
  requestAttention(): void {
    this.attention = true;
    this.cpu.set('exit', 1);
  }

  /** Whether a halted processor would take an interrupt. */
  get canWake(): boolean {
    return (this.cpu.get('systemFlags') & EFLAGS.IF) !== 0;
  }

  /** Executes about `budget` instructions, delivering exceptions and interrupts on the way. */
  run(budget: number): StopReason {
    const { cpu } = this;
    this.attention = false;
    for (let left = budget; left > 0;) {
      const system = cpu.get('systemFlags'),
        shadow = cpu.get('shadow') !== 0;
      if (cpu.get('interruptPending') !== 0 && (system & EFLAGS.IF) !== 0 && !shadow) {
        if (!this.deliver(cpu.bus.acknowledgeInterrupt(), 'external', -1)) return 'triple-fault';
        continue;
      }
      if (cpu.get('halted') !== 0) return 'halted';
      const stepping = (system & EFLAGS.TF) !== 0;
      const how = this.execute(shadow || stepping, left);
      left -= this.lastExecuted + 1;
      if (how === RUN.fault) {
        if (!this.deliverFault()) return 'triple-fault';
      } else if (stepping && !this.transfers.interrupted && cpu.get('shadow') !== SHADOW.stack) {
        cpu.i32[(cpu.base + OFFSET.dr) / 4 + 6]! |= DR6_BS;
        if (!this.deliver(EXCEPTION.DB, 'trap', -1)) return 'triple-fault';
      }
      if (this.attention) return 'attention';
    }
    return 'budget';
  }
  /** Executes exactly one instruction, without looking at interrupts or TF. */
  step(): StopReason {
    const how = this.execute(true, 1);
    if (how === RUN.fault && !this.deliverFault()) return 'triple-fault';
    return this.cpu.get('halted') !== 0 ? 'halted' : 'budget';
  }

  private lastExecuted = 0;
  private execute(single: boolean, budget: number): number {
    const { cpu } = this;
    let entry = 0;
    cpu.set('shadow', 0);
    cpu.set('exit', 0);
    this.transfers.interrupted = false;
    if (single) {
      try {
        entry = this.code.single(cpu.get('eip'));
      } catch (error) {
        if (error !== GUEST_FAULT) throw error;
        this.lastExecuted = 0;
        return RUN.fault;
      }
    }
    cpu.set('instructionsReturned', 0);
    // A single-stepped string instruction traps after each iteration.
    cpu.set('pollBudget', single ? 0 : budget);
    const how = this.engine.run(entry, single ? 1 : budget);
    const signed = (field: 'instructionsLeft' | 'instructionsReturned' | 'pollBudget'): number =>
      cpu.i32[(cpu.base + OFFSET[field]) >> 2]!;
    const executed = (single ? 1 : budget) - signed('instructionsLeft') - signed('instructionsReturned');
    this.instructions += executed;
    this.lastExecuted = executed + (single ? 0 : budget - signed('pollBudget'));
    this.work += this.lastExecuted;
    return how;
  }
  private deliverFault(): boolean {
    const vector = this.cpu.get('faultVector');
    if (vector !== HOLD) return this.deliver(vector, 'fault', this.faultCode());
    this.cpu.set('fault', 0);
    return true;
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
      try {
        this.delivered[vector]!++;
        this.transfers.deliver(vector, kind, errorCode);
        return true;
      } catch (error) {
        if (error !== GUEST_FAULT) throw error;
      }
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
