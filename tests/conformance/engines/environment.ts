/**
 * The environment that `case.ts` promises a case, built around a processor without a board: page tables, descriptor tables,
 * and one HLT for each exception vector, so that the first exception stops the processor and its frame tells the rest.
 */
import { CR0, CR4, LDTR, TR, type Cpu } from '@tomei/paravirt-core';
import {
  EFLAGS_REPORTED,
  MEMORY,
  PAGE_SIZE,
  REGISTER_NAMES,
  SEGMENT_NAMES,
  SEGMENTS_16,
  SELECTORS,
  TRAP,
  WRITABLE_REGIONS,
  backgroundByte,
  changedRuns,
  codeBase,
  comparableErrorCode,
  initialRegion,
  segmentsOf,
  type CpuCase,
  type CpuResult,
  type MemoryPatch,
  type Registers,
  type Segments,
} from '../case.ts';
import { fxOf, loadFx } from './fx-state.ts';

/** Guest-physical addresses; all that a case cannot see lies in the supervisor's pages at `KERNEL`. */
const PHYSICAL = {
  directory: 0x1000,
  /** Page tables for the 4 MiB that hold data and stack, code, and the supervisor. */
  tables: [0x2000, 0x3000, 0x4000],
  kernel: 0x5000,
  user: 0x10000,
} as const;
export const RAM_BYTES = 0x20000;

/** Linear address of the supervisor's pages: no case is expected to come near. */
const KERNEL = 0xe012_3000;
const KERNEL_PAGES = 4;
/** Offsets in the supervisor's pages. */
const IDT = 0;
const GDT = 0x800;
const TSS = 0x900;
const TSS_LIMIT = 0x67;
const LDT = 0x980;
const LDT_LIMIT = 0x17;
const STUBS = 0x1000;
const STACK_TOP = 0x4000;

const KERNEL_CODE = 0x10;
const KERNEL_DATA = 0x18;
const TASK = 0x40;
const LOCAL = 0x48;
/** Bits of a paging entry: present, writable, user. */
const PTE = { P: 1, W: 2, U: 4 } as const;
/** A 32-bit interrupt gate's type with P. */
const INTERRUPT_GATE = 0x8e00;
const HLT = 0xf4;
const IF = 1 << 9;
/** Vectors that code at CPL 3 may raise by INT3 and INTO. */
const USER_GATES: ReadonlySet<number> = new Set([TRAP.BP, TRAP.OF]);

/** Attributes of descriptors: type, S, DPL, P, AVL, D/B, G. */
const ATTRIBUTES = {
  kernelCode: 0xc09b,
  kernelData: 0xc093,
  userCode: 0xc0fb,
  userData: 0xc0f3,
  task: 0x008b,
  local: 0x0082,
  code16: 0x00fb,
  data16: 0x00f3,
} as const;

const LIMIT_16 = 0xffff;
const NARROW_SEGMENTS = Object.entries(SEGMENTS_16).map(([name, segment]) => ({
  ...segment,
  attributes: name === 'code' ? ATTRIBUTES.code16 : ATTRIBUTES.data16,
}));

/** Where a region lies in guest-physical memory. */
const userPages: readonly { linear: number; physical: number; writable: boolean }[] = Object.values(MEMORY)
  .flatMap(({ address, size }) => Array.from({ length: size / PAGE_SIZE }, (_, i) => address + i * PAGE_SIZE))
  .map((linear, i) => ({
    linear,
    physical: PHYSICAL.user + i * PAGE_SIZE,
    writable: linear !== MEMORY.readOnly.address,
  }));
const physicalOf = (linear: number): number => userPages.find((page) => page.linear === linear)!.physical;

/** The world of one processor. `ram` is where guest-physical 0 lies in linear memory; at least `RAM_BYTES`. */
export class Environment {
  private readonly cpu: Cpu;
  private readonly ram: Uint8Array;
  private readonly view: DataView;
  private before: readonly Uint8Array[] = [];

  constructor(cpu: Cpu, ram: number) {
    this.cpu = cpu;
    this.ram = new Uint8Array(cpu.memory.buffer, ram, RAM_BYTES);
    this.view = new DataView(cpu.memory.buffer, ram, RAM_BYTES);
    this.ram.fill(0);
    this.buildPageTables();
    this.buildTables();
  }

  private map(linear: number, physical: number, bits: number): void {
    const directoryAt = PHYSICAL.directory + (linear >>> 22) * 4;
    let table = this.view.getUint32(directoryAt, true) & ~0xfff;
    if (table === 0) {
      table = PHYSICAL.tables.find((t) => !this.tablesUsed.has(t))!;
      this.tablesUsed.add(table);
      this.view.setUint32(directoryAt, table | PTE.P | PTE.W | PTE.U, true);
    }
    this.view.setUint32(table + ((linear >>> 12) & 0x3ff) * 4, physical | bits, true);
  }
  private readonly tablesUsed = new Set<number>();

  private buildPageTables(): void {
    for (const { linear, physical, writable } of userPages)
      this.map(linear, physical, PTE.P | PTE.U | (writable ? PTE.W : 0));
    for (let i = 0; i < KERNEL_PAGES; i++)
      this.map(KERNEL + i * PAGE_SIZE, PHYSICAL.kernel + i * PAGE_SIZE, PTE.P | PTE.W);
  }
  private buildTables(): void {
    const { view } = this;
    const kernel = PHYSICAL.kernel;
    const flat = (selector: number, attributes: number): void => {
      const at = kernel + GDT + (selector & ~7);
      view.setUint32(at, 0x0000ffff, true);
      view.setUint32(at + 4, (attributes << 8) | 0xf0000, true);
    };
    flat(KERNEL_CODE, ATTRIBUTES.kernelCode);
    flat(KERNEL_DATA, ATTRIBUTES.kernelData);
    flat(SELECTORS.cs, ATTRIBUTES.userCode);
    flat(SELECTORS.ds, ATTRIBUTES.userData);
    for (const { selector, base, attributes } of NARROW_SEGMENTS) {
      const at = kernel + LDT + (selector & ~7);
      view.setUint32(at, (base << 16) | LIMIT_16, true);
      view.setUint32(at + 4, (base & 0xff000000) | (attributes << 8) | ((base >>> 16) & 0xff), true);
    }
    for (let vector = 0; vector < 256; vector++) {
      const stub = KERNEL + STUBS + vector;
      const gate = INTERRUPT_GATE | (USER_GATES.has(vector) ? 0x6000 : 0);
      view.setUint32(kernel + IDT + vector * 8, (KERNEL_CODE << 16) | (stub & 0xffff), true);
      view.setUint32(kernel + IDT + vector * 8 + 4, (stub & 0xffff0000) | gate, true);
    }
    this.ram.fill(HLT, kernel + STUBS, kernel + STUBS + 256);
    view.setUint32(kernel + TSS + 4, KERNEL + STACK_TOP, true);
    view.setUint32(kernel + TSS + 8, KERNEL_DATA, true);
    view.setUint16(kernel + TSS + 102, TSS_LIMIT + 1, true); // no port bitmap: no port is allowed
    for (let i = 0; i < MEMORY.readOnly.size; i++)
      this.ram[physicalOf(MEMORY.readOnly.address) + i] = backgroundByte(MEMORY.readOnly.address + i);
  }

  /** Sets everything as the case starts. */
  start(from: CpuCase): void {
    const { cpu } = this;
    cpu.reset();
    this.before = WRITABLE_REGIONS.map((region) => initialRegion(region, from));
    WRITABLE_REGIONS.forEach((region, i) => this.ram.set(this.before[i]!, physicalOf(region.address)));
    cpu.set('cr0', CR0.PE | CR0.MP | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.PG);
    cpu.set('cr3', PHYSICAL.directory);
    cpu.set('cr4', CR4.PSE | CR4.OSFXSR | CR4.OSXMMEXCPT);
    cpu.set('gdtBase', KERNEL + GDT);
    cpu.set('gdtLimit', 0x7f);
    cpu.set('idtBase', KERNEL + IDT);
    cpu.set('idtLimit', 0x7ff);
    cpu.setSegment(TR, TASK, KERNEL + TSS, TSS_LIMIT, ATTRIBUTES.task);
    if (Object.values(from.narrow ?? {}).some((is) => is === true))
      cpu.setSegment(LDTR, LOCAL, KERNEL + LDT, LDT_LIMIT, ATTRIBUTES.local);
    else cpu.setSegment(LDTR, 0, 0, 0, 0);
    cpu.set('cpl', 3);
    const selectors = segmentsOf(from);
    SEGMENT_NAMES.forEach((name, i) => {
      const selector = selectors[name];
      const narrow = NARROW_SEGMENTS.find((each) => each.selector === selector);
      if (selector === 0) cpu.setSegment(i, 0, 0, 0, 0);
      else if (narrow !== undefined) cpu.setSegment(i, selector, narrow.base, LIMIT_16, narrow.attributes);
      else cpu.setSegment(i, selector, 0, 0xffffffff, name === 'cs' ? ATTRIBUTES.userCode : ATTRIBUTES.userData);
    });
    cpu.eflags = from.eflags | IF;
    cpu.set('eip', from.codeAddress - codeBase(from));
    REGISTER_NAMES.forEach((name, i) => cpu.setRegister(i, from.registers[name]));
    loadFx(cpu, from.fx);
    cpu.refreshMode();
    cpu.onModeChange();
  }

  /** Whether the processor stands behind the HLT of an exception vector. */
  get stopped(): boolean {
    const vector = this.cpu.get('eip') - 1 - (KERNEL + STUBS);
    return this.cpu.get('halted') !== 0 && vector >= 0 && vector < 256;
  }

  /** What came of the case; it looped when no exception stopped it. */
  result(): CpuResult {
    const { cpu } = this;
    const memory: MemoryPatch[] = WRITABLE_REGIONS.flatMap((region, i) =>
      changedRuns(
        region.address,
        this.before[i]!,
        this.ram.slice(physicalOf(region.address), physicalOf(region.address) + region.size),
      ),
    );
    const stopped = this.stopped;
    const trap = stopped ? cpu.get('eip') - 1 - (KERNEL + STUBS) : TRAP.timeout;
    const frame = stopped
      ? this.frame()
      : { error: 0, eip: cpu.get('eip'), cs: 0, eflags: cpu.eflags, esp: cpu.getRegister(4), ss: 0 };
    const registers = Object.fromEntries(
      REGISTER_NAMES.map((name, i) => [name, name === 'esp' ? frame.esp : cpu.getRegister(i)]),
    );
    const segments = Object.fromEntries(
      SEGMENT_NAMES.map((name, i) => [
        name,
        name === 'cs' ? frame.cs : name === 'ss' ? frame.ss : cpu.segment(i, 'selector'),
      ]),
    );
    return {
      trap,
      errorCode: comparableErrorCode(trap, frame.error),
      cr2: trap === TRAP.PF ? cpu.get('cr2') : 0,
      eip: (frame.eip - (trap === TRAP.BP ? 1 : 0)) >>> 0,
      eflags: frame.eflags & EFLAGS_REPORTED,
      registers: registers as unknown as Registers,
      segments: segments as unknown as Segments,
      fx: fxOf(cpu),
      memory,
    };
  }
  /** What the exception pushed (SDM vol. 3, figure 6-4), with the stack switch. */
  private frame(): { error: number; eip: number; cs: number; eflags: number; esp: number; ss: number } {
    const esp = this.cpu.getRegister(4);
    const depth = KERNEL + STACK_TOP - esp;
    const at = (i: number): number => this.view.getUint32(PHYSICAL.kernel + STACK_TOP - 20 + i * 4, true);
    return {
      error: depth === 24 ? this.view.getUint32(PHYSICAL.kernel + STACK_TOP - 24, true) : 0,
      eip: at(0),
      cs: at(1) & 0xffff,
      eflags: at(2),
      esp: at(3),
      ss: at(4) & 0xffff,
    };
  }
}
