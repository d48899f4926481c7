/** A processor with memory and nothing else, set up to run one loop: flat segments, identity paging, four handlers. */
import {
  CR0,
  CR4,
  PhysicalMap,
  Processor,
  TR,
  allocateMemory,
  instantiateNumerics,
  planMemory,
  type CpuBus,
  type ProcessorOptions,
} from '@tomei/paravirt-core';
import { Assembler } from './assembler.ts';
import type { Loop } from './loops.ts';

const RAM = 32 << 20;
const GDT = 0x1000,
  IDT = 0x1800,
  TASK_STATE = 0x2000,
  STACK = 0x9000,
  USER_STACK = 0xb000,
  CODE = 0x10000;
/** Loops' own data: four pages. */
export const DATA = 0x20000;
/** Two directories over the same page tables. */
export const PAGE_DIRECTORY = 0x100000;
export const SECOND_DIRECTORY = 0x101000;
const PAGE_TABLES = 0x102000;
/** Pages to touch, and one that is absent. */
export const WINDOW = 0x800000;
export const UNMAPPED = 0x1c00000;

const KERNEL_CODE = 0x08,
  KERNEL_DATA = 0x10,
  USER_CODE = 0x1b,
  USER_DATA = 0x23,
  TASK = 0x28;
/** Vectors: #PF, INT 80h as system call, INT 81h ends a loop in ring 3. */
const VECTOR_PF = 14,
  VECTOR_CALL = 0x80,
  VECTOR_END = 0x81;
const PRESENT = 1,
  WRITABLE = 2,
  USER = 4;
/** P, DPL and type of a 32-bit interrupt gate, for gates that ring 3 may use and those it may not (SDM vol. 3, 6.11). */
const GATE = 0x8e00,
  USER_GATE = 0xee00;

const nothing: CpuBus = {
  portRead: () => 0xffffffff,
  portWrite: () => undefined,
  memoryRead: () => 0xffffffff,
  memoryWrite: () => undefined,
  acknowledgeInterrupt: () => 0,
  timestamp: () => 0,
  readDeadline: () => 0n,
  writeDeadline: () => undefined,
  apicBase: () => undefined,
};

/** Adapts a processor that was built but has not run: how experiments put another engine in. */
export type Adapt = (processor: Processor, memory: WebAssembly.Memory) => void;

export class LoopMachine {
  readonly processor: Processor;
  private readonly data: DataView;
  private readonly bytes: Uint8Array;
  private readonly loop: Loop;
  private start = 0;

  constructor(loop: Loop, adapt: Adapt = () => undefined, engine?: ProcessorOptions['engine']) {
    this.loop = loop;
    const plan = planMemory({ processors: 1, ramBytes: RAM, videoMemoryBytes: 4096 });
    const memory = allocateMemory(plan);
    this.data = new DataView(memory.buffer, plan.ram, RAM);
    this.bytes = new Uint8Array(memory.buffer, plan.ram, RAM);
    const physical = new PhysicalMap();
    physical.map(0, plan.ram, RAM, true);
    const leaves = instantiateNumerics(memory) as unknown as ProcessorOptions['leaves'];
    this.processor = new Processor({
      memory,
      plan,
      index: 0,
      physical,
      bus: nothing,
      leaves,
      ...(engine === undefined ? {} : { engine }),
    });
    adapt(this.processor, memory);
    this.tables();
    this.program();
  }

  /** Runs the loop for a number of rounds. Throws when it does not end as it should. */
  run(rounds: number): void {
    const { processor } = this,
      { cpu } = processor;
    this.enter();
    cpu.setRegister(1, rounds);
    for (;;) {
      const how = processor.run(1_000_000);
      if (how === 'halted') return;
      if (how !== 'budget') throw new Error(`the loop '${this.loop.name}' ended by ${how}`);
    }
  }

  private enter(): void {
    const { cpu } = this.processor,
      user = this.loop.user === true;
    cpu.reset();
    cpu.set('cr0', (CR0.PE | CR0.ET | CR0.NE | (this.loop.paging === true ? CR0.PG : 0)) >>> 0);
    cpu.set('cr3', PAGE_DIRECTORY);
    cpu.set('cr4', CR4.OSFXSR | CR4.OSXMMEXCPT);
    cpu.set('gdtBase', GDT);
    cpu.set('gdtLimit', 0x2f);
    cpu.set('idtBase', IDT);
    cpu.set('idtLimit', 0x7ff);
    for (const index of [0, 2, 3, 4, 5])
      cpu.setSegment(index, user ? USER_DATA : KERNEL_DATA, 0, 0xffffffff, user ? 0xc0f3 : 0xc093);
    cpu.setSegment(1, user ? USER_CODE : KERNEL_CODE, 0, 0xffffffff, user ? 0xc0fb : 0xc09b);
    cpu.setSegment(TR, TASK, TASK_STATE, 0x67, 0x8b);
    cpu.setCpl(user ? 3 : 0);
    cpu.setRegister(4, user ? USER_STACK : STACK);
    cpu.set('eip', this.start);
  }

  private tables(): void {
    const { data } = this;
    const descriptor = (selector: number, access: number): void => {
      data.setUint32(GDT + (selector & ~7), 0x0000ffff, true);
      data.setUint32(GDT + (selector & ~7) + 4, 0x00cf0000 | (access << 8), true);
    };
    descriptor(KERNEL_CODE, 0x9b);
    descriptor(KERNEL_DATA, 0x93);
    descriptor(USER_CODE, 0xfb);
    descriptor(USER_DATA, 0xf3);
    data.setUint32(TASK_STATE + 4, STACK, true);
    data.setUint32(TASK_STATE + 8, KERNEL_DATA, true);
    for (let page = 0; page < RAM / 4096; page++) {
      const absent = page === UNMAPPED / 4096;
      data.setUint32(PAGE_TABLES + page * 4, absent ? 0 : (page * 4096) | PRESENT | WRITABLE | USER, true);
    }
    for (const directory of [PAGE_DIRECTORY, SECOND_DIRECTORY]) {
      for (let i = 0; i < RAM >> 22; i++)
        data.setUint32(directory + i * 4, (PAGE_TABLES + i * 4096) | PRESENT | WRITABLE | USER, true);
    }
  }

  private program(): void {
    const a = new Assembler(CODE);
    a.label('handle call').code(0xcf); // iret
    // The instruction that faulted has five bytes: step over it, drop the error code.
    a.label('handle fault').code(0x83, 0x44, 0x24, 0x04, 0x05, 0x83, 0xc4, 0x04, 0xcf);
    a.label('handle end').code(0xf4);
    a.label('start');
    this.loop.body(a);
    if (this.loop.user === true) a.code(0xcd, VECTOR_END);
    else a.code(0xf4);
    this.bytes.set(a.finish(), CODE);
    this.start = a.addressOf('start');
    const gate = (vector: number, label: string, type: number): void => {
      const handler = a.addressOf(label);
      this.data.setUint32(IDT + vector * 8, (KERNEL_CODE << 16) | (handler & 0xffff), true);
      this.data.setUint32(IDT + vector * 8 + 4, (handler & 0xffff0000) | type, true);
    };
    gate(VECTOR_PF, 'handle fault', GATE);
    gate(VECTOR_CALL, 'handle call', USER_GATE);
    gate(VECTOR_END, 'handle end', USER_GATE);
  }
}
