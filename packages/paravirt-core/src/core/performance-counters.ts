/**
 * The two performance counters that every processor of family 6 has (SDM vol. 3, 20.6.8 and the P6 events of chapter 21; vol. 2,
 * RDPMC): 40 bits each, selected by PerfEvtSel0 and 1. Counted are retired instructions and cycles while not halted; every other
 * event stays at 0. Both privilege levels count together when either is asked for, edges and thresholds are kept and ignored, and
 * no interrupt is made of an overflow: that is why CPUID claims no architectural counters.
 */
import { EXCEPTION } from '../isa/build.ts';
import { array, pod, whole, type StateOf } from '@tomei/kit';
import { CR4, STEP, type Cpu } from './cpu.ts';

const COUNTERS = 2;
const COUNTER_BITS = 40;
const MSR = { PERFCTR0: 0xc1, PERFEVTSEL0: 0x186 } as const;
/** PerfEvtSel: USR and OS; EN, of the first one for both. Bit 21 is reserved. */
const SELECT = { user: 1 << 16, system: 1 << 17, enable: 1 << 22, reserved: 1 << 21 } as const;
/** Event numbers: INST_RETIRED, and CPU_CLK_UNHALTED of the P6 and of later processors. */
const EVENT = { instructions: 0xc0, cycles: 0x79, coreCycles: 0x3c } as const;

/** What has happened since power-on. Exact at the first instruction of a run only. */
export interface CounterSources {
  /** Instructions retired. */
  instructions(): number;
  /** Steps of work: one a cycle. */
  cycles(): number;
}

export const counterState = pod({
  select: array(COUNTERS, () => whole()),
  /** Values at the moment of saving. */
  value: array(COUNTERS, () => whole()),
})
  .check((s) => s.select.every((n) => n < 2 ** 32) || "field 'select' is no list of u32")
  .check((s) => s.value.every((n) => n < 2 ** COUNTER_BITS) || "field 'value' has more than 40 bits");
export type CounterState = StateOf<typeof counterState>;

export class PerformanceCounters {
  private readonly cpu: Cpu;
  private readonly select = [0, 0];
  /** What each counter held when its source stood at `since`. */
  private readonly value = [0, 0];
  private readonly since = [0, 0];
  /** Set by the processor while one instruction runs by itself. */
  alone = false;
  /** Set by the processor. */
  sources: CounterSources = { instructions: () => 0, cycles: () => 0 };

  constructor(cpu: Cpu) {
    this.cpu = cpu;
  }

  reset(): void {
    for (const list of [this.select, this.value, this.since]) list.fill(0);
  }

  /** RDPMC (SDM vol. 2): CPL 0, or CR4.PCE; two counters. */
  readInstruction(counter: number): bigint {
    const { cpu } = this;
    const allowed = cpu.get('cpl') === 0 || !cpu.isProtected || (cpu.get('cr4') & CR4.PCE) !== 0;
    if (!allowed || counter >= COUNTERS) cpu.raise(EXCEPTION.GP, 0);
    this.beExact();
    return BigInt(this.now(counter));
  }
  /** How much was executed in this run is known behind it only: the instruction is done once more, by itself. */
  private beExact(): void {
    if (!this.alone) this.cpu.raise(STEP);
  }

  private source(counter: number): number | undefined {
    const select = this.select[counter]!;
    if ((this.select[0]! & SELECT.enable) === 0 || (select & (SELECT.user | SELECT.system)) === 0) return undefined;
    const event = select & 0xff;
    if (event === EVENT.instructions) return this.sources.instructions();
    return event === EVENT.cycles || event === EVENT.coreCycles ? this.sources.cycles() : undefined;
  }
  private now(counter: number): number {
    const source = this.source(counter);
    const passed = source === undefined ? 0 : source - this.since[counter]!;
    return wrap(this.value[counter]! + passed);
  }
  /** Takes what has been counted so far into `value`. */
  private settle(): void {
    for (let i = 0; i < COUNTERS; i++) this.value[i] = this.now(i);
    this.restart();
  }
  /** Counting goes on from the sources as they stand now. */
  restart(): void {
    for (let i = 0; i < COUNTERS; i++) this.since[i] = this.source(i) ?? 0;
  }

  /** Undefined for an MSR that is none of the counters'. */
  readMsr(n: number): bigint | undefined {
    const counter = n - MSR.PERFCTR0,
      select = n - MSR.PERFEVTSEL0;
    if (counter >= 0 && counter < COUNTERS) {
      this.beExact();
      return BigInt(this.now(counter));
    }
    return select >= 0 && select < COUNTERS ? BigInt(this.select[select]! >>> 0) : undefined;
  }
  /** False for an MSR that is none of the counters', and for a value that it refuses. */
  writeMsr(n: number, value: bigint): boolean {
    const counter = n - MSR.PERFCTR0,
      select = n - MSR.PERFEVTSEL0;
    const isCounter = counter >= 0 && counter < COUNTERS;
    if (!isCounter && !(select >= 0 && select < COUNTERS)) return false;
    if (!isCounter && (value > 0xffff_ffffn || (value & BigInt(SELECT.reserved)) !== 0n)) return false;
    this.beExact();
    this.settle();
    // The high half is not written: bit 31 is extended into it.
    if (isCounter) this.value[counter] = wrap(Number(BigInt.asIntN(32, value)));
    else this.select[select] = Number(value) | 0;
    this.restart();
    return true;
  }

  save(): CounterState {
    return {
      select: this.select.map((n) => n >>> 0),
      value: this.value.map((_, i) => this.now(i)),
    };
  }
  /** Call `restart` when the sources are as they were saved too. */
  restore(state: CounterState): void {
    state.select.forEach((n, i) => (this.select[i] = n | 0));
    state.value.forEach((n, i) => (this.value[i] = n));
    this.restart();
  }
}

/** A value in 40 bits. */
const wrap = (value: number): number => ((value % 2 ** COUNTER_BITS) + 2 ** COUNTER_BITS) % 2 ** COUNTER_BITS;
