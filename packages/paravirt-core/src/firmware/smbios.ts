/**
 * What the machine says of itself by SMBIOS 2.8 (DMTF DSP0134): structures and the entry point, as files of which SeaBIOS makes
 * tables in memory (it adds the BIOS's own structure, type 0).
 */
import type { FirmwareFile } from '../machine/firmware-items.ts';

/** What differs between machines. */
export interface SmbiosBoard {
  readonly ramBytes: number;
  readonly processors: number;
  /** 1 when absent. */
  readonly coresPerSocket?: number;
}

export const SMBIOS_TABLES_FILE = 'etc/smbios/smbios-tables';
export const SMBIOS_ANCHOR_FILE = 'etc/smbios/smbios-anchor';

const MANUFACTURER = 'Tomei';
const PRODUCT = 'Tomei Virtual PC';
const VERSION = '1';
const ANCHOR_BYTES = 0x1f;
const MAJOR = 2,
  MINOR = 8;

/** Handles: the type in the high byte, a number in the low one. */
const handleOf = (type: number, n = 0): number => (type << 8) | n;
const little = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);
const byte = (value: number): number[] => little(value, 1);
const word = (value: number): number[] => little(value, 2);
const dword = (value: number): number[] => little(value, 4);

/** A structure: header, formatted part, strings (6.1). Strings are numbered from 1. */
function structure(type: number, handle: number, body: readonly number[], strings: readonly string[] = []): number[] {
  const text = strings.flatMap((s) => [...new TextEncoder().encode(s), 0]);
  return [type, 4 + body.length, ...word(handle), ...body, ...(text.length === 0 ? [0, 0] : [...text, 0])];
}

/** Type 1, system information: no UUID is told, woken by the power switch. */
const system = (): number[] =>
  structure(1, handleOf(1), [...[1, 2, 3, 0], ...Array<number>(16).fill(0), 6, 0, 0], [MANUFACTURER, PRODUCT, VERSION]);
/** Type 3, a chassis of the kind "other", in safe states. */
const chassis = (): number[] =>
  structure(
    3,
    handleOf(3),
    [...[1, 1, 2, 0, 0], ...[3, 3, 3, 2], ...dword(0), ...[0, 0, 0, 0]],
    [MANUFACTURER, VERSION],
  );
/** Bits of a processor's characteristics (7.5.9): nothing is known of it, and it has several cores. */
const UNKNOWN = 1 << 1,
  MULTI_CORE = 1 << 3;
/** Type 4, a socket with a central processor that is populated and enabled. */
const processor = (n: number, cores: number): number[] =>
  structure(
    4,
    handleOf(4, n),
    [
      ...[1, 3, 1, 2],
      ...little(0, 8),
      ...[0, 0],
      ...[...word(0), ...word(0), ...word(0)],
      ...[0x41, 1],
      ...[...word(0xffff), ...word(0xffff), ...word(0xffff)],
      ...[0, 0, 0, cores, cores, cores],
      ...word(cores === 1 ? UNKNOWN : MULTI_CORE),
      ...word(1),
    ],
    [`CPU ${n}`, MANUFACTURER],
  );

const MIB = 2 ** 20;
/** Type 16: the memory array on the system board, without error correction. */
const memoryArray = ({ ramBytes }: SmbiosBoard): number[] =>
  structure(16, handleOf(16), [3, 3, 3, ...dword(ramBytes / 1024), ...word(0xfffe), ...word(1), ...little(0, 8)]);
/** Type 17: one module that holds all of it. */
const memoryDevice = ({ ramBytes }: SmbiosBoard): number[] =>
  structure(
    17,
    handleOf(17),
    [
      ...[...word(handleOf(16)), ...word(0xfffe), ...word(0xffff), ...word(0xffff)],
      ...word(Math.floor(ramBytes / MIB)),
      ...[9, 0, 1, 0, 7],
      ...[...word(2), ...word(0)],
      ...[2, 0, 0, 0, 0],
      ...[...dword(0), ...word(0), ...word(0), ...word(0), ...word(0)],
    ],
    ['DIMM 0', MANUFACTURER],
  );
/** Type 19: the array is mapped from address 0; addresses are in KiB. */
const mappedAddress = ({ ramBytes }: SmbiosBoard): number[] =>
  structure(19, handleOf(19), [
    ...[...dword(0), ...dword(ramBytes / 1024 - 1), ...word(handleOf(16)), 1],
    ...[...little(0, 8), ...little(0, 8)],
  ]);
/** Type 32: no errors at the last boot. */
const bootStatus = (): number[] => structure(32, handleOf(32), [...Array<number>(6).fill(0), ...byte(0)]);
const end = (): number[] => structure(127, handleOf(127), []);

/** The two files. Address and sums of the entry point are filled in by the firmware. */
export function smbiosFiles(board: SmbiosBoard): readonly FirmwareFile[] {
  const { processors, coresPerSocket = 1 } = board;
  const structures = [
    system(),
    chassis(),
    ...Array.from({ length: processors / coresPerSocket }, (_, i) => processor(i, coresPerSocket)),
    memoryArray(board),
    memoryDevice(board),
    mappedAddress(board),
    bootStatus(),
    end(),
  ];
  const tables = Uint8Array.from(structures.flat());
  const largest = Math.max(...structures.map((s) => s.length));
  const anchor = Uint8Array.from([
    ...[...new TextEncoder().encode('_SM_')],
    ...[0, ANCHOR_BYTES, MAJOR, MINOR],
    ...word(largest),
    ...[0, 0, 0, 0, 0, 0],
    ...[...new TextEncoder().encode('_DMI_')],
    0,
    ...word(tables.length),
    ...dword(0),
    ...word(structures.length),
    (MAJOR << 4) | MINOR,
  ]);
  return [
    { name: SMBIOS_TABLES_FILE, bytes: tables },
    { name: SMBIOS_ANCHOR_FILE, bytes: anchor },
  ];
}
