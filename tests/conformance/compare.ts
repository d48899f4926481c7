/** Telling how two results of one case differ, leaving out what the manual leaves undefined. */
import {
  EFLAGS,
  REGISTER_NAMES,
  SEGMENT_NAMES,
  TRAP,
  WRITABLE_REGIONS,
  initialRegion,
  type CpuResult,
  type MemoryPatch,
  type NamedCase,
} from './case.ts';
import { FX_REGISTERS, fcwOf, fswOf, ftwOf, mxcsrOf, stOf, xmmOf } from './fxsave.ts';

/** A case with the masks of `NamedCase`, each of which may be missing. */
export type Judged = Pick<NamedCase, 'code' | 'codeAddress' | 'memory'> &
  Partial<
    Pick<NamedCase, 'undefinedFlags' | 'undefinedStatus' | 'undefinedRegisters' | 'undefinedSt' | 'undefinedMemory'>
  >;

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
const bytesToHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** `CF ZF`, or `-` for none. */
export function flagNames(eflags: number): string {
  const names = Object.entries(EFLAGS).filter(([, bit]) => eflags & bit);
  return names.map(([name]) => name).join(' ') || '-';
}

/** `#PF`, or what else ended a case. */
export function trapName(trap: number): string {
  const name = Object.entries(TRAP).find(([, vector]) => vector === trap)?.[0];
  if (name === undefined) return `vector ${trap}`;
  return trap < 32 ? `#${name}` : name;
}

/**
 * One line for each part that differs, empty when `actual` is as good as `expected`. Lines read `part: actual, expected
 * expected`.
 */
export function differences(start: Judged, expected: CpuResult, actual: CpuResult): string[] {
  if (expected.trap === TRAP.timeout && actual.trap === TRAP.timeout) return []; // stopped somewhere in the same loop
  const lines: string[] = [];
  const check = (what: string, a: number, e: number, show: (value: number) => string = hex): void => {
    if (a !== e) lines.push(`${what}: ${show(a)}, expected ${show(e)}`);
  };
  check('trap', actual.trap, expected.trap, trapName);
  check('error code', actual.errorCode, expected.errorCode);
  check('cr2', actual.cr2, expected.cr2);
  check('eip', actual.eip, expected.eip);
  const flags = ~(start.undefinedFlags ?? 0);
  check('eflags', actual.eflags & flags, expected.eflags & flags, flagNames);
  for (const [i, name] of REGISTER_NAMES.entries())
    if (!((start.undefinedRegisters ?? 0) & (1 << i))) check(name, actual.registers[name], expected.registers[name]);
  for (const name of SEGMENT_NAMES) check(name, actual.segments[name], expected.segments[name]);
  const status = ~(start.undefinedStatus ?? 0);
  check('x87 control', fcwOf(actual.fx), fcwOf(expected.fx));
  check('x87 status', fswOf(actual.fx) & status, fswOf(expected.fx) & status);
  check('x87 tags', ftwOf(actual.fx), ftwOf(expected.fx));
  check('mxcsr', mxcsrOf(actual.fx), mxcsrOf(expected.fx));
  for (let i = 0; i < FX_REGISTERS; i++) {
    if (!((start.undefinedSt ?? 0) & (1 << i))) checkBytes(lines, `st${i}`, stOf(actual.fx, i), stOf(expected.fx, i));
    checkBytes(lines, `xmm${i}`, xmmOf(actual.fx, i), xmmOf(expected.fx, i));
  }
  if (start.undefinedMemory !== true) lines.push(...memoryDifferences(start, expected.memory, actual.memory));
  return lines;
}

/** Registers are shown with the most significant byte first, as the manual does. */
function checkBytes(lines: string[], what: string, actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const show = (bytes: Uint8Array): string => bytesToHex(bytes.slice().reverse());
  lines.push(`${what}: ${show(actual)}, expected ${show(expected)}`);
}

const samePatches = (a: readonly MemoryPatch[], b: readonly MemoryPatch[]): boolean =>
  a.length === b.length &&
  a.every((patch, i) => patch.address === b[i]?.address && Buffer.compare(patch.bytes, b[i].bytes) === 0);

function memoryDifferences(start: Judged, expected: readonly MemoryPatch[], actual: readonly MemoryPatch[]): string[] {
  if (samePatches(expected, actual)) return [];
  const lines: string[] = [];
  for (const region of WRITABLE_REGIONS) {
    const [e, a] = [expected, actual].map((patches) => {
      const bytes = initialRegion(region, start);
      for (const patch of patches)
        if (patch.address >= region.address && patch.address < region.address + region.size)
          bytes.set(patch.bytes, patch.address - region.address);
      return bytes;
    }) as [Uint8Array, Uint8Array];
    for (let i = 0; i < region.size; i++) {
      if (e[i] === a[i]) continue;
      const from = i;
      while (i < region.size && e[i] !== a[i]) i++;
      lines.push(
        `memory ${hex(region.address + from)}: ${bytesToHex(a.subarray(from, i))}, expected ${bytesToHex(e.subarray(from, i))}`,
      );
    }
  }
  return lines.length > 0 ? lines : ['memory: the same bytes, but not as the longest changed runs'];
}
