/**
 * The records between `host-cpu.ts` and `harness.c`, all little-endian and unaligned.
 *
 * Greeting:  u32 magic, u32 version, char vendor[12], u32 signature (CPUID 1 EAX), char brand[48],
 *            u32 whether cases can be 16-bit.
 * Case:      u32 size of the record, u32 eax ecx edx ebx esp ebp esi edi, u32 eip, u32 eflags, u16 cs ss ds es,
 *            u8 fx[512], then patches.
 * Result:    u32 size of the record, u32 trap, u32 error, u32 cr2, u32 eip, u32 eflags, u32 registers[8],
 *            u16 es cs ss ds fs gs, u8 fx[512], then changed runs.
 * Patch, run: u32 address, u32 length, u8 bytes[length].
 */
import { TomeiError } from '@tomei/kit';
import {
  EFLAGS_REPORTED,
  EFLAGS_SETTABLE,
  MEMORY,
  REGISTER_NAMES,
  SEGMENT_NAMES,
  TRAP,
  codeBase,
  comparableErrorCode,
  isSettable,
  segmentsOf,
  type CpuCase,
  type CpuResult,
  type MemoryPatch,
  type Registers,
  type Segments,
} from '../case.ts';
import { FX_SIZE, MXCSR_DEFINED, mxcsrOf, normalizeFx } from '../fxsave.ts';

export const GREETING_SIZE = 76;
const GREETING_MAGIC = 0x5550_4348;
const GREETING_VERSION = 2;

const CASE_HEADER = 4 + 4 * 8 + 4 + 4 + 2 * 4 + FX_SIZE;
const CASE_MAX = 64 * 1024;
const RESULT_HEADER = 4 * 6 + 4 * 8 + 2 * 6 + FX_SIZE;
const RUN_HEADER = 8;

/** What the harness says of the processor it runs on, by CPUID. */
export interface HostIdentity {
  /** For example `GenuineIntel`. */
  readonly vendor: string;
  readonly brand: string;
  /** CPUID leaf 1, EAX: family, model, stepping. */
  readonly signature: number;
  /** Whether this system lets a process have the segments of 16-bit cases (`CpuCase.narrow`). */
  readonly narrow: boolean;
}

/** Throws `host-cpu.bad-answer` when this is no greeting of this harness. */
export function decodeGreeting(bytes: Uint8Array): HostIdentity {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (
    bytes.length < GREETING_SIZE ||
    view.getUint32(0, true) !== GREETING_MAGIC ||
    view.getUint32(4, true) !== GREETING_VERSION
  )
    throw new TomeiError('host-cpu.bad-answer', 'the host CPU harness gave no greeting; delete its cache directory');
  const text = (from: number, to: number): string =>
    Buffer.from(bytes.subarray(from, to)).toString('latin1').replaceAll('\0', '').trim();
  return {
    vendor: text(8, 20),
    signature: view.getUint32(20, true),
    brand: text(24, 72),
    narrow: view.getUint32(72, true) !== 0,
  };
}

function refuse(index: number, what: string): never {
  throw new TomeiError('case.invalid', `case ${index}: ${what}`, { data: { index } });
}

function check(c: CpuCase, index: number): void {
  const { code } = MEMORY;
  if (c.codeAddress < code.address || c.codeAddress + c.code.length > code.address + code.size)
    refuse(index, `${c.code.length} code bytes at ${hex(c.codeAddress)} leave the code pages`);
  if ((c.eflags & ~EFLAGS_SETTABLE) !== 0) refuse(index, `eflags ${hex(c.eflags)} has bits that a case cannot set`);
  if (c.fx.length !== FX_SIZE) refuse(index, `the FXSAVE image has ${c.fx.length} bytes, not ${FX_SIZE}`);
  if ((mxcsrOf(c.fx) & ~MXCSR_DEFINED) !== 0) refuse(index, `MXCSR ${hex(mxcsrOf(c.fx))} has reserved bits`);
  for (const { address, bytes } of c.memory)
    if (!isSettable(address, bytes.length)) refuse(index, `${bytes.length} bytes at ${hex(address)} leave the pages`);
}

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** The record of one case. Throws `case.invalid`, naming `index`, for a case that cannot be run. */
export function encodeCase(c: CpuCase, index: number): Buffer {
  check(c, index);
  const patches: readonly MemoryPatch[] = [...c.memory, { address: c.codeAddress, bytes: c.code }];
  const size = patches.reduce((sum, p) => sum + RUN_HEADER + p.bytes.length, CASE_HEADER);
  if (size > CASE_MAX) refuse(index, `its memory contents take ${size} bytes, more than ${CASE_MAX}`);
  const record = Buffer.alloc(size);
  record.writeUInt32LE(size, 0);
  REGISTER_NAMES.forEach((name, i) => record.writeUInt32LE(c.registers[name] >>> 0, 4 + 4 * i));
  const segments = segmentsOf(c);
  record.writeUInt32LE(c.codeAddress - codeBase(c), 36);
  record.writeUInt32LE(c.eflags, 40);
  record.writeUInt16LE(segments.cs, 44);
  record.writeUInt16LE(segments.ss, 46);
  record.writeUInt16LE(segments.ds, 48);
  record.writeUInt16LE(segments.es, 50);
  record.set(c.fx, 52);
  let at = CASE_HEADER;
  for (const { address, bytes } of patches) {
    record.writeUInt32LE(address, at);
    record.writeUInt32LE(bytes.length, at + 4);
    record.set(bytes, at + RUN_HEADER);
    at += RUN_HEADER + bytes.length;
  }
  return record;
}

/** The size of the record that `bytes` starts with, or undefined while fewer than four bytes are there. */
export function recordSize(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined;
  const size = bytes.readUInt32LE(0);
  if (size < RESULT_HEADER || size > 1024 * 1024)
    throw new TomeiError('host-cpu.bad-answer', `the host CPU harness sent a record of ${size} bytes`);
  return size;
}

/** The result in one whole record. Throws `host-cpu.bad-answer` when its parts do not fit together. */
export function decodeResult(record: Buffer): CpuResult {
  const trap = record.readUInt32LE(4);
  const registers = Object.fromEntries(REGISTER_NAMES.map((name, i) => [name, record.readUInt32LE(24 + 4 * i)]));
  const segments = Object.fromEntries(SEGMENT_NAMES.map((name, i) => [name, record.readUInt16LE(56 + 2 * i)]));
  const memory: MemoryPatch[] = [];
  for (let at = RESULT_HEADER; at < record.length;) {
    const length = at + RUN_HEADER <= record.length ? record.readUInt32LE(at + 4) : record.length;
    if (at + RUN_HEADER + length > record.length)
      throw new TomeiError('host-cpu.bad-answer', 'the host CPU harness sent a cut record');
    const bytes = new Uint8Array(record.subarray(at + RUN_HEADER, at + RUN_HEADER + length));
    memory.push({ address: record.readUInt32LE(at), bytes });
    at += RUN_HEADER + length;
  }
  return {
    trap,
    errorCode: comparableErrorCode(trap, record.readUInt32LE(8)),
    cr2: trap === TRAP.PF ? record.readUInt32LE(12) : 0,
    eip: (record.readUInt32LE(16) - (trap === TRAP.BP ? 1 : 0)) >>> 0,
    eflags: record.readUInt32LE(20) & EFLAGS_REPORTED,
    registers: registers as Registers,
    segments: segments as Segments,
    fx: normalizeFx(record.subarray(68, 68 + FX_SIZE)),
    memory,
  };
}
