/** The tables, as Intel's own compiler and interpreter read them (Debian's package acpica-tools). */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { acpiFiles, acpiInMemory, RSDP_FILE, TABLES_FILE } from './tables.ts';
import { name, packageOf, integer, string } from './aml.ts';

const hasTools = spawnSync('iasl', ['-v']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'tomei-acpi-'));
afterAll(() => rmSync(folder, { recursive: true }));

const board = { ramBytes: 64 << 20, processors: 1, serial: [true, false, false, false], floppy: true };
const TABLES_AT = 0x3f_0000,
  RSDP_AT = 0xf_0000;

function placed() {
  const { files, script } = acpiFiles(board);
  const [tables, rsdp] = script.carryOut(files, (_size, _align, zone) => (zone === 'high' ? TABLES_AT : RSDP_AT));
  return { tables: tables!.bytes, rsdp: rsdp!.bytes };
}
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
/** Every table that the root table names and, by the fixed table, what it names. */
function walk() {
  const { tables, rsdp } = placed();
  const at = (address: number): Uint8Array => {
    const from = address - TABLES_AT,
      length = new DataView(tables.buffer, from).getUint32(4, true);
    return tables.subarray(from, from + length);
  };
  const word = (bytes: Uint8Array, offset: number): number =>
    new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);
  const rsdt = at(word(rsdp, 16));
  const listed = Array.from({ length: (rsdt.length - 36) / 4 }, (_, i) => at(word(rsdt, 36 + 4 * i)));
  const fadt = listed[0]!;
  return { rsdp, rsdt, listed, fadt, dsdt: at(word(fadt, 40)), facs: at(word(fadt, 36)), word };
}
const signature = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, 4));

describe('ACPI tables', () => {
  it('are found from the root pointer, each with a sum of 0', () => {
    const { rsdp, rsdt, listed, dsdt, facs, fadt, word } = walk();

    expect(String.fromCharCode(...rsdp.subarray(0, 8))).toBe('RSD PTR ');
    expect(listed.map(signature)).toEqual(['FACP', 'APIC', 'HPET']);
    expect([signature(dsdt), signature(facs)]).toEqual(['DSDT', 'FACS']);
    expect([rsdp, rsdt, dsdt, ...listed].map(sum)).toEqual(Array(6).fill(0));
    expect(fadt.length).toBe(244);
    // One pointer to the FACS, or systems take it for two (5.2.9, X_FIRMWARE_CTRL).
    expect([word(fadt, 132), word(fadt, 140)]).toEqual([0, word(fadt, 40)]);
  });

  it('lie where systems search for the root pointer when no firmware places them', () => {
    const pieces = acpiInMemory(board);
    const root = pieces.find(({ bytes }) => signature(bytes) === 'RSD ')!;

    expect(root.address % 16).toBe(0);
    for (const { address, bytes } of pieces) {
      expect(address).toBeGreaterThanOrEqual(0xe_0000);
      expect(address + bytes.length).toBeLessThanOrEqual(0xf_0000);
    }
  });

  it('are told to firmware in commands of 128 bytes', () => {
    const { script } = acpiFiles(board);
    const { bytes } = script.encode();
    const view = new DataView(bytes.buffer);
    const kinds = Array.from({ length: bytes.length / 128 }, (_, i) => view.getUint32(i * 128, true));

    expect(kinds.filter((k) => k === 1)).toHaveLength(2);
    expect(String.fromCharCode(...bytes.subarray(4, 4 + TABLES_FILE.length))).toBe(TABLES_FILE);
    expect(String.fromCharCode(...bytes.subarray(132, 132 + RSDP_FILE.length))).toBe(RSDP_FILE);
    expect([view.getUint32(60, true), view.getUint8(64)]).toEqual([64, 1]);
  });

  it.skipIf(!hasTools)(
    'make sense to the ACPI compiler: it reads them and compiles what it read without a complaint',
    () => {
      const { dsdt, listed } = walk();
      const file = join(folder, 'dsdt.aml');
      writeFileSync(file, dsdt);
      execFileSync('iasl', ['-d', file], { stdio: 'pipe' });
      const compiled = spawnSync('iasl', ['-p', join(folder, 'again'), join(folder, 'dsdt.dsl')], { encoding: 'utf8' });

      expect(compiled.stdout).toMatch(/ 0 Errors, 0 Warnings/);
      const text = readFileSync(join(folder, 'dsdt.dsl'), 'utf8');
      expect(text).toContain('Device (PCI0)');
      expect(text).toContain('EisaId ("PNP0A03")');
      for (const table of listed) {
        const path = join(folder, `${signature(table)}.aml`);
        writeFileSync(path, table);
        const read = execFileSync('iasl', ['-d', path], { encoding: 'utf8', stdio: 'pipe' });
        expect(read).not.toMatch(/invalid|error/i);
      }
    },
  );

  it.skipIf(!hasTools)('route interrupts: a link that is set says so, one that is disabled is off', () => {
    const { dsdt } = walk();
    const file = join(folder, 'run.aml');
    writeFileSync(file, dsdt);
    const commands = ['execute \\_SB.LNKA._STA', 'execute \\_SB.LNKA._DIS', 'execute \\_SB.LNKA._STA', 'execute \\_S5'];
    const { stdout } = spawnSync('acpiexec', ['-b', commands.join(';'), file], { encoding: 'utf8', timeout: 30_000 });
    const numbers = [...stdout.matchAll(/\[Integer\] = 0*([0-9A-F]+)/g)].map(([, n]) => n);

    expect(numbers.slice(0, 2)).toEqual(['B', '9']);
    expect(stdout).toMatch(/\[Package\] Contains 4 Elements/);
  });
});

describe('AML', () => {
  it('encodes names by how many segments they have', () => {
    expect(name('_SB')).toEqual([...Buffer.from('_SB_')]);
    expect(name('\\_SB.PCI0')).toEqual([...Buffer.from('\\'), 0x2e, ...Buffer.from('_SB_PCI0')]);
    expect(name('\\A.B.C')).toEqual([...Buffer.from('\\'), 0x2f, 3, ...Buffer.from('A___B___C___')]);
    expect(name('\\')).toEqual([0x5c, 0]);
  });
  it('encodes package lengths, which count themselves', () => {
    expect(packageOf(integer(0)).slice(0, 3)).toEqual([0x12, 3, 1]);
    const long = packageOf(string('x'.repeat(0x40)));
    expect(long.slice(0, 3)).toEqual([0x12, 0x40 | ((long.length - 1) & 0xf), (long.length - 1) >> 4]);
  });
});
