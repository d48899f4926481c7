/**
 * Cases whose point is where code, operands and stack lie: at page ends, across two pages, in pages that are missing or
 * read-only, misaligned under EFLAGS.AC. No table of instructions gives these by itself.
 */
import { BASE_CODE_ADDRESS, cpuCase, type CaseParts } from '../base-case.ts';
import { EFLAGS, EFLAGS_STATUS, MEMORY, PAGE_SIZE, type CaseSource, type NamedCase } from '../case.ts';
import { f80Bytes } from '../operands.ts';
import { fxImage } from '../fxsave.ts';

const DATA_END = MEMORY.data.address + PAGE_SIZE;
const READ_ONLY = MEMORY.readOnly.address;
const STACK_END = MEMORY.stack.address + PAGE_SIZE;
const CODE_MIDDLE = MEMORY.code.address + PAGE_SIZE;
const CODE_END = MEMORY.code.address + MEMORY.code.size;

/** What an instruction leaves undefined. */
type Masks = Pick<NamedCase, 'undefinedStatus' | 'undefinedRegisters' | 'undefinedMemory'> & {
  readonly undefinedFlags?: number;
};

/** C0, C2 and C3. */
const X87: Masks = { undefinedStatus: 0x4500 };
const NOT_CF = EFLAGS_STATUS & ~EFLAGS.CF;

/** Instructions that use memory at [edi], with the bytes that they touch there. */
const ACCESSES: readonly (readonly [text: string, code: readonly number[], bytes: number, masks?: Masks])[] = [
  ['mov [edi], al', [0x88, 0x07], 1],
  ['mov [edi], ax', [0x66, 0x89, 0x07], 2],
  ['mov [edi], eax', [0x89, 0x07], 4],
  ['mov eax, [edi]', [0x8b, 0x07], 4],
  ['movzx eax, word [edi]', [0x0f, 0xb7, 0x07], 2],
  ['add [edi], eax', [0x01, 0x07], 4],
  ['lock add [edi], eax', [0xf0, 0x01, 0x07], 4],
  ['not dword [edi]', [0xf7, 0x17], 4],
  ['xchg [edi], eax', [0x87, 0x07], 4],
  ['cmpxchg [edi], ecx', [0x0f, 0xb1, 0x0f], 4],
  ['cmpxchg8b [edi]', [0x0f, 0xc7, 0x0f], 8],
  ['xadd [edi], eax', [0x0f, 0xc1, 0x07], 4],
  ['bts [edi], eax', [0x0f, 0xab, 0x07], 4, { undefinedFlags: NOT_CF & ~EFLAGS.ZF }],
  ['setc [edi]', [0x0f, 0x92, 0x07], 1],
  ['push dword [edi]', [0xff, 0x37], 4],
  ['pop dword [edi]', [0x8f, 0x07], 4],
  ['call [edi]', [0xff, 0x17], 4],
  ['test [edi], eax', [0x85, 0x07], 4],
  ['shl dword [edi], 1', [0xd1, 0x27], 4, { undefinedFlags: EFLAGS.AF }],
  ['div dword [edi]', [0xf7, 0x37], 4, { undefinedFlags: EFLAGS_STATUS }],
  ['fld dword [edi]', [0xd9, 0x07], 4, X87],
  ['fld qword [edi]', [0xdd, 0x07], 8, X87],
  ['fld tword [edi]', [0xdb, 0x2f], 10, X87],
  ['fst dword [edi]', [0xd9, 0x17], 4, X87],
  ['fstp qword [edi]', [0xdd, 0x1f], 8, X87],
  ['fstp tword [edi]', [0xdb, 0x3f], 10, X87],
  ['fnstcw [edi]', [0xd9, 0x3f], 2, X87],
  ['movq [edi], mm0', [0x0f, 0x7f, 0x07], 8],
  ['movups [edi], xmm0', [0x0f, 0x11, 0x07], 16],
  ['movaps [edi], xmm0', [0x0f, 0x29, 0x07], 16],
  ['movups xmm0, [edi]', [0x0f, 0x10, 0x07], 16],
  ['addps xmm0, [edi]', [0x0f, 0x58, 0x07], 16],
  ['movss [edi], xmm0', [0xf3, 0x0f, 0x11, 0x07], 4],
  ['stosd', [0xab], 4],
  ['rep stosd', [0xf3, 0xab], 4],
  ['scasd', [0xaf], 4],
];

/** A stack of one value, so that loads have room and stores have something to store. */
const ONE_ON_X87 = fxImage({ st: [f80Bytes(0, 0x3fff, 0x8000_0000_0000_0000n)] });

function* operandCases(): Generator<NamedCase> {
  for (const [text, code, bytes, masks] of ACCESSES) {
    const inside: readonly (readonly [string, number])[] = [
      ['at the page end', DATA_END - bytes],
      ['one byte before the page end', DATA_END - bytes - 1],
    ];
    const outside: readonly (readonly [string, number])[] = [
      ...Array.from(
        { length: bytes - 1 },
        (_, i) => [`${i + 1} beyond the page end`, DATA_END - bytes + i + 1] as const,
      ),
      ['below the page', MEMORY.data.address - bytes],
      ['into the page from below', MEMORY.data.address - 1],
      ['in a missing page', DATA_END + 0x10],
      ['in the read-only page', READ_ONLY + 0x20],
      ['into the read-only page from below', READ_ONLY - 1],
      ['at address 0', 0],
      ['at the top of memory', 2 ** 32 - bytes],
    ];
    const registers = { eax: 0x1f, ecx: 2, ebx: 0x01020304, edx: 0 };
    for (const [place, edi] of [...inside, ...outside])
      for (const eflags of [0, EFLAGS_STATUS]) {
        const name = `${text} ${place}${eflags === 0 ? '' : ', status flags set'}`;
        yield named(name, { code, registers: { ...registers, edi }, eflags, fx: ONE_ON_X87 }, masks);
      }
    // Only where nothing else is wrong, and up to 8 bytes: which of #AC and #PF comes first, and whether MOVUPS and
    // FLD m80fp check at all, is the processor's choice (SDM vol. 3, "Alignment Check Exception").
    for (const [place, edi] of bytes <= 8 ? inside : [])
      yield named(
        `${text} ${place}, AC set`,
        { code, registers: { ...registers, edi }, eflags: EFLAGS.AC, fx: ONE_ON_X87 },
        masks,
      );
  }
}

/** Instructions that use the stack. */
const STACK_USES: readonly (readonly [text: string, code: readonly number[], masks?: Masks])[] = [
  ['push eax', [0x50]],
  ['push ax', [0x66, 0x50]],
  ['pusha', [0x60], { undefinedMemory: true }],
  ['push esp', [0x54]],
  ['push imm8', [0x6a, 0x80]],
  ['pop eax', [0x58]],
  ['pop ax', [0x66, 0x58]],
  ['pop esp', [0x5c]],
  ['pop dword [esp]', [0x8f, 0x04, 0x24]],
  ['popa', [0x61]],
  ['call near', [0xe8, 0x10, 0, 0, 0]],
  ['ret', [0xc3]],
  ['ret 8', [0xc2, 8, 0]],
  ['enter 8, 0', [0xc8, 8, 0, 0], { undefinedMemory: true }],
  ['enter 8, 3', [0xc8, 8, 0, 3], { undefinedMemory: true }],
  ['leave', [0xc9]],
];

function* stackCases(): Generator<NamedCase> {
  const places: readonly (readonly [string, number])[] = [
    ['at the top of the page', STACK_END],
    ['one dword left above', STACK_END - 4],
    ['one word left above', STACK_END - 2],
    ['at the bottom of the page', MEMORY.stack.address],
    ['one dword left below', MEMORY.stack.address + 4],
    ['one word left below', MEMORY.stack.address + 2],
    ['half of pusha left below', MEMORY.stack.address + 16],
    ['half of popa left above', STACK_END - 16],
    ['in the read-only page', READ_ONLY + 0x80],
    ['at address 0', 0],
  ];
  for (const [text, code, masks] of STACK_USES)
    for (const [place, esp] of places) {
      const registers = { eax: 1, ecx: 2, edx: 3, ebx: 4, esp, ebp: esp, esi: 6, edi: 7 };
      // A POPA that faults in the middle may or may not have loaded the first registers.
      const partly = text === 'popa' && place.endsWith('left above') ? { undefinedRegisters: 0xef } : {};
      yield named(`${text} with esp ${place}`, { code, registers }, { ...masks, ...partly });
    }
}

/** String instructions with the number of bytes each step moves. */
const STRINGS: readonly (readonly [text: string, code: readonly number[], step: number])[] = [
  ['rep movsb', [0xf3, 0xa4], 1],
  ['rep movsw', [0xf3, 0x66, 0xa5], 2],
  ['rep movsd', [0xf3, 0xa5], 4],
  ['rep stosb', [0xf3, 0xaa], 1],
  ['rep stosd', [0xf3, 0xab], 4],
  ['rep lodsd', [0xf3, 0xad], 4],
  ['repe cmpsb', [0xf3, 0xa6], 1],
  ['repne cmpsd', [0xf2, 0xa7], 4],
  ['repe scasd', [0xf3, 0xaf], 4],
  ['repne scasb', [0xf2, 0xae], 1],
];

function* stringCases(): Generator<NamedCase> {
  for (const [text, code, step] of STRINGS) {
    // After a fault in the middle, Intel restores the flags of the start (SDM, REP), AMD keeps the last comparison's.
    const compares = /cmps|scas/.test(text);
    for (const count of [0, 1, 3, 8])
      for (const eflags of [0, EFLAGS.DF]) {
        const down = eflags !== 0;
        const edge = down ? MEMORY.data.address : DATA_END - step;
        const inside = (n: number): number => (down ? edge + n * step : edge - n * step);
        const places: readonly (readonly [string, { esi: number; edi: number }])[] = [
          ['both inside', { esi: inside(20), edi: inside(40) }],
          ['destination overlapping one step ahead', { esi: inside(20), edi: inside(19) }],
          ['destination leaving after 2', { esi: inside(40), edi: inside(1) }],
          ['source leaving after 2', { esi: inside(1), edi: inside(40) }],
          ['destination crossing the edge', { esi: inside(40), edi: inside(1) + (down ? -1 : 1) }],
          ['destination read-only', { esi: inside(40), edi: READ_ONLY + 0x100 }],
        ];
        for (const [place, pointers] of places)
          yield named(
            `${text} of ${count}${down ? ' downwards' : ''}, ${place}`,
            { code, registers: { eax: 0, ecx: count, ...pointers }, eflags },
            { undefinedFlags: compares && /leaving|crossing/.test(place) ? EFLAGS_STATUS : 0 },
          );
      }
  }
}

/** Instructions of several lengths, some with prefixes and immediates, for the places where their bytes may lie. */
const LENGTHS: readonly (readonly [text: string, code: readonly number[]])[] = [
  ['inc eax', [0x40]],
  ['add ax, imm16', [0x66, 0x05, 0x34, 0x12]],
  ['mov eax, imm32', [0xb8, 0x78, 0x56, 0x34, 0x12]],
  ['jmp rel8', [0xeb, 0x80]],
  ['jmp rel32', [0xe9, 0xf0, 0xfe, 0xff, 0xff]],
  ['call rel32', [0xe8, 0x00, 0xff, 0xff, 0xff]],
  ['ret', [0xc3]],
  ['ud2', [0x0f, 0x0b]],
  ['hlt', [0xf4]],
  ['mov dword [data], imm32', [0xc7, 0x05, 0, 1, 0, 0x10, 0x44, 0x33, 0x22, 0x11]],
  ['add dword [ecx+eax*4+disp32], imm32', [0x81, 0x84, 0x81, 0, 1, 0, 0x10, 0x44, 0x33, 0x22, 0x11]],
  ['15 bytes of prefixed nop', [...Array<number>(14).fill(0x66), 0x90]],
  ['16 bytes of prefixed nop', [...Array<number>(15).fill(0x66), 0x90]],
];

function* codeCases(): Generator<NamedCase> {
  for (const [text, code] of LENGTHS) {
    yield named(`${text} in the middle of the page`, { code });
    yield named(`${text} at the start of the pages`, { code, codeAddress: MEMORY.code.address });
    for (let inFirst = 1; inFirst <= code.length; inFirst++)
      yield named(`${text}, ${inFirst} of its bytes before the page boundary`, {
        code,
        codeAddress: CODE_MIDDLE - inFirst,
      });
    for (let present = 1; present <= code.length; present++)
      yield named(`${text}, ${present} of its bytes before the missing page`, {
        code: code.slice(0, present),
        codeAddress: CODE_END - present,
      });
  }
}

/** Jumps to places where there is no code, or code of another page. */
function* landingCases(): Generator<NamedCase> {
  const places: readonly (readonly [string, number])[] = [
    ['a missing page', CODE_END],
    ['before the code pages', MEMORY.code.address - 1],
    ['the last byte of the code pages', CODE_END - 1],
    ['the data page', MEMORY.data.address + 0x40],
    ['address 0', 0],
    ['the top of memory', 0xffffffff],
  ];
  for (const [place, eax] of places) {
    const memory = [{ address: MEMORY.data.address + 0x40, bytes: Uint8Array.of(0x41, 0x0f, 0x0b) }]; // inc ecx; ud2
    yield named(`jmp to ${place}`, { code: [0xff, 0xe0], registers: { eax }, memory });
    yield named(`call to ${place}`, { code: [0xff, 0xd0], registers: { eax }, memory });
    yield named(`push and ret to ${place}`, { code: [0x50, 0xc3], registers: { eax }, memory });
  }
}

/** Code that changes the instructions after it, near and on the next page. */
function* selfModifyingCases(): Generator<NamedCase> {
  for (const distance of [0, 1, 5, 0x7f0, 0x900]) {
    // mov byte [edi], 0x41 (inc ecx) over the filler at `distance`, then a jump there
    const code = [0xc6, 0x07, 0x41, 0xe9, distance, distance >> 8, 0, 0];
    const edi = BASE_CODE_ADDRESS + code.length + distance;
    yield named(`writes the instruction ${distance} bytes ahead and runs it`, { code, registers: { edi } });
  }
}

const named = (name: string, parts: CaseParts, masks: Masks = {}): NamedCase => ({
  ...cpuCase(parts),
  name,
  undefinedFlags: 0,
  ...masks,
});

export const boundaries: CaseSource = {
  family: 'boundaries',
  cases: {
    *[Symbol.iterator](): Generator<NamedCase> {
      yield* operandCases();
      yield* stackCases();
      yield* stringCases();
      yield* codeCases();
      yield* landingCases();
      yield* selfModifyingCases();
    },
  },
};
