/**
 * The tables of the Intel MultiProcessor Specification 1.4 (chapter 4) for this board: by them a kernel that runs
 * without ACPI finds its processors, drives the I/O APIC and knows which input every interrupt arrives at. Virtual wire
 * mode: there is no IMCR.
 */
import { assert } from '@tomei/kit';

export const LOCAL_APIC_ADDRESS = 0xfee0_0000;
export const IO_APIC_ADDRESS = 0xfec0_0000;
/** Interrupt inputs of an 82093AA. */
export const IO_APIC_INPUTS = 24;
/** ISA interrupt 0, the timer, arrives where the cascade of the 8259 pair would be, as in default configuration 5. */
const TIMER_INPUT = 2;
const CASCADE = 2;

/**
 * First byte of the BIOS area that systems search in steps of 16 (4, "Basic MP Configuration"), and the default place.
 */
const BIOS_AREA = 0xf_0000;
const BIOS_AREA_END = 0x10_0000;

const FLOATING_POINTER_BYTES = 16;
const HEADER_BYTES = 44;
/** Specification 1.4. */
const SPEC_REVISION = 4;

/** Entry types (4.3); a table holds them in this order. */
const ENTRY_PROCESSOR = 0;
const ENTRY_BUS = 1;
const ENTRY_IO_APIC = 2;
const ENTRY_IO_INTERRUPT = 3;
const ENTRY_LOCAL_INTERRUPT = 4;

const PROCESSOR_ENABLED = 1;
const PROCESSOR_BOOTSTRAP = 2;
const IO_APIC_ENABLED = 1;

/** Bus identifiers. PCI bus 0 must have its own number (4.3.2). */
const BUS_PCI = 0;
const BUS_ISA = 1;

/** Interrupt types (4.3.4). */
const INT = 0;
const NMI = 1;
const EXT_INT = 3;
/** Polarity and trigger mode as is usual on the source bus: for ISA active high, edge. */
const CONFORMS = 0;
const ACTIVE_LOW = 0b11;
const LEVEL = 0b11 << 2;

/** Versions as the chips report them: an integrated local APIC, an 82093AA. */
const LOCAL_APIC_VERSION = 0x14;
const IO_APIC_VERSION = 0x11;
const ALL_LOCAL_APICS = 0xff;

/** INTA# to INTD# of a slot of PCI bus 0 and the I/O APIC input that it is wired to. */
export interface PciInterrupt {
  readonly slot: number;
  /** 1 is INTA#, as in a function's interrupt pin register. */
  readonly pin: 1 | 2 | 3 | 4;
  readonly input: number;
}

export interface MpTableOptions {
  /**
   * How many processors there are; their local APICs have the identifiers 0, 1, .. and 0 is the bootstrap processor.
   */
  readonly processors: number;
  readonly pciInterrupts: readonly PciInterrupt[];
  /**
   * CPUID.1: EAX (family, model, stepping) and EDX. Informational: a Pentium Pro with FPU, CX8 and APIC when absent.
   */
  readonly signature?: number;
  readonly features?: number;
  /**
   * Where the tables go: a multiple of 16 in 0xF0000..0xFFFFF or in the extended BIOS data area. 0xF0000 when absent.
   */
  readonly address?: number;
}

export interface MpTable {
  /** Where `bytes` belong, guest-physical. The floating pointer comes first. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

/**
 * The identifier that the tables give the I/O APIC: the first that no local APIC has, within the four bits of its
 * register.
 */
export const ioApicId = (processors: number): number => Math.min(processors, 15);

/**
 * The floating pointer and the configuration table. An ISA interrupt whose input PCI uses is PCI's and has no entry of
 * its own.
 */
export function mpTable(options: MpTableOptions): MpTable {
  const { processors, pciInterrupts, signature = 0x610, features = 0x301, address = BIOS_AREA } = options;
  assert(processors >= 1 && processors <= 254, `${processors} processors have local APIC identifiers of 8 bits`);
  for (const { slot, input } of pciInterrupts) {
    assert(
      slot >= 0 && slot < 32 && input >= 0 && input < IO_APIC_INPUTS,
      `PCI slot ${slot} arrives at input ${input}`,
    );
  }
  const entries = [
    ...Array.from({ length: processors }, (_, id) => processorEntry(id, signature, features)),
    busEntry(BUS_PCI, 'PCI'),
    busEntry(BUS_ISA, 'ISA'),
    ioApicEntry(ioApicId(processors)),
    ...interruptEntries(pciInterrupts, ioApicId(processors)),
    interruptEntry(ENTRY_LOCAL_INTERRUPT, EXT_INT, CONFORMS, BUS_ISA, 0, ALL_LOCAL_APICS, 0),
    interruptEntry(ENTRY_LOCAL_INTERRUPT, NMI, CONFORMS, BUS_ISA, 0, ALL_LOCAL_APICS, 1),
  ];
  const table = configurationTable(entries);
  const bytes = new Uint8Array(FLOATING_POINTER_BYTES + table.length);
  bytes.set(floatingPointer(address + FLOATING_POINTER_BYTES));
  bytes.set(table, FLOATING_POINTER_BYTES);
  assert(address % 16 === 0, 'systems look for the floating pointer at multiples of 16');
  assert(address < BIOS_AREA || address + bytes.length <= BIOS_AREA_END, 'the tables end within the BIOS area');
  return { address, bytes };
}

function interruptEntries(pciInterrupts: readonly PciInterrupt[], ioApic: number): Uint8Array[] {
  const taken = new Set(pciInterrupts.map((interrupt) => interrupt.input));
  const isa = Array.from({ length: 16 }, (_, irq) => ({ irq, input: irq === 0 ? TIMER_INPUT : irq }))
    .filter(({ irq, input }) => irq !== CASCADE && !taken.has(input))
    .map(({ irq, input }) => interruptEntry(ENTRY_IO_INTERRUPT, INT, CONFORMS, BUS_ISA, irq, ioApic, input));
  // Source interrupt of PCI (D.3): device number in bits 6:2, INTA# to INTD# in bits 1:0.
  const pci = pciInterrupts.map(({ slot, pin, input }) =>
    interruptEntry(ENTRY_IO_INTERRUPT, INT, ACTIVE_LOW | LEVEL, BUS_PCI, (slot << 2) | (pin - 1), ioApic, input),
  );
  return [...isa, ...pci];
}

/** MP floating pointer structure (4.1). */
function floatingPointer(table: number): Uint8Array {
  const { bytes, view } = block(FLOATING_POINTER_BYTES);
  put(bytes, 0, '_MP_');
  view.setUint32(4, table, true);
  view.setUint8(8, FLOATING_POINTER_BYTES / 16);
  view.setUint8(9, SPEC_REVISION);
  // Feature bytes stay 0: there is a configuration table, and virtual wire mode is in force.
  bytes[10] = checksum(bytes);
  return bytes;
}

/** MP configuration table header (4.2) and the entries. */
function configurationTable(entries: readonly Uint8Array[]): Uint8Array {
  const length = entries.reduce((sum, entry) => sum + entry.length, HEADER_BYTES);
  const { bytes, view } = block(length);
  put(bytes, 0, 'PCMP');
  view.setUint16(4, length, true);
  view.setUint8(6, SPEC_REVISION);
  put(bytes, 8, 'TOMEI'.padEnd(8));
  put(bytes, 16, 'I440FX'.padEnd(12));
  view.setUint16(34, entries.length, true);
  view.setUint32(36, LOCAL_APIC_ADDRESS, true);
  let at = HEADER_BYTES;
  for (const entry of entries) {
    bytes.set(entry, at);
    at += entry.length;
  }
  bytes[7] = checksum(bytes);
  return bytes;
}

function processorEntry(id: number, signature: number, features: number): Uint8Array {
  const { bytes, view } = block(20);
  const flags = PROCESSOR_ENABLED | (id === 0 ? PROCESSOR_BOOTSTRAP : 0);
  bytes.set([ENTRY_PROCESSOR, id, LOCAL_APIC_VERSION, flags]);
  view.setUint32(4, signature, true);
  view.setUint32(8, features, true);
  return bytes;
}

function busEntry(id: number, type: string): Uint8Array {
  const { bytes } = block(8);
  bytes.set([ENTRY_BUS, id]);
  put(bytes, 2, type.padEnd(6));
  return bytes;
}

function ioApicEntry(id: number): Uint8Array {
  const { bytes, view } = block(8);
  bytes.set([ENTRY_IO_APIC, id, IO_APIC_VERSION, IO_APIC_ENABLED]);
  view.setUint32(4, IO_APIC_ADDRESS, true);
  return bytes;
}

/** I/O and local interrupt assignment entries have one layout (4.3.4, 4.3.5). */
function interruptEntry(
  entry: number,
  type: number,
  flags: number,
  bus: number,
  irq: number,
  apic: number,
  input: number,
): Uint8Array {
  return Uint8Array.of(entry, type, flags, 0, bus, irq, apic, input);
}

function block(length: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}

function put(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

/** What makes the sum of all bytes 0 modulo 256. */
const checksum = (bytes: Uint8Array): number => -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
