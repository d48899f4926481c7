/** What handlers and the oracle call by name: the core's services, bound to one processor. */
import { EAX, ECX, EDI, EDX, EFLAGS, ES, ESI, EXCEPTION, SS } from '../isa/build.ts';
import { bulkMemory, repeatPattern } from './bulk-memory.ts';
import { CR0, CR4, HOLD, type Cpu } from './cpu.ts';
import type { DebugRegisters } from './debug-registers.ts';
import { MONITOR, NMI, SEGMENT_BYTES, SHADOW, UNIT, segmentOffset } from './layout.ts';
import type { Mmu } from './mmu.ts';
import type { Segmentation } from './segmentation.ts';
import type { SystemRegisters } from './system.ts';
import type { InterruptForm, Transfers } from './transfer.ts';

/** Arguments and results are 32-bit integers; a fault is recorded, and GUEST_FAULT thrown where that is not the end of it. */
export type Service = (a: number, b: number, c: number, d: number) => number | void;

/** How the second argument of `softwareInterrupt` reads. */
const INTERRUPT_FORMS: Readonly<Record<number, InterruptForm>> = { 0: 'n', 1: '1', 3: '3' };

export interface ServiceParts {
  readonly cpu: Cpu;
  readonly mmu: Mmu;
  readonly segments: Segmentation;
  readonly transfers: Transfers;
  readonly system: SystemRegisters;
  readonly debug: DebugRegisters;
}

export function createServices({
  cpu,
  mmu,
  segments,
  transfers,
  system,
  debug,
}: ServiceParts): Readonly<Record<string, Service>> {
  /** Bytes from an offset to the end of its page or segment, whichever comes first; `host` is where it lies. */
  const roomAt = (segment: number, offset: number, host: number): number =>
    Math.min(4096 - (host & 0xfff), cpu.segment(segment, 'limit') - offset + 1);
  /**
   * How many repetitions of a string store, or of a move from `source`, stay within page and segment on each side; 0 for none. Each
   * counts like one done by itself, and the last one is left to do so, so that the work is the same however it is done.
   */
  const bulk = (bytes: number, source?: number): number => {
    // No time for many at once: the instruction is being stepped.
    const budget = cpu.get('pollBudget');
    if (budget === 0) return 0;
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
    return Math.min(count - 1, budget, Math.floor(room / bytes));
  };
  /**
   * INS and OUTS: as many repetitions as the port takes in a row and memory has in one piece. `addressSize` is 16 or 32; the upper
   * halves of the registers stay with 16.
   */
  const bulkPort = (bytes: number, addressSize: number, segment: number, index: number, writes: boolean): void => {
    const { bus } = cpu;
    const move = writes ? bus.portReadBlock?.bind(bus) : bus.portWriteBlock?.bind(bus);
    const budget = bus.blockRoom?.() ?? cpu.get('pollBudget');
    // A breakpoint may be on the port: those on memory keep `hostOf` from answering.
    if (move === undefined || budget === 0 || debug.watchesPorts || (cpu.get('systemFlags') & EFLAGS.DF) !== 0) return;
    const masked = (register: number): number =>
      addressSize === 16 ? cpu.getRegister(register) & 0xffff : cpu.getRegister(register);
    const count = masked(ECX),
      offset = masked(index);
    const host = mmu.hostOf(segment, offset, writes);
    if (host === 0) return;
    const room = Math.min(roomAt(segment, offset, host), (addressSize === 16 ? 0x1_0000 : 2 ** 32) - offset);
    const length = Math.min(count - 1, budget, Math.floor(room / bytes)) * bytes;
    if (length <= 0) return;
    const moved = move(cpu.getRegister(EDX) & 0xffff, bytes as 4, cpu.u8.subarray(host, host + length));
    const put = (register: number, value: number): void => {
      const old = cpu.getRegister(register);
      cpu.setRegister(register, addressSize === 16 ? ((old & ~0xffff) | (value & 0xffff)) >>> 0 : value);
    };
    put(index, offset + moved);
    put(ECX, count - moved / bytes);
    if (bus.blockRoom === undefined) cpu.set('pollBudget', budget - moved / bytes);
  };
  const memory = bulkMemory(cpu.memory);
  const segmentIndex = (address: number): number => (address - cpu.base - segmentOffset(0)) / SEGMENT_BYTES;
  const advance = (register: number, bytes: number): void =>
    cpu.setRegister(register, cpu.getRegister(register) + bytes);

  return {
    readMemory: (s, offset, bytes) => mmu.handlerRead(s, offset, bytes),
    writeMemory: (s, offset, bytes, value) => mmu.handlerWrite(s, offset, bytes, value),
    readForUpdate: (s, offset, bytes) => mmu.handlerUpdate(s, offset, bytes),
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
      cpu.set('pollBudget', cpu.get('pollBudget') - n);
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
      cpu.set('pollBudget', cpu.get('pollBudget') - n);
    },

    bulkIn: (bytes, addressSize) => bulkPort(bytes, addressSize, ES, EDI, true),
    bulkOut: (bytes, addressSize, segmentAddress) =>
      bulkPort(bytes, addressSize, segmentIndex(segmentAddress), ESI, false),

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
    returnInterrupt: (size) => {
      // Even an IRET that faults lets NMIs come again (SDM vol. 3, 6.7.1).
      const nmi = cpu.get('nmi');
      cpu.set('nmi', nmi & NMI.pending);
      if (nmi === (NMI.pending | NMI.blocked)) cpu.set('exit', 1);
      transfers.returnInterrupt(size);
      // RF holds for the next instruction alone, and says something where that has a breakpoint or is interrupted before it begins.
      const system = cpu.get('systemFlags');
      if ((system & EFLAGS.RF) === 0) return;
      if (debug.watchesCode) cpu.set('exit', 1);
      else if (cpu.get('exit') === 0) cpu.set('systemFlags', system & ~EFLAGS.RF);
    },
    softwareInterrupt: (vector, how) => transfers.softwareInterrupt(vector, INTERRUPT_FORMS[how] ?? 'n'),
    changeInterruptFlag: (on) => transfers.virtual.changeInterruptFlag(on !== 0),
    shownFlags: (size) => transfers.virtual.shownFlags(size),
    acceptFlags: (flags, size) => transfers.virtual.acceptFlags(flags, size),
    enterSystem: () => transfers.enterSystem(),
    exitSystem: () => transfers.exitSystem(),
    flagsChanged: () => transfers.flagsChanged(),
    shadowNext: () => shadow(SHADOW.interrupts),

    readControl: (n) => system.readControl(n),
    writeControl: (n, value) => system.writeControl(n, value >>> 0),
    readDebug: (n) => debug.read(n),
    writeDebug: (n, value) => debug.write(n, value),
    loadMachineStatus: (value) => system.loadMachineStatus(value),
    clearTaskSwitched: () => system.clearTaskSwitched(),
    invalidatePage: (linear) => mmu.invalidate(linear >>> 0),
    readMsr: () => system.readMsr(),
    writeMsr: () => system.writeMsr(),
    readTimestamp: () => system.readTimestamp(),
    readCounter: () => system.readCounter(),
    identify: () => system.identify(),
    callHypervisor: () => system.callHypervisor(),
    halt: () => {
      cpu.set('halted', 1);
      cpu.set('exit', 1);
      cpu.set('shadow', SHADOW.none);
    },

    /** #UD for MONITOR and MWAIT above CPL 0, and where CPUID does not show them (SDM vol. 2, MONITOR). */
    checkMonitor: () => {
      if (cpu.get('cpl') !== 0 || !system.monitorUsable) cpu.raise(EXCEPTION.UD);
    },
    /** Waits as HLT does, if MONITOR was armed since the last event. `masked`: interrupts end it whatever IF is. */
    waitMonitored: (masked) => {
      const armed = cpu.get('monitor') === MONITOR.armed;
      cpu.set('monitor', !armed ? MONITOR.none : masked !== 0 ? MONITOR.waitingMasked : MONITOR.waiting);
      if (!armed) return;
      cpu.set('halted', 1);
      cpu.set('exit', 1);
      cpu.set('shadow', SHADOW.none);
    },

    checkPort: (port, bytes) => system.checkPort(port, bytes),
    portIn: (port, bytes) => {
      if (cpu.bus.isTimeExact?.() === false) return 0;
      debug.portAccessed(port, bytes);
      return cpu.bus.portRead(port, bytes as 4);
    },
    portOut: (port, bytes, value) => {
      if (cpu.bus.isTimeExact?.() === false) return;
      debug.portAccessed(port, bytes);
      cpu.bus.portWrite(port, bytes as 4, (bytes === 4 ? value : value & (bytes === 1 ? 0xff : 0xffff)) >>> 0);
    },

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
