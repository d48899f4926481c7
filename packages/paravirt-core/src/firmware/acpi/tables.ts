/** The ACPI tables of the board (ACPI 6.5, 5.2), and how firmware puts them into memory. */
import { assert } from '@tomei/kit';
import { HPET_BASE, GPE0_BASE, PM_BASE, boardTerms, type AcpiBoard } from './dsdt.ts';
import { LOCAL_APIC_ADDRESS, IO_APIC_ADDRESS } from '../mp-table.ts';
import { LoaderScript } from './loader.ts';
import type { FirmwareFile } from '../../machine/firmware-items.ts';

export const TABLES_FILE = 'etc/acpi/tables';
export const RSDP_FILE = 'etc/acpi/rsdp';

const HEADER_BYTES = 36;
const CHECKSUM_AT = 9;
const OEM_ID = 'TOMEI ';
const OEM_TABLE_ID = 'TOMEIPC ';
/** In ASCII, as compilers put their own in. */
const CREATOR = 'TOME';
const VERSION = 1;

/** SCI_INT and the ports of the PIIX4; see devices/acpi-pm.ts, which answers to these. */
const SCI_LINE = 9;
const SMI_COMMAND = 0xb2;
const ACPI_ENABLE = 0xf1;
const ACPI_DISABLE = 0xf0;
const GPE0_BYTES = 4;
const RTC_CENTURY = 0x32;
const RESET_PORT = 0xcf9;
const RESET_VALUE = 0x06;
/** No C2 and C3 state: latencies above what counts (5.2.9, P_LVL2_LAT). */
const NO_C2 = 0xfff;
const NO_C3 = 0xfff;
/** WBINVD works; C1 by HLT; no sleep button of its own; RTC cannot wake from S4 but has no fixed bit; reset register. */
const FADT_FLAGS = (1 << 0) | (1 << 2) | (1 << 5) | (1 << 10);
/** Legacy devices, and a keyboard controller. */
const BOOT_ARCHITECTURE = 0b11;

/** Interrupts of the board that are level-triggered, active high: the router's and the SCI. */
const LEVEL_LINES = [5, 9, 10, 11] as const;
const LEVEL_ACTIVE_HIGH = 0b1101;
const HPET_ID = 0x8086_a201;
const FACS_BYTES = 64;

/** Little-endian bytes put together field by field. */
class Bytes {
  private readonly list: number[] = [];
  get length(): number {
    return this.list.length;
  }
  put(bytes: number, ...values: readonly number[]): this {
    for (const value of values) {
      for (let i = 0; i < bytes; i++) this.list.push(Math.floor(value / 2 ** (8 * i)) & 0xff);
    }
    return this;
  }
  text(s: string): this {
    return this.put(1, ...[...s].map((c) => c.charCodeAt(0)));
  }
  /** A generic address: I/O space, with a width in bits (5.2.3.2). */
  port(base: number, bits: number): this {
    return this.put(1, base === 0 ? 0 : 1, base === 0 ? 0 : bits, 0, 0).put(8, base);
  }
  done(): Uint8Array {
    return Uint8Array.from(this.list);
  }
}

/** A table with its header; the checksum is the loader's. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const header = new Bytes()
    .text(signature)
    .put(4, HEADER_BYTES + body.length)
    .put(1, revision, 0)
    .text(OEM_ID)
    .text(OEM_TABLE_ID)
    .put(4, VERSION)
    .text(CREATOR)
    .put(4, VERSION)
    .done();
  const whole = new Uint8Array(HEADER_BYTES + body.length);
  whole.set(header);
  whole.set(body, HEADER_BYTES);
  return whole;
}
function facs(): Uint8Array {
  const bytes = new Uint8Array(FACS_BYTES);
  bytes.set(new Bytes().text('FACS').put(4, FACS_BYTES).done());
  bytes[32] = 1;
  return bytes;
}
/** Of ACPI 2.0, 244 bytes; pointers are filled in by the loader. */
function fadt(): Uint8Array {
  const body = new Bytes()
    .put(4, 0, 0)
    .put(1, 1, 0)
    .put(2, SCI_LINE)
    .put(4, SMI_COMMAND)
    .put(1, ACPI_ENABLE, ACPI_DISABLE, 0, 0)
    .put(4, PM_BASE, 0, PM_BASE + 4, 0, 0, PM_BASE + 8, GPE0_BASE, 0)
    .put(1, 4, 2, 0, 4, GPE0_BYTES, 0, 0, 0)
    .put(2, NO_C2, NO_C3, 0, 0)
    .put(1, 0, 0, 0, 0, RTC_CENTURY)
    .put(2, BOOT_ARCHITECTURE)
    .put(1, 0)
    .put(4, FADT_FLAGS)
    .port(RESET_PORT, 8)
    .put(1, RESET_VALUE, 0, 0, 0)
    .put(8, 0, 0)
    .port(PM_BASE, 32)
    .port(0, 0)
    .port(PM_BASE + 4, 16)
    .port(0, 0)
    .port(0, 0)
    .port(PM_BASE + 8, 32)
    .port(GPE0_BASE, 8 * GPE0_BYTES)
    .port(0, 0);
  return table('FACP', 3, body.done());
}
function madt(processors: number, ioApicId: number): Uint8Array {
  const body = new Bytes().put(4, LOCAL_APIC_ADDRESS, 1);
  for (let i = 0; i < processors; i++) body.put(1, 0, 8, i, i).put(4, 1);
  body.put(1, 1, 12, ioApicId, 0).put(4, IO_APIC_ADDRESS, 0);
  // The timer arrives at input 2.
  body.put(1, 2, 10, 0, 0).put(4, 2).put(2, 0);
  for (const line of LEVEL_LINES) body.put(1, 2, 10, 0, line).put(4, line).put(2, LEVEL_ACTIVE_HIGH);
  // NMI is at LINT1 of all local APICs.
  body.put(1, 4, 6, 0xff).put(2, 0).put(1, 1);
  return table('APIC', 1, body.done());
}
function hpetTable(): Uint8Array {
  const body = new Bytes().put(4, HPET_ID).put(1, 0, 0, 0, 0).put(8, HPET_BASE).put(1, 0).put(2, 0).put(1, 0);
  return table('HPET', 1, body.done());
}

/** Offsets of the pointers in a FADT. */
const FADT_FACS = 36,
  FADT_DSDT = 40,
  FADT_X_DSDT = 140;
const RSDP_RSDT = 16;
const RSDP_BYTES = 20;

/** The tables as files, and the script by which firmware puts them into memory (QEMU, hw/acpi/bios-linker-loader). */
export function acpiFiles(board: AcpiBoard): { files: readonly FirmwareFile[]; script: LoaderScript } {
  const ioApicId = 0;
  const parts = {
    facs: facs(),
    dsdt: table('DSDT', 1, Uint8Array.from(boardTerms(board))),
    fadt: fadt(),
    madt: madt(board.processors, ioApicId),
    hpet: hpetTable(),
    rsdt: table('RSDT', 1, new Uint8Array(12)),
  };
  const at: Record<string, number> = {};
  let size = 0;
  for (const [key, bytes] of Object.entries(parts)) {
    at[key] = size;
    size += Math.ceil(bytes.length / 16) * 16;
  }
  const tables = new Uint8Array(size),
    view = new DataView(tables.buffer);
  for (const [key, bytes] of Object.entries(parts)) tables.set(bytes, at[key]);
  const rsdp = new Bytes().text('RSD PTR ').put(1, 0).text(OEM_ID).put(1, 0).put(4, at['rsdt']!).done();

  const script = new LoaderScript().allocate(TABLES_FILE, FACS_BYTES, 'high').allocate(RSDP_FILE, 16, 'f-segment');
  const point = (where: number, width: 4 | 8, to: number): void => {
    view.setUint32(where, to, true);
    script.addPointer(TABLES_FILE, TABLES_FILE, where, width);
  };
  const { fadt: f, rsdt } = at;
  point(f! + FADT_FACS, 4, at['facs']!);
  point(f! + FADT_DSDT, 4, at['dsdt']!);
  point(f! + FADT_X_DSDT, 8, at['dsdt']!);
  ['fadt', 'madt', 'hpet'].forEach((key, i) => point(rsdt! + HEADER_BYTES + 4 * i, 4, at[key]!));
  for (const key of ['dsdt', 'fadt', 'madt', 'hpet', 'rsdt'] as const) {
    script.addChecksum(TABLES_FILE, at[key]! + CHECKSUM_AT, at[key]!, parts[key].length);
  }
  script.addPointer(RSDP_FILE, TABLES_FILE, RSDP_RSDT, 4);
  script.addChecksum(RSDP_FILE, 8, 0, RSDP_BYTES);
  return {
    files: [
      { name: TABLES_FILE, bytes: tables },
      { name: RSDP_FILE, bytes: rsdp },
    ],
    script,
  };
}

/** Where tables lie that no firmware places: RAM that the memory map reserves, and in which systems search for the root pointer. */
const PLACE = 0xe_0000,
  PLACE_END = 0xf_0000;

/** The tables as they lie in memory when a kernel is started without firmware. */
export function acpiInMemory(board: AcpiBoard): readonly { readonly address: number; readonly bytes: Uint8Array }[] {
  const { files, script } = acpiFiles(board);
  let next = PLACE;
  return script.carryOut(files, (size, align) => {
    const address = Math.ceil(next / align) * align;
    next = address + size;
    assert(next <= PLACE_END, 'the tables fit into 64 KiB');
    return address;
  });
}
