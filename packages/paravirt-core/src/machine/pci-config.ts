/** The 256 bytes of configuration space of one PCI function, type 0 header (PCI Local Bus 3.0, chapter 6). */
import { assert } from '@tomei/kit';
import type { PciBar, PciCapability, PciFunction, Width } from './device.ts';
import { romBar } from './pci-rom.ts';
import { OPEN_BUS } from './port-space.ts';

export const PCI_VENDOR_ID = 0x00;
export const PCI_DEVICE_ID = 0x02;
export const PCI_COMMAND = 0x04;
export const PCI_STATUS = 0x06;
export const PCI_REVISION = 0x08;
export const PCI_CACHE_LINE_SIZE = 0x0c;
export const PCI_LATENCY_TIMER = 0x0d;
export const PCI_HEADER_TYPE = 0x0e;
export const PCI_BAR0 = 0x10;
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c;
export const PCI_SUBSYSTEM_ID = 0x2e;
export const PCI_ROM = 0x30;
export const PCI_CAPABILITIES = 0x34;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;
/** First byte after the header. */
export const PCI_SPECIFIC = 0x40;
export const PCI_CONFIG_SIZE = 256;

/** Command register (6.2.2). */
export const COMMAND_IO = 1 << 0;
export const COMMAND_MEMORY = 1 << 1;
export const COMMAND_MASTER = 1 << 2;
const COMMAND_PARITY = 1 << 6;
const COMMAND_SERR = 1 << 8;
export const COMMAND_INTX_DISABLE = 1 << 10;
const COMMAND_WRITABLE =
  COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_PARITY | COMMAND_SERR | COMMAND_INTX_DISABLE;

/** Status register (6.2.3). */
const STATUS_INTERRUPT = 1 << 3;
const STATUS_CAPABILITIES = 1 << 4;

/** Base address registers (6.2.5.1). */
const BAR_IO = 1 << 0;
const BAR_PREFETCHABLE = 1 << 3;
/** Expansion ROM base address register (6.2.5.2). */
const ROM_ENABLE = 1 << 0;
/** The number by which windows name the expansion ROM. */
const ROM_INDEX = 6;
/** Windows that device-specific registers place are named by numbers from here up. */
const WINDOW_INDEX = 7;

interface PlacedCapability {
  /** Where the pointer to it lies. */
  readonly link: number;
  readonly base: number;
  readonly capability: PciCapability;
}

/** Where a BAR decodes now. */
export interface BarWindow {
  /** 0..5, 6 for the expansion ROM, and from 7 up the function's own windows. */
  readonly index: number;
  readonly bar: PciBar;
  readonly base: number;
}

export class PciConfigSpace {
  readonly function: PciFunction;
  private readonly bytes = new Uint8Array(PCI_CONFIG_SIZE);
  private readonly initial: Uint8Array;
  /** Bits the guest may change. */
  private readonly writable = new Uint8Array(PCI_CONFIG_SIZE);
  private readonly capabilities: readonly PlacedCapability[];
  private readonly rom: PciBar | undefined;
  /** Whether the function asserts its INTx pin; shown in the status register. */
  interruptAsserted = false;

  constructor(fn: PciFunction) {
    this.function = fn;
    this.rom = fn.rom === undefined ? undefined : romBar(fn.rom.bytes);
    this.layHeader(fn);
    this.capabilities = this.layCapabilities(fn);
    this.initial = this.bytes.slice();
  }

  reset(): void {
    this.bytes.set(this.initial);
  }

  /** Reads naturally sized and aligned; unsigned. */
  read(offset: number, width: Width): number {
    const placed = this.capabilityAt(offset);
    if (placed?.capability.read !== undefined) {
      const { base, capability } = placed;
      if (offset >= base + 2) return (capability.read!(offset - base, width) & OPEN_BUS[width]) >>> 0;
      // Identifier and next pointer with the two bytes of the body beside them.
      if (width === 4) return this.read(offset, 2) + (capability.read!(2, 2) & OPEN_BUS[2]) * 0x1_0000;
    }
    let value = 0;
    for (let i = 0; i < width; i++) value += this.byte(offset + i) * 2 ** (8 * i);
    return value;
  }

  /** Writes naturally sized and aligned; read-only bits keep their value. */
  write(offset: number, width: Width, value: number): void {
    let specific = false;
    for (let i = 0; i < width; i++) {
      const at = offset + i;
      const mask = this.writable[at]!;
      this.bytes[at] = (this.bytes[at]! & ~mask) | ((value >>> (8 * i)) & mask);
      specific ||= this.function.specific?.[at] !== undefined;
    }
    const placed = this.capabilityAt(offset);
    if (placed !== undefined) {
      if (offset >= placed.base + 2) placed.capability.write?.(offset - placed.base, width, value);
      else if (width === 4) placed.capability.write?.(2, 2, value >>> 16);
    }
    if (specific) this.function.configured?.(offset, width, value);
  }

  get command(): number {
    return this.read(PCI_COMMAND, 2);
  }

  /** Whether the guest lets the function reach memory, which messages are written to as well. */
  get isBusMaster(): boolean {
    return (this.bytes[PCI_COMMAND]! & COMMAND_MASTER) !== 0;
  }

  /** Windows of all BARs whose space is enabled and that hold an address a decoder could match. */
  windows(): BarWindow[] {
    const windows: BarWindow[] = [];
    const add = (index: number, bar: PciBar, register: number): void => {
      const io = bar.space === 'io';
      if ((this.command & (io ? COMMAND_IO : COMMAND_MEMORY)) === 0) return;
      const value = this.read(register, 4);
      const base = value - (value % bar.size);
      // An address of 0 means "not placed"; all ones is what sizing leaves for a moment.
      if (base === 0 || base + bar.size > (io ? 0x1_0000 : 0x1_0000_0000)) return;
      windows.push({ index, bar, base });
    };
    for (const [index, bar] of this.function.bars.entries())
      if (bar !== undefined) add(index, bar, PCI_BAR0 + 4 * index);
    if (this.rom !== undefined && this.bytes[PCI_ROM]! & ROM_ENABLE) add(ROM_INDEX, this.rom, PCI_ROM);
    for (const [i, window] of (this.function.windows ?? []).entries()) {
      const base = window.base((offset, width) => this.read(offset, width));
      if (base === undefined || base === 0 || base + window.size > 0x1_0000) continue;
      windows.push({ index: WINDOW_INDEX + i, bar: window, base });
    }
    return windows;
  }

  /** Places a BAR as firmware does. */
  place(index: number, base: number): void {
    this.write(PCI_BAR0 + 4 * index, 4, base);
  }

  save(): Uint8Array {
    return this.bytes.slice();
  }

  /** What is wrong with a saved configuration space, or undefined: read-only bits must be those of this function. */
  refuse(saved: Uint8Array): string | undefined {
    for (let i = 0; i < PCI_CONFIG_SIZE; i++) {
      if (((saved[i]! ^ this.initial[i]!) & ~this.writable[i]!) !== 0) {
        return `configuration byte 0x${i.toString(16)} differs in bits that are read-only`;
      }
    }
    return undefined;
  }

  /** A configuration space that was saved before this function had the last of its capabilities, with them. */
  withLaterCapabilities(saved: Uint8Array): Uint8Array {
    const { laterCapabilities = 0 } = this.function;
    const whole = saved.slice();
    if (laterCapabilities > 0) whole[PCI_STATUS] = this.initial[PCI_STATUS]!;
    for (const { link, base, capability } of this.capabilities.slice(this.capabilities.length - laterCapabilities)) {
      whole[link] = base;
      whole.set(this.initial.subarray(base, base + 2 + capability.body.length), base);
    }
    return whole;
  }

  load(saved: Uint8Array): void {
    this.bytes.set(saved);
  }

  private byte(offset: number): number {
    const value = this.bytes[offset]!;
    return offset === PCI_STATUS && this.interruptAsserted ? value | STATUS_INTERRUPT : value;
  }

  private capabilityAt(offset: number): PlacedCapability | undefined {
    if (offset < PCI_SPECIFIC) return undefined;
    return this.capabilities.find((c) => offset >= c.base && offset < c.base + 2 + c.capability.body.length);
  }

  private put(offset: number, width: Width, value: number, writable = 0): void {
    for (let i = 0; i < width; i++) {
      this.bytes[offset + i] = (value >>> (8 * i)) & 0xff;
      this.writable[offset + i] = (writable >>> (8 * i)) & 0xff;
    }
  }

  private layHeader(fn: PciFunction): void {
    this.put(PCI_VENDOR_ID, 2, fn.vendorId);
    this.put(PCI_DEVICE_ID, 2, fn.deviceId);
    this.put(PCI_COMMAND, 2, 0, COMMAND_WRITABLE);
    this.put(PCI_REVISION, 4, ((fn.classCode << 8) | fn.revision) >>> 0);
    this.put(PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
    this.put(PCI_LATENCY_TIMER, 1, 0, 0xff);
    this.put(PCI_HEADER_TYPE, 1, fn.headerType ?? 0);
    for (const [index, bar] of fn.bars.entries()) {
      if (bar === undefined) continue;
      const smallest = bar.space === 'io' ? 4 : 16;
      assert(
        bar.size >= smallest && (bar.size & (bar.size - 1)) === 0,
        `BAR ${index} has a size that is a power of two`,
      );
      const type = bar.space === 'io' ? BAR_IO : bar.prefetchable === true ? BAR_PREFETCHABLE : 0;
      this.put(PCI_BAR0 + 4 * index, 4, type, -bar.size >>> 0);
    }
    if (this.rom !== undefined) this.put(PCI_ROM, 4, 0, (-this.rom.size | ROM_ENABLE) >>> 0);
    this.put(PCI_SUBSYSTEM_VENDOR_ID, 2, fn.subsystemVendorId ?? 0);
    this.put(PCI_SUBSYSTEM_ID, 2, fn.subsystemId ?? 0);
    this.put(PCI_INTERRUPT_LINE, 1, 0, fn.interruptPin === undefined ? 0 : 0xff);
    this.put(PCI_INTERRUPT_PIN, 1, fn.interruptPin ?? 0);
    for (const [offset, value] of Object.entries(fn.specific ?? {})) {
      assert(Number(offset) >= PCI_SPECIFIC, `device-specific register ${offset} lies after the header`);
      this.put(Number(offset), 1, value, fn.specificWritable?.[Number(offset)] ?? 0xff);
    }
  }

  /** Chains the capabilities from 0x40 up, dword-aligned, around the device-specific registers (6.7). */
  private layCapabilities(fn: PciFunction): PlacedCapability[] {
    const placed: PlacedCapability[] = [];
    let link = PCI_CAPABILITIES;
    let next = PCI_SPECIFIC;
    for (const capability of fn.capabilities ?? []) {
      const length = 2 + capability.body.length;
      const taken = (at: number): boolean => fn.specific?.[at] !== undefined;
      while (Array.from({ length }, (_, i) => next + i).some(taken)) next += 4;
      assert(next + length <= PCI_CONFIG_SIZE, 'the capabilities fit into configuration space');
      this.bytes[link] = next;
      this.bytes[next] = capability.id;
      this.bytes.set(capability.body, next + 2);
      for (let i = 2; i < length; i++) if (capability.writable?.(i) === true) this.writable[next + i] = 0xff;
      placed.push({ link, base: next, capability });
      link = next + 1;
      next = (next + length + 3) & ~3;
    }
    if (placed.length > 0) this.bytes[PCI_STATUS] = this.bytes[PCI_STATUS]! | STATUS_CAPABILITIES;
    return placed;
  }
}
