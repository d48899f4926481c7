/**
 * Model-specific registers (SDM vol. 4, table 2-2; vol. 3, 12.11 MTRRs and 12.12 PAT, 16.3 machine checks, 11.4.4 the APIC base).
 * Memory types change nothing here, since there are no caches, but firmware and systems write them and read them back. An MSR that
 * is not named is #GP(0), and so is a value with reserved bits set.
 */
import { array, pod, whole, type StateOf } from '@tomei/kit';
import { EXCEPTION } from '../isa/build.ts';
import type { Identity } from './cpuid.ts';
import { CR0, CR4, EFER, type Cpu } from './cpu.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Mmu } from './mmu.ts';
import { PHYSICAL_BITS } from './paging.ts';
import type { PerformanceCounters } from './performance-counters.ts';

export const MSR = {
  TSC: 0x10,
  PLATFORM_ID: 0x17,
  APIC_BASE: 0x1b,
  BIOS_SIGN: 0x8b,
  /** MSR_PKG_CST_CONFIG_CONTROL: which idle states MWAIT may reach. */
  IDLE_CONTROL: 0xe2,
  MTRRCAP: 0xfe,
  SYSENTER_CS: 0x174,
  SYSENTER_ESP: 0x175,
  SYSENTER_EIP: 0x176,
  MCG_CAP: 0x179,
  MCG_STATUS: 0x17a,
  MISC_ENABLE: 0x1a0,
  MTRR_VARIABLE: 0x200,
  PAT: 0x277,
  MTRR_DEF_TYPE: 0x2ff,
  MC0_CTL: 0x400,
  TSC_DEADLINE: 0x6e0,
  EFER: 0xc000_0080,
} as const;
const FIXED_MTRRS = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];
const VARIABLE_MTRRS = 8;
/** IA32_MTRRCAP: the variable ranges, fixed ranges (bit 8), write-combining (bit 10). */
const MTRRCAP = BigInt(VARIABLE_MTRRS | 0x500);
/** IA32_MCG_CAP: one bank, and no IA32_MCG_CTL. */
const BANKS = 1;
const BANK_REGISTERS = 4;
const BANK = { CTL: 0, STATUS: 1 } as const;
/** IA32_MCG_STATUS: RIPV, EIPV, MCIP. */
const MCG_STATUS_BITS = 7n;

const ADDRESS = ((1n << BigInt(PHYSICAL_BITS)) - 1n) & ~0xfffn;
/** UC, WC, WT, WP, WB; PAT has UC- besides (SDM vol. 3, tables 12-2 and 12-10). */
const MEMORY_TYPES = new Set([0, 1, 4, 5, 6]);
const UC_MINUS = 7;
/** The PAT after reset: WB WT UC- UC, twice. */
const PAT_RESET = 0x0007_0406_0007_0406n;

const APIC_BASE = { reset: 0xfee0_0800, bootstrap: 1 << 8, enabled: 1 << 11, writable: ADDRESS | 0x900n } as const;
/** IA32_MISC_ENABLE (SDM vol. 4, table 2-2). */
const MISC = {
  fastStrings: 1n,
  /** Branch trace storage and precise event sampling are unavailable: read-only. */
  unavailable: 0x1800n,
  monitor: 1n << 18n,
  limitLeaves: 1n << 22n,
  executeDisable: 1n << 34n,
} as const;
const MISC_READ_ONLY = MISC.unavailable;
const MISC_WRITABLE = MISC.fastStrings | MISC.monitor | MISC.limitLeaves | MISC.executeDisable;

/** A 64-bit register as two halves, so that states are plain numbers. */
const half = whole;
const halves = (count: number) => array(count * 2, () => half());

/** What outlives an instruction, besides what lies in the processor's layout. Each register is low half, high half. */
export const modelSpecificState = pod({
  miscEnable: halves(1),
  idleControl: halves(1),
  pat: halves(1),
  mtrrFixed: halves(FIXED_MTRRS.length),
  mtrrVariable: halves(VARIABLE_MTRRS * 2),
  mtrrDefType: halves(1),
  mcgStatus: halves(1),
  bankControl: halves(BANKS),
}).check((s) => Object.values(s).every((list) => list.every((n) => n < 2 ** 32)) || 'a half of a register is no u32');
export type ModelSpecificState = StateOf<typeof modelSpecificState>;
type Stored = keyof ModelSpecificState;

export class ModelSpecificRegisters {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  private readonly identity: Identity;
  private readonly counters: PerformanceCounters;
  private readonly hypervisor: Hypervisor | undefined;
  private readonly values: Record<Stored, BigUint64Array>;
  /** IA32_APIC_BASE. */
  apicBase: number = APIC_BASE.reset;
  private readonly isBootstrap: boolean;
  private readonly hasDeadline: boolean;

  constructor(
    cpu: Cpu,
    mmu: Mmu,
    identity: Identity,
    counters: PerformanceCounters,
    hypervisor?: Hypervisor,
    isBootstrap = true,
  ) {
    this.isBootstrap = isBootstrap;
    this.hypervisor = hypervisor;
    this.cpu = cpu;
    this.mmu = mmu;
    this.identity = identity;
    this.hasDeadline = identity.has('TSC_DEADLINE');
    this.counters = counters;
    const initial = modelSpecificState.initial();
    this.values = Object.fromEntries(
      Object.entries(initial).map(([name, list]) => [name, new BigUint64Array(list.length / 2)]),
    ) as Record<Stored, BigUint64Array>;
    this.reset();
  }

  /** As after power-on; INIT leaves these registers alone. */
  reset(): void {
    for (const list of Object.values(this.values)) list.fill(0n);
    this.values.pat[0] = PAT_RESET;
    const monitor = this.identity.has('MONITOR') ? MISC.monitor : 0n;
    this.values.miscEnable[0] = MISC.fastStrings | MISC.unavailable | monitor;
    this.apicBase = APIC_BASE.reset + (this.isBootstrap ? APIC_BASE.bootstrap : 0);
  }
  save(): ModelSpecificState {
    return Object.fromEntries(
      Object.entries(this.values).map(([name, list]) => [
        name,
        [...list].flatMap((value) => [Number(value & 0xffff_ffffn), Number(value >> 32n)]),
      ]),
    ) as ModelSpecificState;
  }
  restore(state: ModelSpecificState): void {
    for (const name of Object.keys(this.values) as Stored[]) {
      const words = state[name];
      this.values[name].forEach((_, i, list) => (list[i] = wide(words[2 * i]!, words[2 * i + 1]!)));
    }
  }

  get apicEnabled(): boolean {
    return (this.apicBase & APIC_BASE.enabled) !== 0;
  }
  /** Bits of IA32_MISC_ENABLE that CPUID answers by. */
  get misc(): { limited: boolean; monitor: boolean; noExecute: boolean } {
    const value = this.values.miscEnable[0]!;
    return {
      limited: (value & MISC.limitLeaves) !== 0n,
      monitor: (value & MISC.monitor) !== 0n,
      noExecute: (value & MISC.executeDisable) === 0n,
    };
  }

  private refuse(): never {
    return this.cpu.raise(EXCEPTION.GP, 0);
  }
  private require(ok: boolean): void {
    if (!ok) this.refuse();
  }

  /** RDMSR of register `n`; raises #GP(0) for one that is not there. */
  read(n: number): bigint {
    const { cpu, identity } = this;
    switch (n) {
      case MSR.TSC:
        return BigInt.asUintN(64, BigInt(cpu.bus.timestamp()) + cpu.timestampOffset);
      case MSR.TSC_DEADLINE:
        this.require(this.hasDeadline);
        return cpu.bus.readDeadline();
      case MSR.APIC_BASE:
        return BigInt(this.apicBase);
      case MSR.SYSENTER_CS:
        return BigInt(cpu.get('sysenterCs'));
      case MSR.SYSENTER_ESP:
        return BigInt(cpu.get('sysenterEsp'));
      case MSR.SYSENTER_EIP:
        return BigInt(cpu.get('sysenterEip'));
      // No platform to tell apart, and no microcode to update.
      case MSR.PLATFORM_ID:
      case MSR.BIOS_SIGN:
        return 0n;
      case MSR.MISC_ENABLE:
        return this.values.miscEnable[0]!;
      case MSR.EFER:
        this.require(identity.has('NX'));
        return BigInt(cpu.get('efer'));
      case MSR.MTRRCAP:
        this.require(identity.has('MTRR'));
        return MTRRCAP;
      case MSR.MCG_CAP:
        this.require(identity.has('MCA'));
        return BigInt(BANKS);
      default:
        return this.stored(n)?.read() ?? this.counters.readMsr(n) ?? this.hypervisor?.readMsr(n) ?? this.refuse();
    }
  }

  /** WRMSR; raises #GP(0) for a register that is not there or cannot be written, and for reserved bits. */
  write(n: number, value: bigint): void {
    const { cpu } = this,
      low = Number(value & 0xffff_ffffn);
    switch (n) {
      case MSR.TSC:
        return this.moveTimestamp(value);
      case MSR.TSC_DEADLINE:
        return this.writeDeadline(...halvesOf(value));
      case MSR.APIC_BASE:
        this.require((value & ~APIC_BASE.writable) === 0n);
        this.apicBase = Number(value);
        return cpu.bus.apicBase(this.apicBase);
      case MSR.SYSENTER_CS:
        return cpu.set('sysenterCs', low & 0xffff);
      case MSR.SYSENTER_ESP:
        return cpu.set('sysenterEsp', low);
      case MSR.SYSENTER_EIP:
        return cpu.set('sysenterEip', low);
      // Loading microcode's signature for CPUID to fill in: there is none.
      case MSR.BIOS_SIGN:
        return;
      case MSR.MISC_ENABLE:
        return this.writeMisc(value);
      case MSR.EFER:
        return this.writeEfer(value);
      default: {
        const stored = this.stored(n);
        if (stored === undefined) return this.require(this.writeOthers(n, value));
        this.require(stored.accepts(value));
        stored.write(value);
      }
    }
  }
  private moveTimestamp(value: bigint): void {
    const { cpu } = this,
      deadline = cpu.bus.readDeadline();
    cpu.timestampOffset = value - BigInt(cpu.bus.timestamp());
    // The counter gets there at another time than before.
    if (deadline !== 0n) this.writeDeadline(...halvesOf(deadline));
    this.hypervisor?.timestampMoved(cpu.timestampOffset);
  }
  /** WRMSR of IA32_TSC_DEADLINE, by halves. Systems do so in each tick, so it is done without BigInts as long as the counter is not moved. */
  writeDeadline(low: number, high: number): void {
    const { bus } = this.cpu;
    this.require(this.hasDeadline);
    if (bus.isTimeExact?.() === false) return;
    bus.writeDeadline(
      low,
      high,
      this.cpu.timestampOffset === 0n ? machineTime(low, high) : this.whenCounted(low, high),
    );
  }
  /** The bus's timestamp at which the guest's counter, with what the guest has added, shows a value or more; it wraps at 2^64. */
  private whenCounted(low: number, high: number): number | null {
    const { bus, timestampOffset } = this.cpu,
      now = bus.timestamp(),
      left = wide(low, high) - BigInt.asUintN(64, BigInt(now) + timestampOffset);
    return left <= 0n ? now : left <= LONGEST_TIME ? machineTime(...halvesOf(BigInt(now) + left)) : null;
  }
  /** Registers of others; false where there is no such one, or it does not take the value. */
  private writeOthers(n: number, value: bigint): boolean {
    const { counters, hypervisor, cpu } = this;
    return counters.writeMsr(n, value) || hypervisor?.writeMsr(n, value, cpu.timestampOffset) === true;
  }
  private writeMisc(value: bigint): void {
    this.require((value & ~(MISC_WRITABLE | MISC_READ_ONLY)) === 0n);
    this.require((value & MISC.monitor) === 0n || this.identity.has('MONITOR'));
    this.require((value & MISC.executeDisable) === 0n || this.identity.has('NX'));
    this.values.miscEnable[0] = (value & MISC_WRITABLE) | MISC.unavailable;
    // With execute-disable hidden it does not work either.
    if ((value & MISC.executeDisable) !== 0n && this.cpu.get('efer') !== 0) this.setEfer(0);
  }
  /** Only NXE is there: no long mode, no SYSCALL (SDM vol. 3, 2.2.1). */
  private writeEfer(value: bigint): void {
    this.require(this.identity.has('NX') && (value & ~BigInt(EFER.NXE)) === 0n);
    this.require(value === 0n || this.misc.noExecute);
    this.setEfer(Number(value));
  }
  private setEfer(value: number): void {
    const { cpu, mmu } = this;
    if (cpu.get('efer') === value) return;
    cpu.set('efer', value);
    mmu.flush(true);
    // The page that is executing is looked up again.
    cpu.set('exit', 1);
  }

  /** A register that holds what was written to it, and which values it takes. */
  private stored(n: number): StoredRegister | undefined {
    const { identity, values } = this;
    // Systems with MWAIT lock their idle states here; there are none beyond the first.
    if (identity.has('MONITOR') && n === MSR.IDLE_CONTROL) return at(values.idleControl, 0, (v) => v <= 0xffff_ffffn);
    if (identity.has('PAT') && n === MSR.PAT) {
      return at(values.pat, 0, (value) => bytesOf(value).every((type) => MEMORY_TYPES.has(type) || type === UC_MINUS));
    }
    if (identity.has('MTRR')) {
      if (n === MSR.MTRR_DEF_TYPE) {
        return at(values.mtrrDefType, 0, (v) => (v & ~0xcffn) === 0n && MEMORY_TYPES.has(Number(v & 0xffn)));
      }
      const fixed = FIXED_MTRRS.indexOf(n);
      if (fixed >= 0) {
        return at(values.mtrrFixed, fixed, (value) => bytesOf(value).every((type) => MEMORY_TYPES.has(type)));
      }
      const variable = n - MSR.MTRR_VARIABLE;
      if (variable >= 0 && variable < VARIABLE_MTRRS * 2) {
        const isMask = (variable & 1) !== 0;
        return at(values.mtrrVariable, variable, (value) =>
          isMask
            ? (value & ~(ADDRESS | 0x800n)) === 0n
            : (value & ~(ADDRESS | 0xffn)) === 0n && MEMORY_TYPES.has(Number(value & 0xffn)),
        );
      }
    }
    if (identity.has('MCA')) {
      if (n === MSR.MCG_STATUS) return at(values.mcgStatus, 0, (value) => (value & ~MCG_STATUS_BITS) === 0n);
      const bank = n - MSR.MC0_CTL;
      if (bank >= 0 && bank < BANKS * BANK_REGISTERS) {
        if (bank % BANK_REGISTERS === BANK.CTL) return at(values.bankControl, 0, () => true);
        // No error is ever reported: status can be cleared only, and address and more are there with a status only.
        return bank % BANK_REGISTERS === BANK.STATUS ? ALWAYS_CLEAR : undefined;
      }
    }
    return undefined;
  }
}

interface StoredRegister {
  read(): bigint;
  write(value: bigint): void;
  accepts(value: bigint): boolean;
}
const at = (list: BigUint64Array, index: number, accepts: (value: bigint) => boolean): StoredRegister => ({
  read: () => list[index]!,
  write: (value) => void (list[index] = value),
  accepts,
});
const ALWAYS_CLEAR: StoredRegister = { read: () => 0n, write: () => {}, accepts: (value) => value === 0n };

/** Nanoseconds, which end before 2^53. */
const LONGEST_TIME = BigInt(Number.MAX_SAFE_INTEGER);
const machineTime = (low: number, high: number): number | null => {
  const time = high * 2 ** 32 + low;
  return time <= Number.MAX_SAFE_INTEGER ? time : null;
};

const halvesOf = (value: bigint): [low: number, high: number] => [Number(value & 0xffff_ffffn), Number(value >> 32n)];
const wide = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);
const bytesOf = (value: bigint): number[] =>
  Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

/** CR4 bits that a processor with these features has; setting another raises #GP(0) (SDM vol. 3, 2.5). */
export function controlBits(identity: Identity): number {
  const of = (feature: Parameters<Identity['has']>[0], bits: number): number => (identity.has(feature) ? bits : 0);
  return (
    of('VME', CR4.VME | CR4.PVI) |
    of('TSC', CR4.TSD) |
    of('DE', CR4.DE) |
    of('PSE', CR4.PSE) |
    of('PAE', CR4.PAE) |
    of('MCE', CR4.MCE) |
    of('PGE', CR4.PGE) |
    of('FXSR', CR4.OSFXSR) |
    of('SSE', CR4.OSXMMEXCPT) |
    CR4.PCE
  );
}
/** CR0 bits that are there; writes to others do nothing. */
export const CR0_BITS =
  CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.NW | CR0.CD | CR0.PG;
