/** Control, debug and model-specific registers, identity, ports (SDM vol. 3, 2.5, 2.8; vol. 4; vol. 1, 19). */
import { EAX, EBX, ECX, EDX, EFLAGS, EXCEPTION } from '../isa/build.ts';
import { CR0, CR4, FAMILY_MODEL_STEPPING, type Cpu } from './cpu.ts';
import { OFFSET, TR } from './layout.ts';
import type { Mmu } from './mmu.ts';

/** CR4 bits that this processor has; setting another raises #GP. */
const CR4_IMPLEMENTED = CR4.PSE | CR4.PGE | CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.TSD | CR4.PCE | CR4.DE;
const CR0_IMPLEMENTED =
  CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.NW | CR0.CD | CR0.PG;

/** CPUID.1:EDX (SDM vol. 2, table 3-11). */
const FEATURE = {
  FPU: 0,
  DE: 2,
  PSE: 3,
  TSC: 4,
  MSR: 5,
  CX8: 8,
  APIC: 9,
  SEP: 11,
  PGE: 13,
  CMOV: 15,
  CLFSH: 19,
  MMX: 23,
  FXSR: 24,
  SSE: 25,
  SSE2: 26,
} as const;
const ALL_FEATURES = Object.values(FEATURE).reduce<number>((all, bit) => all | (1 << bit), 0) >>> 0;

/** Model-specific registers (SDM vol. 4). */
const MSR = {
  TSC: 0x10,
  PLATFORM_ID: 0x17,
  APIC_BASE: 0x1b,
  BIOS_SIGN: 0x8b,
  SYSENTER_CS: 0x174,
  SYSENTER_ESP: 0x175,
  SYSENTER_EIP: 0x176,
  MISC_ENABLE: 0x1a0,
} as const;

/** The time stamp counter counts nanoseconds of the machine's clock. */
const TIMESTAMP_HZ = 1_000_000_000;

export interface SystemOptions {
  /** CPUID features to leave out, by name. */
  readonly without: readonly (keyof typeof FEATURE)[];
}

export class SystemRegisters {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly features: number;
  /** IA32_APIC_BASE: enabled, bootstrap processor, at FEE00000. */
  apicBase = 0xfee00900;

  constructor(cpu: Cpu, mmu: Mmu, options: SystemOptions = { without: [] }) {
    this.cpu = cpu;
    this.mmu = mmu;
    this.features = options.without.reduce((all, name) => all & ~(1 << FEATURE[name]), ALL_FEATURES);
  }

  readControl(n: number): number {
    return n === 0
      ? this.cpu.get('cr0')
      : n === 2
        ? this.cpu.get('cr2')
        : n === 3
          ? this.cpu.get('cr3')
          : this.cpu.get('cr4');
  }
  writeControl(n: number, value: number): void {
    const { cpu, mmu } = this;
    if (n === 0) return this.writeCr0(value);
    if (n === 2) return cpu.set('cr2', value);
    if (n === 3) {
      cpu.set('cr3', value);
      return mmu.flush(false);
    }
    if ((value & ~CR4_IMPLEMENTED) !== 0) cpu.raise(EXCEPTION.GP, 0);
    const changed = cpu.get('cr4') ^ value;
    cpu.set('cr4', value);
    cpu.refreshMode();
    if ((changed & (CR4.PSE | CR4.PGE | CR4.PAE)) !== 0) mmu.flush(true);
  }
  private writeCr0(value: number): void {
    const { cpu, mmu } = this;
    value = ((value & CR0_IMPLEMENTED) | CR0.ET) >>> 0;
    if ((value & CR0.PG) !== 0 && (value & CR0.PE) === 0) cpu.raise(EXCEPTION.GP, 0);
    if ((value & CR0.NW) !== 0 && (value & CR0.CD) === 0) cpu.raise(EXCEPTION.GP, 0);
    const changed = (cpu.get('cr0') ^ value) >>> 0;
    cpu.set('cr0', value);
    cpu.refreshMode();
    if ((changed & (CR0.PG | CR0.WP | CR0.PE)) !== 0) mmu.flush(true);
  }
  loadMachineStatus(value: number): void {
    const old = this.cpu.get('cr0');
    // LMSW can set PE but not clear it.
    this.writeCr0((old & ~0xe) | (value & 0xf) | (old & 1));
  }
  clearTaskSwitched(): void {
    this.cpu.set('cr0', this.cpu.get('cr0') & ~CR0.TS);
    this.cpu.refreshMode();
  }

  private debugRegister(n: number): number {
    const { cpu } = this;
    const real = n === 4 || n === 5 ? n + 2 : n;
    if (real !== n && (cpu.get('cr4') & CR4.DE) !== 0) cpu.raise(EXCEPTION.UD);
    return (cpu.base + OFFSET.dr + real * 4) >> 2;
  }
  readDebug(n: number): number {
    return this.cpu.i32[this.debugRegister(n)]!;
  }
  /** Stored only: breakpoints fire once debug registers are implemented. */
  writeDebug(n: number, value: number): void {
    const at = this.debugRegister(n);
    this.cpu.i32[at] = n < 4 ? value : n === 6 || n === 4 ? (value & 0xe00f) | 0xffff0ff0 : (value & ~0xf800) | 0x400;
  }

  readTimestamp(): void {
    const { cpu } = this;
    if ((cpu.get('cr4') & CR4.TSD) !== 0 && cpu.get('cpl') !== 0) cpu.raise(EXCEPTION.GP, 0);
    this.setPair(cpu.bus.timestamp() + cpu.timestampOffset);
  }
  private setPair(value: bigint): void {
    this.cpu.setRegister(EAX, Number(value & 0xffffffffn) | 0);
    this.cpu.setRegister(EDX, Number((value >> 32n) & 0xffffffffn) | 0);
  }
  readMsr(): void {
    const { cpu } = this;
    switch (cpu.getRegister(ECX)) {
      case MSR.TSC:
        return this.setPair(cpu.bus.timestamp() + cpu.timestampOffset);
      case MSR.APIC_BASE:
        return this.setPair(BigInt(this.apicBase));
      case MSR.SYSENTER_CS:
        return this.setPair(BigInt(cpu.get('sysenterCs')));
      case MSR.SYSENTER_ESP:
        return this.setPair(BigInt(cpu.get('sysenterEsp')));
      case MSR.SYSENTER_EIP:
        return this.setPair(BigInt(cpu.get('sysenterEip')));
      case MSR.PLATFORM_ID:
      case MSR.BIOS_SIGN:
        return this.setPair(0n);
      case MSR.MISC_ENABLE:
        return this.setPair(1n); // fast strings
      default:
        return cpu.raise(EXCEPTION.GP, 0);
    }
  }
  writeMsr(): void {
    const { cpu } = this,
      low = cpu.getRegister(EAX),
      high = cpu.getRegister(EDX);
    switch (cpu.getRegister(ECX)) {
      case MSR.TSC:
        cpu.timestampOffset = ((BigInt(high) << 32n) | BigInt(low)) - cpu.bus.timestamp();
        return;
      case MSR.APIC_BASE:
        this.apicBase = low;
        return cpu.bus.apicBase(low);
      case MSR.SYSENTER_CS:
        return cpu.set('sysenterCs', low & 0xffff);
      case MSR.SYSENTER_ESP:
        return cpu.set('sysenterEsp', low);
      case MSR.SYSENTER_EIP:
        return cpu.set('sysenterEip', low);
      case MSR.BIOS_SIGN:
      case MSR.MISC_ENABLE:
        return;
      default:
        return cpu.raise(EXCEPTION.GP, 0);
    }
  }

  identify(): void {
    const { cpu } = this;
    const answer = this.leaf(cpu.getRegister(EAX));
    [EAX, EBX, ECX, EDX].forEach((register, i) => cpu.setRegister(register, answer[i]!));
  }
  /** EAX, EBX, ECX, EDX of a CPUID leaf. Basic leaves beyond the last answer as the last does. */
  private leaf(n: number): readonly [number, number, number, number] {
    const text = (s: string): number => [...s].reduce((all, c, i) => all | (c.charCodeAt(0) << (8 * i)), 0);
    const brand = 'Tomei virtual processor'.padEnd(48, '\0');
    if (n >= 0x80000002 && n <= 0x80000004) {
      const at = (n - 0x80000002) * 16;
      return [0, 4, 8, 12].map((i) => text(brand.slice(at + i, at + i + 4))) as unknown as [
        number,
        number,
        number,
        number,
      ];
    }
    switch (n) {
      case 0:
        return [0x15, text('Genu'), text('ntel'), text('ineI')];
      case 1:
        return [FAMILY_MODEL_STEPPING, (8 << 8) | (1 << 16), 0, this.features];
      // No cache descriptors: the iteration count, and nothing valid behind it.
      case 2:
        return [1, 0, 0, 0];
      // The time stamp counter runs at the crystal's rate, 1 GHz: kernels need not measure it.
      case 0x15:
        return [1, 1, TIMESTAMP_HZ, 0];
      case 0x80000000:
        return [0x80000004 | 0, 0, 0, 0];
      case 0x80000001:
        return [0, 0, 0, 0];
      default:
        return [0, 0, 0, 0];
    }
  }

  /** #GP(0) unless IOPL or the TSS's bitmap allows the port (SDM vol. 1, 19.5). */
  checkPort(port: number, bytes: number): void {
    const { cpu, mmu } = this;
    const iopl = (cpu.get('systemFlags') & EFLAGS.IOPL) >> 12;
    if (!cpu.isProtected || cpu.get('cpl') <= iopl) return;
    const base = cpu.segment(TR, 'base'),
      limit = cpu.segment(TR, 'limit'),
      type = cpu.segment(TR, 'attributes') & 0xf;
    if (type !== 11 && type !== 9) cpu.raise(EXCEPTION.GP, 0);
    if (limit < 103) cpu.raise(EXCEPTION.GP, 0);
    const map = mmu.readLinear((base + 102) >>> 0, 2, false) + (port >> 3);
    if (map + 1 > limit) cpu.raise(EXCEPTION.GP, 0);
    const bits = mmu.readLinear((base + map) >>> 0, 2, false) >> (port & 7);
    if ((bits & ((1 << bytes) - 1)) !== 0) cpu.raise(EXCEPTION.GP, 0);
  }
}
