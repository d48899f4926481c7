/** Control registers, and how instructions reach model-specific registers, counters, identity and ports (SDM vol. 3, 2.5, 2.8; vol. 1, 19). */
import { EAX, EBX, ECX, EDX, EFLAGS, EXCEPTION } from '../isa/build.ts';
import { Identity, type CpuidMask, type Feature } from './cpuid.ts';
import { CR0, CR4, type Cpu } from './cpu.ts';
import { TR } from './layout.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Mmu } from './mmu.ts';
import { CR0_BITS, MSR, ModelSpecificRegisters, controlBits } from './model-specific.ts';
import { PHYSICAL_BITS } from './paging.ts';
import { PerformanceCounters } from './performance-counters.ts';

export interface SystemOptions {
  /** Features to leave out, by name. */
  readonly without?: readonly Feature[];
  /** What CPUID tells otherwise. */
  readonly cpuid?: readonly CpuidMask[];
  /** Whom the guest finds between itself and the machine. */
  readonly hypervisor?: Hypervisor;
  /** Whether a program may reach a port that its system does not let it; EAX is what the instruction finds there. None when absent. */
  readonly opensPort?: (port: number, bytes: number, eax: number) => boolean;
  /** What the local APIC's identifier is after reset; 0, the bootstrap processor's, when absent. */
  readonly apicId?: number;
  /** Processors in its socket; 1 when absent. */
  readonly cores?: number;
}
/** Bits of a 4 MiB page's entry that have to be 0 without PSE-36: 21:13 (SDM vol. 3, table 4-4). */
const LARGE_RESERVED_WITHOUT_PSE36 = 0x003f_e000;

export class SystemRegisters {
  private readonly cpu: Cpu;
  private readonly mmu: Mmu;
  readonly identity: Identity;
  readonly msrs: ModelSpecificRegisters;
  readonly counters: PerformanceCounters;
  readonly hypervisor: Hypervisor | undefined;
  /** Registers on their way to the hypervisor: guests call often. */
  private readonly general = [0, 0, 0, 0, 0, 0, 0, 0];
  private readonly wide = new BigInt64Array(1);
  private readonly halves = new Int32Array(this.wide.buffer);
  /** CR4 bits that are there. */
  private readonly cr4Bits: number;
  private readonly apicId: number;
  private readonly opensPort: SystemOptions['opensPort'];

  constructor(cpu: Cpu, mmu: Mmu, options: SystemOptions = {}) {
    this.cpu = cpu;
    this.mmu = mmu;
    const { hypervisor } = options;
    this.hypervisor = hypervisor;
    this.opensPort = options.opensPort;
    const leaves = hypervisor?.leaf === undefined ? undefined : (n: number) => hypervisor.leaf?.(n);
    this.identity = new Identity(options.without ?? [], PHYSICAL_BITS, options.cpuid, leaves, options.cores);
    this.counters = new PerformanceCounters(cpu);
    this.apicId = options.apicId ?? 0;
    this.msrs = new ModelSpecificRegisters(cpu, mmu, this.identity, this.counters, hypervisor, this.apicId === 0);
    this.cr4Bits = controlBits(this.identity);
    if (!this.identity.has('PSE36')) mmu.walker.largeReserved = LARGE_RESERVED_WITHOUT_PSE36;
    cpu.onReset = () => {
      this.msrs.reset();
      this.counters.reset();
    };
  }

  /** IA32_APIC_BASE. */
  get apicBase(): number {
    return this.msrs.apicBase;
  }
  set apicBase(value: number) {
    this.msrs.apicBase = value;
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
    if (n === 3) return mmu.loadPageTables(value);
    this.writeCr4(value);
  }
  private writeCr4(value: number): void {
    const { cpu, mmu } = this,
      changed = cpu.get('cr4') ^ value;
    if ((value & ~this.cr4Bits) !== 0) cpu.raise(EXCEPTION.GP, 0);
    const repaged = (changed & (CR4.PSE | CR4.PGE | CR4.PAE)) !== 0;
    if (repaged && (value & CR4.PAE) !== 0 && (cpu.get('cr0') & CR0.PG) !== 0) this.loadPointers();
    cpu.set('cr4', value);
    cpu.refreshMode();
    if (repaged) mmu.flush(true);
  }
  private writeCr0(value: number): void {
    const { cpu, mmu } = this;
    value = ((value & CR0_BITS) | CR0.ET) >>> 0;
    if ((value & CR0.PG) !== 0 && (value & CR0.PE) === 0) cpu.raise(EXCEPTION.GP, 0);
    if ((value & CR0.NW) !== 0 && (value & CR0.CD) === 0) cpu.raise(EXCEPTION.GP, 0);
    const changed = (cpu.get('cr0') ^ value) >>> 0;
    const repaged = (changed & (CR0.PG | CR0.CD | CR0.NW)) !== 0 && (value & CR0.PG) !== 0;
    if (repaged && (cpu.get('cr4') & CR4.PAE) !== 0) this.loadPointers();
    cpu.set('cr0', value);
    cpu.refreshMode();
    // Page-directory-pointer entries that were loaded by themselves go with no address space that is known.
    if (repaged || (changed & (CR0.PG | CR0.WP | CR0.PE)) !== 0) mmu.flush(true);
  }
  /** Writes that turn PAE paging on, or change how it works, load the page-directory-pointer entries (SDM vol. 3, 4.4.1). */
  private loadPointers(): void {
    if (!this.mmu.walker.loadPointers(this.cpu.get('cr3'))) this.cpu.raise(EXCEPTION.GP, 0);
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

  readTimestamp(): void {
    const { cpu } = this;
    if ((cpu.get('cr4') & CR4.TSD) !== 0 && cpu.get('cpl') !== 0) cpu.raise(EXCEPTION.GP, 0);
    if (cpu.bus.isTimeExact?.() === false) return;
    const time = cpu.bus.timestamp();
    if (cpu.timestampOffset !== 0n) return this.setPair(BigInt(time) + cpu.timestampOffset);
    // Systems ask a few times in each system call: a BigInt costs as much as all the rest.
    cpu.setRegister(EAX, time >>> 0);
    cpu.setRegister(EDX, Math.floor(time / 2 ** 32));
  }
  private setPair(value: bigint): void {
    // Through memory: operators of BigInt make a new one each.
    this.wide[0] = value;
    this.cpu.setRegister(EAX, this.halves[0]!);
    this.cpu.setRegister(EDX, this.halves[1]!);
  }
  /** RDPMC. */
  readCounter(): void {
    this.setPair(this.counters.readInstruction(this.cpu.getRegister(ECX)));
  }
  readMsr(): void {
    this.setPair(this.msrs.read(this.cpu.getRegister(ECX)));
  }
  writeMsr(): void {
    const { cpu } = this,
      n = cpu.getRegister(ECX);
    if (n === MSR.TSC_DEADLINE) return this.msrs.writeDeadline(cpu.getRegister(EAX), cpu.getRegister(EDX));
    this.msrs.write(n, (BigInt(cpu.getRegister(EDX)) << 32n) | BigInt(cpu.getRegister(EAX)));
  }

  /** VMCALL and VMMCALL: undefined instructions where there is nobody to call. */
  callHypervisor(): void {
    const { cpu, hypervisor } = this;
    if (hypervisor === undefined) return cpu.raise(EXCEPTION.UD);
    if (cpu.bus.isTimeExact?.() === false) return;
    const { general } = this;
    for (let i = 0; i < general.length; i++) general[i] = cpu.getRegister(i);
    cpu.setRegister(EAX, hypervisor.hypercall(general, cpu.get('cpl')) | 0);
  }

  /** MONITOR and MWAIT are there, and IA32_MISC_ENABLE has not closed them. */
  get monitorUsable(): boolean {
    return this.identity.has('MONITOR') && this.msrs.misc.monitor;
  }
  identify(): void {
    const { cpu, msrs } = this;
    const answer = this.identity.leaf(cpu.getRegister(EAX), {
      apic: msrs.apicEnabled,
      apicId: this.apicId,
      part: cpu.getRegister(ECX),
      ...msrs.misc,
    });
    [EAX, EBX, ECX, EDX].forEach((register, i) => cpu.setRegister(register, answer[i]!));
  }

  /** #GP(0) unless IOPL, the TSS's bitmap or `opensPort` allows the port; in virtual-8086 mode not IOPL (SDM vol. 1, 19.5). */
  checkPort(port: number, bytes: number): void {
    const { cpu, mmu } = this;
    const iopl = (cpu.get('systemFlags') & EFLAGS.IOPL) >> 12;
    if (!cpu.isVirtual8086 && (!cpu.isProtected || cpu.get('cpl') <= iopl)) return;
    if (this.opensPort?.(port, bytes, cpu.getRegister(EAX)) === true) return;
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
