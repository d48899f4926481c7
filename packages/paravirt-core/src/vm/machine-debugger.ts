/**
 * What a debugger outside of the guest sees and does: registers, memory by linear address, breakpoints, steps. It leaves no trace in
 * the guest: memory is read without marking page tables, and breakpoints are in no instruction's place. Call between slices.
 */
import { CS } from '../isa/build.ts';
import { CR0, GUEST_FAULT } from '../core/cpu.ts';
import { LONGEST_WATCH, type DebuggerStop, type Watch } from '../core/debug-registers.ts';
import { OFFSET } from '../core/layout.ts';
import { PageWalker } from '../core/paging.ts';
import type { Processor } from '../core/processor.ts';
import type { Machine } from './machine.ts';

/** Registers of a group, in the order of their numbers; x87 registers count from the top of the stack. */
export type DebugRegister =
  | { readonly kind: 'general' | 'x87' | 'xmm' | 'segment'; readonly index: number }
  | { readonly kind: 'eip' | 'eflags' | 'mxcsr' | 'x87-tags' }
  | { readonly kind: 'field'; readonly name: 'fpuControl' | 'fpuCs' | 'fpuIp' | 'fpuDs' | 'fpuDp' | 'fpuOpcode' }
  | { readonly kind: 'x87-status' };

const PAGE = 4096;
/** Status word: the stack's top. */
const TOP_SHIFT = 11;
const EMPTY = 3;

export class MachineDebugger {
  private readonly machine: Machine;
  /** By processor. */
  private readonly walkers: readonly PageWalker[];
  /** The one that is looked at; the one whose turn it is when undefined. */
  private selected: number | undefined;

  constructor(machine: Machine) {
    this.machine = machine;
    this.walkers = machine.processors.map(
      ({ cpu }) => new PageWalker(cpu, { read32: (address) => this.physical32(address), set32: () => {} }),
    );
  }

  // --- processors

  /** How many there are. */
  get processors(): number {
    return this.machine.processors.length;
  }
  /** The number of the one whose turn it is: it stopped, and goes on first. */
  get acting(): number {
    return this.machine.processorIndex;
  }
  /** Registers and memory are those of this one from now on; with undefined, of the one whose turn it is. False when there is none. */
  select(index: number | undefined): boolean {
    if (index !== undefined && this.machine.processors[index] === undefined) return false;
    this.selected = index;
    return true;
  }
  private get index(): number {
    return this.selected ?? this.acting;
  }
  private get processor(): Processor {
    return this.machine.processors[this.index]!;
  }

  // --- registers

  /** Little-endian bytes: 4 of a general register, 10 of an x87 one, 16 of an XMM one. */
  read(register: DebugRegister): Uint8Array {
    const { cpu } = this.processor;
    switch (register.kind) {
      case 'general':
        return word(cpu.getRegister(register.index));
      case 'segment':
        return word(cpu.segment(register.index, 'selector'));
      case 'eip':
        return word(cpu.get('eip'));
      case 'eflags':
        return word(cpu.eflags);
      case 'mxcsr':
        return word(cpu.get('mxcsr'));
      case 'field':
        return word(cpu.get(register.name));
      case 'x87-status':
        return word((cpu.get('fpuStatus') & ~(7 << TOP_SHIFT)) | (cpu.get('fpuTop') << TOP_SHIFT));
      case 'x87-tags':
        return word(this.tagWord());
      case 'x87':
        return cpu.u8.slice(this.x87(register.index), this.x87(register.index) + 10);
      case 'xmm': {
        const at = cpu.base + OFFSET.xmm + register.index * 16;
        return cpu.u8.slice(at, at + 16);
      }
    }
  }
  /** False when this register cannot be set so. `bytes` are as many as `read` gives. */
  write(register: DebugRegister, bytes: Uint8Array): boolean {
    const { cpu } = this.processor;
    const value = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0, true);
    switch (register.kind) {
      case 'general':
        cpu.setRegister(register.index, value);
        return true;
      case 'segment':
        return this.writeSegment(register.index, value);
      case 'eip':
        cpu.set('eip', value);
        cpu.set('halted', 0);
        return true;
      case 'eflags':
        cpu.eflags = value;
        cpu.refreshMode();
        return true;
      case 'mxcsr':
        if ((value & ~0xffff) !== 0) return false;
        cpu.set('mxcsr', value);
        return true;
      case 'field':
        cpu.set(register.name, value & (register.name === 'fpuIp' || register.name === 'fpuDp' ? -1 : 0xffff));
        return true;
      case 'x87-status':
        cpu.set('fpuStatus', value & 0xffff & ~(7 << TOP_SHIFT));
        cpu.set('fpuTop', (value >> TOP_SHIFT) & 7);
        return true;
      case 'x87-tags': {
        let empty = 0;
        for (let n = 0; n < 8; n++) if (((value >> (2 * n)) & 3) === EMPTY) empty |= 1 << n;
        cpu.set('fpuTags', empty);
        return true;
      }
      case 'x87':
        cpu.u8.set(bytes.subarray(0, 10), this.x87(register.index));
        return true;
      case 'xmm':
        cpu.u8.set(bytes.subarray(0, 16), cpu.base + OFFSET.xmm + register.index * 16);
        return true;
    }
  }
  private x87(index: number): number {
    const { cpu } = this.processor;
    return cpu.base + OFFSET.fpr + ((cpu.get('fpuTop') + index) & 7) * 16;
  }
  /** The tag word of FSTENV (SDM vol. 1, 8.1.7); other than empty a tag follows from its register. */
  private tagWord(): number {
    const { cpu } = this.processor;
    let tags = 0;
    for (let n = 0; n < 8; n++) {
      const at = cpu.base + OFFSET.fpr + n * 16,
        exponent = cpu.data.getUint16(at + 8, true) & 0x7fff,
        isZero = exponent === 0 && cpu.data.getBigUint64(at, true) === 0n,
        isNormal = exponent !== 0 && exponent !== 0x7fff && (cpu.u8[at + 7]! & 0x80) !== 0;
      const tag = (cpu.get('fpuTags') & (1 << n)) !== 0 ? EMPTY : isZero ? 1 : isNormal ? 0 : 2;
      tags |= tag << (2 * n);
    }
    return tags;
  }
  /** As MOV does, CS not at all outside of real mode: what the guest could not load is refused. */
  private writeSegment(index: number, selector: number): boolean {
    const { cpu, segments } = this.processor;
    if (cpu.segment(index, 'selector') === selector) return true;
    if (selector > 0xffff || (cpu.isProtected && index === CS)) return false;
    try {
      segments.load(index, selector);
      return true;
    } catch (error) {
      if (error !== GUEST_FAULT) throw error;
      cpu.set('fault', 0);
      return false;
    }
  }

  // --- memory

  private physical32(address: number): number {
    const { cpu } = this.processor;
    const host = address < 2 ** 32 ? cpu.physical.hostPage(address) : 0;
    return host === 0 ? -1 : cpu.i32[(host + (address & 0xfff)) >>> 2]!;
  }
  /** The guest-physical address of a linear one, or -1. Marks nothing in page tables. */
  physicalOf(linear: number): number {
    const { cpu } = this.processor;
    if ((cpu.get('cr0') & CR0.PG) === 0) return (linear & cpu.physical.addressMask) >>> 0;
    const walker = this.walkers[this.index]!;
    return walker.walk(linear, false, false, false) ? walker.physical : -1;
  }
  /** Where a linear address lies in linear memory of the host, or 0: it is not mapped, or is a device's. */
  private hostOf(linear: number): { physical: number; host: number } {
    const { cpu } = this.processor,
      physical = this.physicalOf(linear);
    const page = physical < 0 || physical >= 2 ** 32 ? 0 : cpu.physical.hostPage(physical);
    return { physical, host: page === 0 ? 0 : page + (physical & 0xfff) };
  }
  /** Bytes at a linear address, as far as there is memory: none of a device is touched. */
  readMemory(linear: number, length: number): Uint8Array {
    const { u8 } = this.processor.cpu,
      bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = (linear + done) >>> 0,
        { host } = this.hostOf(at),
        n = Math.min(length - done, PAGE - (at % PAGE));
      if (host === 0) return bytes.subarray(0, done);
      bytes.set(u8.subarray(host, host + n), done);
      done += n;
    }
    return bytes;
  }
  /** Puts bytes into memory, be it read-only to the guest or not. False, with nothing written, where some of it is none. */
  writeMemory(linear: number, bytes: Uint8Array): boolean {
    const { cpu } = this.processor;
    const parts: { host: number; physical: number; from: number; to: number }[] = [];
    for (let done = 0; done < bytes.length;) {
      const at = (linear + done) >>> 0,
        n = Math.min(bytes.length - done, PAGE - (at % PAGE)),
        { host, physical } = this.hostOf(at);
      if (host === 0) return false;
      parts.push({ host, physical, from: done, to: done + n });
      done += n;
    }
    for (const { host, physical, from, to } of parts) {
      cpu.u8.set(bytes.subarray(from, to), host);
      for (const { code } of this.machine.processors) code.written(physical, to - from);
    }
    return true;
  }

  // --- breakpoints

  addCode(linear: number): void {
    this.everywhere(({ codeStops }) => codeStops.add(linear >>> 0));
  }
  removeCode(linear: number): void {
    this.everywhere(({ codeStops }) => codeStops.delete(linear >>> 0));
  }
  /** False when it is longer than a watch may be. The same object removes it. */
  addWatch(watch: Watch): boolean {
    if (watch.bytes < 1 || watch.bytes > LONGEST_WATCH) return false;
    this.everywhere(({ watches }) => watches.add(watch));
    return true;
  }
  removeWatch(watch: Watch): void {
    this.everywhere(({ watches }) => watches.delete(watch));
  }
  clear(): void {
    this.everywhere((debug) => {
      debug.codeStops.clear();
      debug.watches.clear();
      debug.stop = undefined;
    });
  }
  private everywhere(change: (debug: Processor['debug']) => void): void {
    for (const { debug } of this.machine.processors) {
      change(debug);
      debug.refresh();
    }
  }
  /** Why the machine came back with 'breakpoint'; told once. */
  takeStop(): DebuggerStop | undefined {
    const { debug } = this.machine.processor,
      { stop } = debug;
    debug.stop = undefined;
    return stop;
  }

  // --- going on

  /** The breakpoint where the processor stands is passed once, as the debugger has seen it. */
  pass(): void {
    const { cpu, debug } = this.machine.processor;
    debug.passing = (cpu.segment(CS, 'base') + cpu.get('eip')) >>> 0;
  }
  get isHalted(): boolean {
    return this.processor.cpu.get('halted') !== 0;
  }

  /** Registers that the protocol has no place for, for a person. */
  describe(): string {
    const { cpu } = this.processor;
    const hex = (n: number, digits = 8): string => (n >>> 0).toString(16).padStart(digits, '0');
    const dr = (n: number): string => hex(cpu.i32[(cpu.base + OFFSET.dr) / 4 + n]!);
    const segments = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDTR', 'TR'].map((name, i) => {
      const part = (p: 'selector' | 'base' | 'limit' | 'attributes'): number => cpu.segment(i, p);
      return `${name.padEnd(4)} ${hex(part('selector'), 4)} base ${hex(part('base'))} limit ${hex(part('limit'))} attributes ${hex(part('attributes'), 4)}`;
    });
    return [
      `EIP ${hex(cpu.get('eip'))} EFLAGS ${hex(cpu.eflags)} CPL ${cpu.get('cpl')}${this.isHalted ? ' halted' : ''}`,
      `CR0 ${hex(cpu.get('cr0'))} CR2 ${hex(cpu.get('cr2'))} CR3 ${hex(cpu.get('cr3'))} CR4 ${hex(cpu.get('cr4'))}`,
      `GDTR ${hex(cpu.get('gdtBase'))} ${hex(cpu.get('gdtLimit'), 4)} IDTR ${hex(cpu.get('idtBase'))} ${hex(cpu.get('idtLimit'), 4)}`,
      ...segments,
      `DR0 ${dr(0)} DR1 ${dr(1)} DR2 ${dr(2)} DR3 ${dr(3)} DR6 ${dr(6)} DR7 ${dr(7)}`,
      `instructions ${this.processor.instructions}`,
    ].join('\n');
  }
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
  return bytes;
}
