/** What handlers and the oracle call by name: the core's services, bound to one processor. */
import { EAX, ECX, EDI, EFLAGS, ES, ESI, EXCEPTION, SS } from '../isa/build.ts';
import { bulkMemory, repeatPattern } from './bulk-memory.ts';
import { CR0, CR4, HOLD, type Cpu } from './cpu.ts';
import { SEGMENT_BYTES, SHADOW, UNIT, segmentOffset } from './layout.ts';
import type { Mmu } from './mmu.ts';
import type { Segmentation } from './segmentation.ts';
import type { SystemRegisters } from './system.ts';
import type { Transfers } from './transfer.ts';

/** Arguments and results are 32-bit integers; a fault is recorded and GUEST_FAULT thrown. */
export type Service = (a: number, b: number, c: number, d: number) => number | void;

/** Repetitions done in bulk count as half an iteration each: virtual time passes, and interrupts are looked at now and then. */
const BULK_COST_SHIFT = 1;

/** Software interrupts: how the second argument of `softwareInterrupt` reads. */
const INT1 = 1;

export interface ServiceParts {
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly segments: Segmentation;
  readonly transfers: Transfers;
  readonly system: SystemRegisters;
}

export function createServices({
  cpu,
  mmu,
  segments,
  transfers,
  system,
}: ServiceParts): Readonly<Record<string, Service>> {
  /** Bytes from an offset to the end of its page or segment, whichever comes first; `host` is where it lies. */
  const roomAt = (segment: number, offset: number, host: number): number =>
    Math.min(4096 - (host & 0xfff), cpu.segment(segment, 'limit') - offset + 1);
  /** How many repetitions of a string store, or of a move from `source`, stay within page and segment on each side; 0 for none. */
  const bulk = (bytes: number, source?: number): number => {
    // No time for many at once: the instruction is being stepped.
    if (cpu.get('pollBudget') === 0) return 0;
    const down = (cpu.get('systemFlags') & EFLAGS.DF) !== 0;
    const count = cpu.getRegister(ECX);
    if (down || count === 0) return 0;
    const to = mmu.hostOf(ES, cpu.getRegister(EDI), true);
    if (to === 0) return 0;
    let room = roomAt(ES, cpu.getRegister(EDI), to);
    if (source !== undefined) {
      const from = mmu.hostOf(source, cpu.getRegister(ESI), false);
      if (from === 0) return 0;
      room = Math.min(room, roomAt(source, cpu.getRegister(ESI), from));
      // Overlapping upward moves repeat a pattern: element by element.
      if (to > from && to - from < room) return 0;
    }
    return Math.min(count, Math.floor(room / bytes));
  };
  const memory = bulkMemory(cpu.memory);
  const segmentIndex = (address: number): number => (address - cpu.base - segmentOffset(0)) / SEGMENT_BYTES;
  const advance = (register: number, bytes: number): void =>
    cpu.setRegister(register, cpu.getRegister(register) + bytes);

  return {
    readMemory: (s, offset, bytes) => mmu.readMemory(s, offset, bytes),
    writeMemory: (s, offset, bytes, value) => mmu.writeMemory(s, offset, bytes, value),
    readForUpdate: (s, offset, bytes) => mmu.readForUpdate(s, offset, bytes),
    probeWrite: (s, offset, bytes) => mmu.probeWrite(s, offset, bytes),

    bulkMove: (bytes, segmentAddress) => {
      const source = segmentIndex(segmentAddress),
        n = bulk(bytes, source);
      if (n === 0) return;
      const from = mmu.hostOf(source, cpu.getRegister(ESI), false),
        to = mmu.hostOf(ES, cpu.getRegister(EDI), true);
      memory.copy(to, from, n * bytes);
      advance(ESI, n * bytes);
      advance(EDI, n * bytes);
      cpu.setRegister(ECX, cpu.getRegister(ECX) - n);
      cpu.set('pollBudget', cpu.get('pollBudget') - (n >> BULK_COST_SHIFT));
    },
    bulkStore: (bytes) => {
      const n = bulk(bytes);
      if (n === 0) return;
      const to = mmu.hostOf(ES, cpu.getRegister(EDI), true),
        value = cpu.getRegister(EAX);
      if (bytes === 1 || value === 0) memory.fill(to, value, n * bytes);
      else {
        if (bytes === 2) cpu.data.setUint16(to, value, true);
        else cpu.data.setUint32(to, value, true);
        repeatPattern(memory, to, bytes, n * bytes);
      }
      advance(EDI, n * bytes);
      cpu.setRegister(ECX, cpu.getRegister(ECX) - n);
      cpu.set('pollBudget', cpu.get('pollBudget') - (n >> BULK_COST_SHIFT));
    },

    selector: (index) => cpu.segment(index, 'selector'),
    loadSegment: (index, selector) => {
      segments.load(index, selector);
      if (index === SS) shadow(SHADOW.stack);
    },
    loadLdt: (selector) => {
      protectedOnly();
      segments.loadLdt(selector);
    },
    loadTaskRegister: (selector) => {
      protectedOnly();
      segments.loadTaskRegister(selector);
    },
    descriptorVisible: (kind, selector) => Number(segments.visible(kind, selector)),
    descriptorValue: (kind, selector) => segments.value(kind, selector),
    gdtBase: () => cpu.get('gdtBase'),
    gdtLimit: () => cpu.get('gdtLimit'),
    idtBase: () => cpu.get('idtBase'),
    idtLimit: () => cpu.get('idtLimit'),
    loadGdt: (base, limit) => {
      cpu.set('gdtBase', base);
      cpu.set('gdtLimit', limit);
    },
    loadIdt: (base, limit) => {
      cpu.set('idtBase', base);
      cpu.set('idtLimit', limit);
    },

    callFar: (selector, offset, size) => transfers.callFar(selector & 0xffff, offset >>> 0, size),
    jumpFar: (selector, offset) => transfers.jumpFar(selector & 0xffff, offset >>> 0),
    returnFar: (size, release) => transfers.returnFar(size, release),
    returnInterrupt: (size) => transfers.returnInterrupt(size),
    softwareInterrupt: (vector, how) => {
      transfers.deliver(vector, how === INT1 ? 'trap' : 'software', -1);
      transfers.interrupted = true;
    },
    enterSystem: () => transfers.enterSystem(),
    exitSystem: () => transfers.exitSystem(),
    flagsChanged: () => transfers.flagsChanged(),
    shadowNext: () => shadow(SHADOW.interrupts),

    readControl: (n) => system.readControl(n),
    writeControl: (n, value) => system.writeControl(n, value >>> 0),
    readDebug: (n) => system.readDebug(n),
    writeDebug: (n, value) => system.writeDebug(n, value),
    loadMachineStatus: (value) => system.loadMachineStatus(value),
    clearTaskSwitched: () => system.clearTaskSwitched(),
    invalidatePage: (linear) => mmu.invalidate(linear >>> 0),
    readMsr: () => system.readMsr(),
    writeMsr: () => system.writeMsr(),
    readTimestamp: () => system.readTimestamp(),
    identify: () => system.identify(),
    halt: () => {
      cpu.set('halted', 1);
      cpu.set('exit', 1);
      cpu.set('shadow', SHADOW.none);
    },

    checkPort: (port, bytes) => system.checkPort(port, bytes),
    portIn: (port, bytes) => cpu.bus.portRead(port, bytes as 4),
    portOut: (port, bytes, value) =>
      cpu.bus.portWrite(port, bytes as 4, (bytes === 4 ? value : value & (bytes === 1 ? 0xff : 0xffff)) >>> 0),

    /** #UD or #NM for a unit that CR0 and CR4 close (SDM vol. 3, table 2-2 and 13.1). */
    unitUnavailable: (unit) => {
      const cr0 = cpu.get('cr0');
      // FXSAVE and FXRSTOR answer EM as the x87 does.
      const isX87 = unit === UNIT.x87 || unit === UNIT.fxsr;
      if (!isX87 && (cr0 & CR0.EM) !== 0) cpu.raise(EXCEPTION.UD);
      if (unit === UNIT.sse && (cpu.get('cr4') & CR4.OSFXSR) === 0) cpu.raise(EXCEPTION.UD);
      cpu.raise(EXCEPTION.NM);
    },
    /** An unmasked SIMD exception: #XM where the system has said that it handles that (SDM vol. 1, 11.5). */
    simdException: () => cpu.raise((cpu.get('cr4') & CR4.OSXMMEXCPT) !== 0 ? EXCEPTION.XM : EXCEPTION.UD),
    /**
     * An unmasked x87 exception waits: #MF with CR0.NE, else the processor stands still until the interrupt that the board makes
     * of FERR# is taken, or the board asserts IGNNE# (SDM vol. 1, D.2).
     */
    reportFpuError: () => {
      if ((cpu.get('cr0') & CR0.NE) !== 0) cpu.raise(EXCEPTION.MF);
      if (cpu.bus.fpuError?.(true) === false) cpu.raise(HOLD);
    },
    fpuErrorCleared: () => void cpu.bus.fpuError?.(false),
  };

  function shadow(kind: number): void {
    cpu.set('exit', 1);
    cpu.set('shadow', kind);
  }
  function protectedOnly(): void {
    if (!cpu.isProtected) cpu.raise(EXCEPTION.UD);
  }
}
