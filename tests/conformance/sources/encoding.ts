/** Cases about how instructions are encoded: every ModRM and SIB byte, and prefixes in combinations that nobody writes. */
import { FormTable, allRows, encode } from '@tomei/paravirt-core';
import { cpuCase } from '../base-case.ts';
import { MEMORY, REGISTER_NAMES, type CaseSource, type NamedCase, type RegisterName } from '../case.ts';
import { Random } from '../random.ts';
import { pointAt } from './addresses.ts';

const DATA = MEMORY.data.address + 0x400;
/** All different, in each half. */
const SPREAD: Readonly<Record<RegisterName, number>> = {
  eax: 0x01020304,
  ecx: 0x10203040,
  edx: 0x89abcdef,
  ebx: 0xfedc1234,
  esp: MEMORY.stack.address + 0x800,
  ebp: 0x00777f01,
  esi: 0x70f1e2d3,
  edi: 0xfffffff0,
};
const DISPLACEMENT = [0x78, 0x56, 0x34, 0x92];

/** LEA EDX with every ModRM byte of memory and every SIB byte. */
function* effectiveAddresses(): Generator<NamedCase> {
  const lea = (prefixes: readonly number[], tail: readonly number[]): NamedCase => {
    const code = [...prefixes, 0x8d, ...tail];
    const name = `lea ${Buffer.from(code).toString('hex')}`;
    return { ...cpuCase({ code, registers: SPREAD }), name, undefinedFlags: 0 };
  };
  for (let mod = 0; mod < 3; mod++)
    for (let rm = 0; rm < 8; rm++) {
      const modrm = (mod << 6) | (2 << 3) | rm;
      for (let sib = 0; sib < (rm === 4 ? 256 : 1); sib++)
        yield lea([], [modrm, ...(rm === 4 ? [sib] : []), ...DISPLACEMENT.slice(0, displacementBytes(mod, rm, sib))]);
      yield lea([0x67], [modrm, ...DISPLACEMENT.slice(0, mod === 2 || (mod === 0 && rm === 6) ? 2 : mod)]);
      yield lea([0x66, 0x67], [modrm, ...DISPLACEMENT.slice(0, mod === 2 || (mod === 0 && rm === 6) ? 2 : mod)]);
    }
}
function displacementBytes(mod: number, rm: number, sib: number): number {
  const bare = mod === 0 && (rm === 5 || (rm === 4 && (sib & 7) === 5));
  return mod === 2 || bare ? 4 : mod;
}

/** ADD to and from memory through every base, index and scale. */
function* accesses(): Generator<NamedCase> {
  const forms = new FormTable(allRows.filter((row) => row.encoding === '01 /r' || row.encoding === '03 /r')).forms;
  for (const form of forms.filter((f) => f.memory && f.size === 32))
    for (let base = -1; base < 8; base++)
      for (let index = -1; index < 8; index++)
        for (let scale = 0; scale < (index < 0 ? 1 : 4); scale++) {
          if (index === 4) continue;
          const name = `${form.row.encoding} base ${base} index ${index} scale ${scale}`;
          const random = new Random(name);
          const registers = Uint32Array.from(REGISTER_NAMES.map((r) => SPREAD[r]));
          const { memory } = pointAt(random, registers, DATA + 4 * random.below(16), { base, index, scale });
          const named = Object.fromEntries(REGISTER_NAMES.map((r, i) => [r, registers[i] ?? 0]));
          const code = encode(form, { memory, reg: random.below(8) });
          yield { ...cpuCase({ code, registers: named as Record<RegisterName, number> }), name, undefinedFlags: 0 };
        }
}

/** Instructions with what must hold for them to do something; all use EDI, ESI or nothing as addresses. */
const PREFIXED: readonly (readonly number[])[] = [
  [0x90],
  [0x40],
  [0x00, 0xd8],
  [0x01, 0xd8],
  [0x01, 0x1f],
  [0x02, 0x07],
  [0x05, 1, 2, 3, 4],
  [0x0f, 0xaf, 0xc3],
  [0x0f, 0xb6, 0x07],
  [0x0f, 0x94, 0xc0],
  [0x0f, 0xc1, 0x1f],
  [0x0f, 0xb1, 0x1f],
  [0x0f, 0xc7, 0x0f],
  [0x0f, 0xab, 0xd8],
  [0x0f, 0xba, 0x2f, 0x03],
  [0x0f, 0xc8],
  [0x68, 1, 2, 3, 4],
  [0x6a, 0x80],
  [0x50],
  [0x9c],
  [0x86, 0x1f],
  [0x87, 0x1f],
  [0x8d, 0x07],
  [0x98],
  [0x99],
  [0xa0, 0, 4, 0, 0x10],
  [0xa4],
  [0xaa],
  [0xac],
  [0xb0, 0x12],
  [0xb8, 1, 2, 3, 4],
  [0xc1, 0x27, 3],
  [0xf7, 0x17],
  [0xf7, 0xd8],
  [0xfe, 0x07],
  [0xff, 0x07],
  [0xff, 0x37],
  [0x81, 0x07, 1, 2, 3, 4],
  [0x83, 0x2f, 0xff],
  [0x38, 0x1f],
  [0x84, 0x1f],
  [0xd7],
  [0xe3, 0x20],
  [0xe2, 0x20],
];
const PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];

function* prefixes(): Generator<NamedCase> {
  const sets = [...PREFIXES.map((p) => [p]), ...PREFIXES.flatMap((p) => PREFIXES.map((q) => [p, q]))];
  const registers = { eax: 0x00000102, ebx: DATA + 0x10, ecx: 2, edx: 5, ebp: 6, esi: DATA + 0x40, edi: DATA };
  for (const base of PREFIXED)
    for (const set of sets) {
      // XCHG EAX, EAX with REX-like meanings: F3 90 is PAUSE, which both know. XACQUIRE and XRELEASE hints change nothing.
      const code = [...set, ...base];
      const undefinedFlags =
        base[0] === 0xc1 ? 0x810 : base[1] === 0xaf ? 0xd4 : base[1] === 0xab || base[1] === 0xba ? 0x894 : 0;
      yield { ...cpuCase({ code, registers }), name: `prefixed ${Buffer.from(code).toString('hex')}`, undefinedFlags };
    }
}

const source = (family: string, make: () => Generator<NamedCase>): CaseSource => ({
  family,
  cases: { [Symbol.iterator]: make },
});
export const ENCODING_SOURCES: readonly CaseSource[] = [
  source('addressing', function* () {
    yield* effectiveAddresses();
    yield* accesses();
  }),
  source('prefixes', prefixes),
];
