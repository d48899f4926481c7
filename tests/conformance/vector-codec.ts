/**
 * One stored vector as bytes: a case as its differences from the base state, its result as differences from the case.
 *
 * A record is a word of presence bits (`HAS`), the name (sharing its start with the one before), the code, and then what
 * the bits announce, in their order. Numbers are LEB128 unless they are register values (u32).
 */
import { BASE_CODE_ADDRESS, BASE_REGISTERS } from './base-case.ts';
import {
  MEMORY,
  REGISTER_NAMES,
  SEGMENT_NAMES,
  SELECTORS,
  TRAP,
  isSettable,
  type CpuResult,
  type MemoryPatch,
  type NamedCase,
  type Registers,
  type Segments,
} from './case.ts';
import { type ByteReader, type ByteWriter } from './byte-stream.ts';
import { FX_SIZE, fxImage, normalizeFx } from './fxsave.ts';

/** A case and what the processor made of it. */
export interface Vector {
  readonly start: NamedCase;
  readonly result: CpuResult;
}

const HAS = {
  codeAddress: 1 << 0,
  registers: 1 << 1,
  eflags: 1 << 2,
  fx: 1 << 3,
  memory: 1 << 4,
  undefinedFlags: 1 << 5,
  undefinedStatus: 1 << 6,
  undefinedRegisters: 1 << 7,
  undefinedSt: 1 << 8,
  trap: 1 << 9,
  eip: 1 << 10,
  newRegisters: 1 << 11,
  newEflags: 1 << 12,
  newSegments: 1 << 13,
  newFx: 1 << 14,
  newMemory: 1 << 15,
  undefinedMemory: 1 << 16,
} as const;

const BASE_FX = fxImage();
/** Unchanged bytes between two changed ones cost less than the head of another run. */
const FX_RUN_GAP = 2;

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const differs = <K extends string>(names: readonly K[], a: Readonly<Record<K, number>>, b: typeof a): boolean =>
  names.some((name) => a[name] !== b[name]);

function presence({ start, result }: Vector, codeEnd: number): number {
  const when = (condition: boolean, bit: number): number => (condition ? bit : 0);
  return (
    when(start.codeAddress !== BASE_CODE_ADDRESS, HAS.codeAddress) |
    when(differs(REGISTER_NAMES, start.registers, BASE_REGISTERS), HAS.registers) |
    when(start.eflags !== 0, HAS.eflags) |
    when(!equal(start.fx, BASE_FX), HAS.fx) |
    when(start.memory.length > 0, HAS.memory) |
    when(start.undefinedFlags !== 0, HAS.undefinedFlags) |
    when(start.undefinedStatus !== undefined, HAS.undefinedStatus) |
    when(start.undefinedRegisters !== undefined, HAS.undefinedRegisters) |
    when(start.undefinedSt !== undefined, HAS.undefinedSt) |
    when(result.trap !== TRAP.BP, HAS.trap) |
    when(result.eip !== codeEnd, HAS.eip) |
    when(differs(REGISTER_NAMES, result.registers, start.registers), HAS.newRegisters) |
    when(result.eflags !== start.eflags, HAS.newEflags) |
    when(differs(SEGMENT_NAMES, result.segments, SELECTORS), HAS.newSegments) |
    when(!equal(result.fx, normalizeFx(start.fx)), HAS.newFx) |
    when(result.memory.length > 0, HAS.newMemory) |
    when(start.undefinedMemory === true, HAS.undefinedMemory)
  );
}

/** Appends one record; `previousName` is that of the record before, or empty. */
export function encodeVector(to: ByteWriter, vector: Vector, previousName: string): void {
  const { start, result } = vector;
  const codeEnd = start.codeAddress + start.code.length;
  const has = presence(vector, codeEnd);
  to.varint(has);
  putName(to, start.name, previousName);
  to.block(start.code);
  if (has & HAS.codeAddress) to.varint(start.codeAddress - MEMORY.code.address);
  if (has & HAS.registers) putRegisters(to, start.registers, BASE_REGISTERS);
  if (has & HAS.eflags) to.varint(start.eflags);
  if (has & HAS.fx) putFx(to, start.fx, BASE_FX);
  if (has & HAS.memory) putMemory(to, start.memory);
  if (has & HAS.undefinedFlags) to.varint(start.undefinedFlags);
  if (has & HAS.undefinedStatus) to.varint(start.undefinedStatus ?? 0);
  if (has & HAS.undefinedRegisters) to.varint(start.undefinedRegisters ?? 0);
  if (has & HAS.undefinedSt) to.varint(start.undefinedSt ?? 0);
  if (has & HAS.trap) putTrap(to, result);
  if (has & HAS.eip) to.signed((result.eip - codeEnd) | 0);
  if (has & HAS.newRegisters) putRegisters(to, result.registers, start.registers);
  if (has & HAS.newEflags) to.varint(result.eflags ^ start.eflags);
  if (has & HAS.newSegments) for (const name of SEGMENT_NAMES) to.varint(result.segments[name]);
  if (has & HAS.newFx) putFx(to, result.fx, normalizeFx(start.fx));
  if (has & HAS.newMemory) putMemory(to, result.memory);
}

/** Reads one record. Throws `vectors.truncated` or `vectors.invalid`. */
export function decodeVector(from: ByteReader, previousName: string): Vector {
  const has = from.varint();
  const name = takeName(from, previousName);
  const code = from.block();
  const codeAddress = has & HAS.codeAddress ? MEMORY.code.address + from.varint() : BASE_CODE_ADDRESS;
  if (!isSettable(codeAddress, code.length)) throw from.invalid('code outside the pages');
  const start: NamedCase = {
    name,
    code,
    codeAddress,
    registers: has & HAS.registers ? takeRegisters(from, BASE_REGISTERS) : BASE_REGISTERS,
    eflags: has & HAS.eflags ? from.varint() : 0,
    fx: has & HAS.fx ? takeFx(from, BASE_FX) : BASE_FX,
    memory: has & HAS.memory ? takeMemory(from) : [],
    undefinedFlags: has & HAS.undefinedFlags ? from.varint() : 0,
    ...(has & HAS.undefinedStatus ? { undefinedStatus: from.varint() } : {}),
    ...(has & HAS.undefinedRegisters ? { undefinedRegisters: from.varint() } : {}),
    ...(has & HAS.undefinedSt ? { undefinedSt: from.varint() } : {}),
    ...(has & HAS.undefinedMemory ? { undefinedMemory: true } : {}),
  };
  const trap = has & HAS.trap ? takeTrap(from) : { trap: TRAP.BP, errorCode: 0, cr2: 0 };
  const result: CpuResult = {
    ...trap,
    eip: (codeAddress + code.length + (has & HAS.eip ? from.signed() : 0)) >>> 0,
    registers: has & HAS.newRegisters ? takeRegisters(from, start.registers) : start.registers,
    eflags: has & HAS.newEflags ? start.eflags ^ from.varint() : start.eflags,
    segments: has & HAS.newSegments ? takeSegments(from) : SELECTORS,
    fx: has & HAS.newFx ? takeFx(from, normalizeFx(start.fx)) : normalizeFx(start.fx),
    memory: has & HAS.newMemory ? takeMemory(from) : [],
  };
  return { start, result };
}

function putName(to: ByteWriter, name: string, previous: string): void {
  const [bytes, before] = [Buffer.from(name), Buffer.from(previous)];
  let shared = 0;
  while (shared < bytes.length && bytes[shared] === before[shared]) shared++;
  to.varint(shared);
  to.block(bytes.subarray(shared));
}

function takeName(from: ByteReader, previous: string): string {
  const before = Buffer.from(previous);
  const shared = from.varint();
  if (shared > before.length) throw from.invalid('a name that shares more than there is');
  return Buffer.concat([before.subarray(0, shared), from.block()]).toString();
}

function putRegisters(to: ByteWriter, registers: Registers, base: Registers): void {
  const changed = REGISTER_NAMES.filter((name) => registers[name] !== base[name]);
  to.u8(changed.reduce((bits, name) => bits | (1 << REGISTER_NAMES.indexOf(name)), 0));
  for (const name of changed) to.u32(registers[name]);
}

function takeRegisters(from: ByteReader, base: Registers): Registers {
  const bits = from.u8();
  const changed = REGISTER_NAMES.filter((_, i) => bits & (1 << i)).map((name) => [name, from.u32()] as const);
  return { ...base, ...Object.fromEntries(changed) };
}

function takeSegments(from: ByteReader): Segments {
  const entries = SEGMENT_NAMES.map((name) => [name, from.varint()] as const);
  return { ...SELECTORS, ...Object.fromEntries(entries) };
}

function putTrap(to: ByteWriter, { trap, errorCode, cr2 }: CpuResult): void {
  to.varint(trap);
  to.varint(errorCode);
  if (trap === TRAP.PF) to.u32(cr2);
}

function takeTrap(from: ByteReader): Pick<CpuResult, 'trap' | 'errorCode' | 'cr2'> {
  const trap = from.varint();
  const errorCode = from.varint();
  return { trap, errorCode, cr2: trap === TRAP.PF ? from.u32() : 0 };
}

function putMemory(to: ByteWriter, patches: readonly MemoryPatch[]): void {
  to.varint(patches.length);
  for (const { address, bytes } of patches) {
    to.varint(address - MEMORY.data.address);
    to.block(bytes);
  }
}

function takeMemory(from: ByteReader): MemoryPatch[] {
  const count = from.varint();
  const patches: MemoryPatch[] = [];
  for (let i = 0; i < count; i++) {
    const patch = { address: MEMORY.data.address + from.varint(), bytes: from.block() };
    if (!isSettable(patch.address, patch.bytes.length)) throw from.invalid('memory outside the pages');
    patches.push(patch);
  }
  return patches;
}

function putFx(to: ByteWriter, fx: Uint8Array, base: Uint8Array): void {
  const runs: { start: number; end: number }[] = [];
  for (let i = 0; i < FX_SIZE; i++) {
    if (fx[i] === base[i]) continue;
    const last = runs.at(-1);
    if (last !== undefined && i - last.end <= FX_RUN_GAP) last.end = i + 1;
    else runs.push({ start: i, end: i + 1 });
  }
  to.varint(runs.length);
  let at = 0;
  for (const { start, end } of runs) {
    to.varint(start - at);
    to.block(fx.subarray(start, end));
    at = end;
  }
}

function takeFx(from: ByteReader, base: Uint8Array): Uint8Array {
  const fx = base.slice();
  const runs = from.varint();
  for (let i = 0, at = 0; i < runs; i++) {
    at += from.varint();
    const bytes = from.block();
    if (at + bytes.length > FX_SIZE) throw from.invalid('an FXSAVE difference past its end');
    fx.set(bytes, at);
    at += bytes.length;
  }
  return fx;
}
