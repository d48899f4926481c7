/**
 * A processor for tests: RAM from guest-physical 0, flat segments, an IDT whose handlers halt, and a bus that writes down what
 * reaches it. Addresses are guest-physical, which is linear too until a test turns paging on.
 */
import { CS, DS, ES, ESP, EXCEPTION, FS, GS, SS } from '../isa/build.ts';
import type { CodeCachePlan } from './plan.ts';
import { ATTRIBUTE, CR0, type Cpu, type CpuBus } from './cpu.ts';
import type { Feature } from './cpuid.ts';
import type { Hypervisor } from './hypervisor.ts';
import { compileInterpreter, type Leaf } from './interpreter/engine.ts';
import { TR } from './layout.ts';
import { PhysicalMap } from './physical.ts';
import { allocateMemory, planMemory } from './plan.ts';
import { decoder, Processor, type ProcessorOptions, type StopReason } from './processor.ts';

/** Where everything lies. What is not named here is free. */
export const AT = {
  tss: 0x300,
  gdt: 0x400,
  idt: 0x800,
  /** One HLT for each vector. */
  handlers: 0x1000,
  code: 0x2000,
  data: 0x4000,
  /** The stack grows down from here: at CPL 3, and for delivery from CPL 3. */
  stack: 0x8000,
  innerStack: 0x9000,
  /** Page directory, and room for page tables behind it. */
  directory: 0x10000,
  tables: 0x11000,
} as const;
export const RAM_BYTES = 8 << 20;

/** Selectors of the descriptor table. */
export const SELECTOR = { code: 0x08, data: 0x10, userCode: 0x1b, userData: 0x23, tss: 0x28, free: 0x30 } as const;
/** Attributes as `Cpu.setSegment` takes them. */
export const FLAT = { code: 0xc09b, data: 0xc093, userCode: 0xc0fb, userData: 0xc0f3, tss: 0x8b } as const;
/** Paging-structure entry bits. */
export const PTE = { P: 1, W: 2, U: 4, A: 0x20, D: 0x40, PS: 0x80, G: 0x100 } as const;

const WITH_CODE = new Set<number>([
  EXCEPTION.DF,
  EXCEPTION.TS,
  EXCEPTION.NP,
  EXCEPTION.SS,
  EXCEPTION.GP,
  EXCEPTION.PF,
  EXCEPTION.AC,
]);
const HLT = 0xf4;
const TABLES = 16;

/** Writes every access down as text, such as 'read4 000a0000' or 'out2 0060 1234', and answers reads from `answers`. */
export class RecordingBus implements CpuBus {
  readonly log: string[] = [];
  /** What memory and ports hold, by byte; all ones where nothing is said. */
  readonly answers = new Map<number, number>();
  /** Vectors that the interrupt controller answers with, in order. */
  readonly vectors: number[] = [];
  /** Called at each access, before it is answered. */
  onAccess: () => void = () => {};
  onAcknowledge: () => void = () => {};

  private read(kind: string, address: number, width: number): number {
    this.log.push(`${kind}${width} ${hex(address)}`);
    this.onAccess();
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + (this.answers.get(address + i) ?? 0xff);
    return value;
  }
  private write(kind: string, address: number, width: number, value: number): void {
    this.log.push(`${kind}${width} ${hex(address)} ${hex(value, width * 2)}`);
    this.onAccess();
  }
  portRead(port: number, width: 1 | 2 | 4): number {
    return this.read('in', port, width);
  }
  portWrite(port: number, width: 1 | 2 | 4, value: number): void {
    this.write('out', port, width, value);
  }
  memoryRead(address: number, width: 1 | 2 | 4): number {
    return this.read('read', address, width);
  }
  memoryWrite(address: number, width: 1 | 2 | 4, value: number): void {
    this.write('write', address, width, value);
  }
  acknowledgeInterrupt(): number {
    this.onAcknowledge();
    return this.vectors.shift() ?? 0xff;
  }
  /** What `timestamp` answers. */
  time = 0;
  timestamp(): number {
    return this.time;
  }
  /** IA32_TSC_DEADLINE. */
  deadline = 0n;
  readDeadline(): bigint {
    return this.deadline;
  }
  writeDeadline(low: number, high: number, reached: number | null): void {
    this.deadline = (BigInt(high) << 32n) | BigInt(low);
    this.log.push(`deadline ${hex(high)}:${hex(low)} at ${reached}`);
  }
  apicBase(): void {}
}
const hex = (n: number, digits = 8): string => n.toString(16).padStart(digits, '0');

/** How a run ended: the exception whose handler halted, or undefined for a HLT of the program's own. */
export interface Outcome {
  readonly reason: StopReason;
  readonly exception?: Delivered;
}
/** An exception as its handler sees it. */
export interface Delivered {
  readonly vector: number;
  /** The error code that was pushed; undefined for exceptions without one. */
  readonly code: number | undefined;
  readonly eip: number;
}

export interface TestOptions {
  /** The oracle, or a translating engine; the interpreter when missing. */
  readonly engine?: ProcessorOptions['engine'];
  /** Is told how much was done; time is work then. */
  readonly timekeeper?: ProcessorOptions['timekeeper'];
  /** Features to leave out. */
  readonly without?: readonly Feature[];
  readonly hypervisor?: Hypervisor;
  /** Parts of the code cache made small. */
  readonly code?: Partial<Pick<CodeCachePlan, 'mapCount' | 'recordBytes'>>;
}

export class TestProcessor {
  readonly processor: Processor;
  readonly cpu: Cpu;
  readonly bus = new RecordingBus();
  readonly physical = new PhysicalMap();
  readonly ram: Uint8Array;
  readonly view: DataView;
  private tablesUsed = 0;

  constructor({ engine, code, without, hypervisor, timekeeper }: TestOptions = {}) {
    const whole = planMemory({ processors: 1, ramBytes: RAM_BYTES, videoMemoryBytes: 0 });
    const plan = { ...whole, cpus: whole.cpus.map((c) => ({ ...c, code: { ...c.code, ...code } })) };
    const memory = allocateMemory(plan),
      { physical, bus } = this;
    this.processor = new Processor({
      memory,
      plan,
      index: 0,
      physical,
      bus,
      leaves: noLeaves(),
      system: { ...(without === undefined ? {} : { without }), ...(hypervisor === undefined ? {} : { hypervisor }) },
      ...(engine === undefined ? {} : { engine }),
      ...(timekeeper === undefined ? {} : { timekeeper }),
    });
    this.cpu = this.processor.cpu;
    this.ram = new Uint8Array(memory.buffer, plan.ram, RAM_BYTES);
    this.view = new DataView(memory.buffer, plan.ram, RAM_BYTES);
    physical.map(0, plan.ram, RAM_BYTES, true);
    this.reset();
  }

  /** As new: RAM empty but for the tables, CPL 0, paging off, interrupts off, EIP at `AT.code`. */
  reset(): void {
    const { cpu, bus, ram } = this;
    ram.fill(0);
    bus.log.length = 0;
    bus.vectors.length = 0;
    bus.answers.clear();
    bus.time = 0;
    bus.deadline = 0n;
    bus.onAccess = bus.onAcknowledge = () => {};
    this.tablesUsed = 0;
    this.processor.delivered.fill(0);
    cpu.reset();
    cpu.set('cr0', CR0.PE | CR0.ET | CR0.NE);
    this.buildTables();
    for (const index of [ES, SS, DS, FS, GS]) cpu.setSegment(index, SELECTOR.data, 0, 0xffffffff, FLAT.data);
    cpu.setSegment(CS, SELECTOR.code, 0, 0xffffffff, FLAT.code);
    cpu.setRegister(ESP, AT.stack);
    cpu.set('eip', AT.code);
    cpu.refreshMode();
  }
  private buildTables(): void {
    const { cpu, view } = this;
    this.descriptor(SELECTOR.code, 0, 0xfffff, FLAT.code);
    this.descriptor(SELECTOR.data, 0, 0xfffff, FLAT.data);
    this.descriptor(SELECTOR.userCode, 0, 0xfffff, FLAT.userCode);
    this.descriptor(SELECTOR.userData, 0, 0xfffff, FLAT.userData);
    this.descriptor(SELECTOR.tss, AT.tss, 0x67, FLAT.tss);
    view.setUint32(AT.tss + 4, AT.innerStack, true);
    view.setUint16(AT.tss + 8, SELECTOR.data, true);
    view.setUint16(AT.tss + 102, 0x68, true);
    for (let vector = 0; vector < 256; vector++) this.gate(vector, AT.handlers + vector);
    this.ram.fill(HLT, AT.handlers, AT.handlers + 256);
    cpu.set('gdtBase', AT.gdt);
    cpu.set('gdtLimit', 0x7f);
    cpu.set('idtBase', AT.idt);
    cpu.set('idtLimit', 0x7ff);
    cpu.setSegment(TR, SELECTOR.tss, AT.tss, 0x67, FLAT.tss);
  }
  /** Writes a descriptor; `limit` in the descriptor's own units. */
  descriptor(selector: number, base: number, limit: number, attributes: number): void {
    const at = AT.gdt + (selector & ~7);
    this.view.setUint32(at, (limit & 0xffff) | (base << 16), true);
    this.view.setUint32(
      at + 4,
      ((base >>> 16) & 0xff) | (attributes << 8) | (limit & 0xf0000) | (base & 0xff000000),
      true,
    );
  }
  /** Points a vector at a handler: a 32-bit interrupt gate of DPL 3 unless told otherwise. */
  gate(vector: number, offset: number, type = 0xee, selector: number = SELECTOR.code): this {
    this.view.setUint32(AT.idt + vector * 8, (selector << 16) | (offset & 0xffff), true);
    this.view.setUint32(AT.idt + vector * 8 + 4, (offset & 0xffff0000) | (type << 8), true);
    return this;
  }

  /** Puts bytes into RAM as a device does, telling the code cache. */
  put(address: number, ...bytes: readonly number[]): this {
    this.ram.set(bytes, address);
    this.processor.code.written(address, bytes.length);
    return this;
  }
  /** Sets CR4 and what follows from it. */
  cr4(value: number): this {
    this.cpu.set('cr4', value);
    this.cpu.refreshMode();
    return this;
  }
  u32(address: number): number {
    return this.view.getUint32(address, true);
  }
  register(index: number): number {
    return this.cpu.getRegister(index);
  }

  /** Runs at CPL 3 from now on. */
  enterUser(): this {
    const { cpu } = this;
    cpu.setCpl(3);
    for (const index of [ES, SS, DS, FS, GS]) cpu.setSegment(index, SELECTOR.userData, 0, 0xffffffff, FLAT.userData);
    cpu.setSegment(CS, SELECTOR.userCode, 0, 0xffffffff, FLAT.userCode);
    return this;
  }

  // --- paging

  /** Maps a linear page by a 4 KiB entry; the directory's own entry allows all. */
  page(linear: number, physical: number, bits: number): this {
    const directoryAt = AT.directory + (linear >>> 22) * 4;
    let table = this.u32(directoryAt) & ~0xfff;
    if (table === 0) {
      if (this.tablesUsed === TABLES) throw new Error('a test uses more page tables than there is room for');
      table = AT.tables + this.tablesUsed++ * 4096;
      this.view.setUint32(directoryAt, table | PTE.P | PTE.W | PTE.U, true);
    }
    this.view.setUint32(this.entryAt(linear), physical | bits, true);
    return this;
  }
  /** Maps 4 MiB by one directory entry. */
  largePage(linear: number, physical: number, bits: number): this {
    this.view.setUint32(AT.directory + (linear >>> 22) * 4, (physical | bits | PTE.PS) >>> 0, true);
    return this;
  }
  /** Where the 4 KiB entry of a linear address lies. */
  entryAt(linear: number): number {
    const table = this.u32(AT.directory + (linear >>> 22) * 4) & ~0xfff;
    return table + ((linear >>> 12) & 0x3ff) * 4;
  }
  entry(linear: number): number {
    return this.u32(this.entryAt(linear));
  }
  /** Turns paging on with the first 256 KiB mapped one to one for everybody. */
  enablePaging(options: { cr0?: number; cr4?: number; bits?: number } = {}): this {
    const { cpu } = this;
    for (let at = 0; at < 1 << 18; at += 4096)
      if (at >>> 22 !== 0 || this.u32(AT.directory) === 0 || this.entry(at) === 0)
        this.page(at, at, options.bits ?? PTE.P | PTE.W | PTE.U);
    cpu.set('cr3', AT.directory);
    cpu.set('cr4', options.cr4 ?? 0);
    cpu.set('cr0', (cpu.get('cr0') | CR0.PG | (options.cr0 ?? 0)) >>> 0);
    cpu.refreshMode();
    this.processor.mmu.flush(true);
    return this;
  }

  // --- running

  /** Runs from `eip` until something halts, or the budget is used. */
  run(eip = this.cpu.get('eip'), budget = 100_000): Outcome {
    const { cpu, processor } = this;
    cpu.set('eip', eip);
    cpu.set('halted', 0);
    const reason = processor.run(budget);
    const vector = cpu.get('eip') - 1 - AT.handlers;
    if (reason !== 'halted' || vector < 0 || vector > 255) return { reason };
    const esp = cpu.getRegister(ESP),
      hasCode = WITH_CODE.has(vector);
    const code = hasCode ? this.readStack(esp) : undefined;
    return { reason, exception: { vector, code, eip: this.readStack(esp + (hasCode ? 4 : 0)) } };
  }
  private readStack(offset: number): number {
    return this.processor.mmu.readLinear((this.cpu.segment(SS, 'base') + offset) >>> 0, 4, false);
  }
  /** Puts a program at `AT.code`, a HLT behind it, and runs it. */
  execute(...program: readonly number[]): Outcome {
    this.put(AT.code, ...program, HLT);
    return this.run(AT.code);
  }
}

/** A segment of data that is not flat: 32-bit, present, writable, byte limit. */
export const dataSegment = (extra = 0): number =>
  ATTRIBUTE.present | ATTRIBUTE.s | ATTRIBUTE.writable | ATTRIBUTE.accessed | ATTRIBUTE.big | extra;
/** A little-endian 32-bit number as bytes. */
export const le32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, (n >>> 24) & 0xff];

/** Numbers below a bound, the same for the same seed (Mulberry32). */
export function numbers(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Tests of the core execute no floating point: a leaf that is called says so. */
function noLeaves(): Readonly<Record<string, Leaf>> {
  const { imports } = compileInterpreter(decoder().table).generated;
  const absent =
    (name: string): Leaf =>
    () => {
      throw new Error(`leaf '${name}' was called: this processor has no numerics`);
    };
  return Object.fromEntries(imports.filter((i) => i.kind === 'leaf').map((i) => [i.name, absent(i.name)]));
}
