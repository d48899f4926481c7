/**
 * Loops that each cost mostly one thing. They run in a flat 32-bit protected-mode machine without devices, paging on where the
 * loop needs it (see loop-machine.ts); ECX counts the rounds, and HLT ends them.
 */
import type { Assembler } from './assembler.ts';
import { DATA, PAGE_DIRECTORY, SECOND_DIRECTORY, UNMAPPED, WINDOW } from './loop-machine.ts';

export interface Loop {
  readonly name: string;
  readonly what: string;
  /** Rounds of one measurement. */
  readonly rounds: number;
  readonly paging?: boolean;
  /** Runs in ring 3. */
  readonly user?: boolean;
  /** What one round is worth, where instructions say little. */
  readonly unit?: { readonly name: string; readonly perRound: number };
  /** Writes the body: from label 'loop' to the jump back. ECX is taken. */
  readonly body: (a: Assembler) => void;
}

const JZ = 4,
  JC = 2;
/** MOV r32, imm32. */
const load = (a: Assembler, register: number, value: number): Assembler => a.code(0xb8 + register).dword(value);
const EAX = 0,
  EDX = 2,
  ESI = 6,
  EDI = 7;
/** Pages touched by the loops that miss the TLB. */
const STRIDE_PAGES = 64;
const SWITCH_PAGES = 8;

/** Touches pages of the window, one after another; EDX is taken. */
function touchPages(a: Assembler, pages: number, label: string): void {
  load(a, ESI, WINDOW);
  load(a, EDX, pages);
  a.label(label).code(0x8b, 0x06); // mov eax, [esi]
  a.code(0x81, 0xc6).dword(4096); // add esi, 4096
  a.code(0x4a).jump(5, label); // dec edx; jnz
}

export const LOOPS: readonly Loop[] = [
  {
    name: 'alu',
    what: 'eight register instructions and a loop',
    rounds: 4_000_000,
    body: (a) =>
      a
        .label('loop')
        .code(0x01, 0xd8) // add eax, ebx
        .code(0x31, 0xc2) // xor edx, eax
        .code(0x29, 0xd6) // sub esi, edx
        .code(0x21, 0xf7) // and edi, esi
        .code(0x8d, 0x6c, 0x90, 0x05) // lea ebp, [eax+edx*4+5]
        .code(0xc1, 0xe2, 0x03) // shl edx, 3
        .code(0x43) // inc ebx
        .code(0x39, 0xc3) // cmp ebx, eax
        .countDown('loop'),
  },
  {
    name: 'memory',
    what: 'loads, stores and updates of a few lines of memory',
    rounds: 4_000_000,
    paging: true,
    body: (a) => {
      load(a, ESI, DATA);
      a.label('loop')
        .code(0x8b, 0x06) // mov eax, [esi]
        .code(0x03, 0x46, 0x04) // add eax, [esi+4]
        .code(0x89, 0x46, 0x08) // mov [esi+8], eax
        .code(0x01, 0x46, 0x10) // add [esi+16], eax
        .code(0x0f, 0xb6, 0x56, 0x08) // movzx edx, byte [esi+8]
        .code(0x88, 0x54, 0x96, 0x20) // mov [esi+edx*4+32], dl
        .code(0x83, 0x7e, 0x10, 0x00) // cmp dword [esi+16], 0
        .countDown('loop');
    },
  },
  {
    name: 'calls',
    what: 'call, a stack frame, pushes and pops, return',
    rounds: 3_000_000,
    paging: true,
    body: (a) =>
      a
        .label('loop')
        .code(0xe8)
        .relative('function')
        .countDown('loop')
        .code(0xf4)
        .label('function')
        .code(0x55) // push ebp
        .code(0x89, 0xe5) // mov ebp, esp
        .code(0x53) // push ebx
        .code(0x8b, 0x45, 0x04) // mov eax, [ebp+4]
        .code(0x5b) // pop ebx
        .code(0xc9) // leave
        .code(0xc3), // ret
  },
  {
    name: 'branches',
    what: 'a xorshift generator decides two branches a round',
    rounds: 2_500_000,
    body: (a) =>
      load(a, EAX, 2463534242)
        .label('loop')
        .code(0x89, 0xc2, 0xc1, 0xe2, 0x0d, 0x31, 0xd0) // mov edx, eax; shl edx, 13; xor eax, edx
        .code(0x89, 0xc2, 0xc1, 0xea, 0x11, 0x31, 0xd0) // mov edx, eax; shr edx, 17; xor eax, edx
        .code(0x89, 0xc2, 0xc1, 0xe2, 0x05, 0x31, 0xd0) // mov edx, eax; shl edx, 5; xor eax, edx
        .code(0xa8, 0x01) // test al, 1
        .jump(JZ, 'even')
        .code(0x43) // inc ebx
        .label('even')
        .code(0x0f, 0xba, 0xe0, 0x07) // bt eax, 7
        .jump(JC, 'set')
        .code(0x46) // inc esi
        .label('set')
        .countDown('loop'),
  },
  {
    name: 'rep movsd',
    what: 'copies of 4 KiB within two pages',
    rounds: 100_000,
    paging: true,
    unit: { name: 'KiB', perRound: 4 },
    body: (a) => {
      a.code(0x89, 0xcb); // mov ebx, ecx
      load(a.label('loop'), ESI, DATA);
      load(a, EDI, DATA + 4096);
      load(a, 1, 1024)
        .code(0xfc, 0xf3, 0xa5) // cld; rep movsd
        .code(0x4b) // dec ebx
        .jump(5, 'loop');
    },
  },
  {
    name: 'TLB misses',
    what: `CR4.PGE changes, which forgets all pages, then ${STRIDE_PAGES} pages are read`,
    rounds: 20_000,
    paging: true,
    unit: { name: 'miss', perRound: STRIDE_PAGES },
    body: (a) => {
      a.label('loop').code(0x0f, 0x20, 0xe0, 0x34, 0x80, 0x0f, 0x22, 0xe0); // mov eax, cr4; xor al, 80h; mov cr4, eax
      touchPages(a, STRIDE_PAGES, 'touch');
      a.countDown('loop');
    },
  },
  {
    name: 'address spaces',
    what: `CR3 changes between two directories, ${SWITCH_PAGES} pages are read in each`,
    rounds: 40_000,
    paging: true,
    unit: { name: 'switch', perRound: 2 },
    body: (a) => {
      a.label('loop');
      for (const [directory, label] of [
        [SECOND_DIRECTORY, 'there'],
        [PAGE_DIRECTORY, 'here'],
      ] as const) {
        load(a, EAX, directory).code(0x0f, 0x22, 0xd8); // mov cr3, eax
        touchPages(a, SWITCH_PAGES, label);
      }
      a.countDown('loop');
    },
  },
  {
    name: 'int and iret',
    what: 'INT 80h from ring 3 to ring 0 and back',
    rounds: 200_000,
    paging: true,
    user: true,
    unit: { name: 'round trip', perRound: 1 },
    body: (a) => a.label('loop').code(0xcd, 0x80).countDown('loop'),
  },
  {
    name: 'page faults',
    what: 'a read of an absent page in ring 3; the handler steps over it',
    rounds: 200_000,
    paging: true,
    user: true,
    unit: { name: 'round trip', perRound: 1 },
    body: (a) => a.label('loop').code(0xa1).dword(UNMAPPED).countDown('loop'), // mov eax, [UNMAPPED]
  },
  {
    name: 'x87',
    what: 'load, multiply, add, store of doubles',
    rounds: 1_000_000,
    paging: true,
    body: (a) => {
      load(a, ESI, DATA).code(0xdb, 0xe3); // fninit
      a.label('loop')
        .code(0xdd, 0x06) // fld qword [esi]
        .code(0xdc, 0x4e, 0x08) // fmul qword [esi+8]
        .code(0xdc, 0x46, 0x10) // fadd qword [esi+16]
        .code(0xd9, 0xc0, 0xde, 0xc1) // fld st0; faddp st1, st0
        .code(0xdd, 0x5e, 0x18) // fstp qword [esi+24]
        .countDown('loop');
    },
  },
  {
    name: 'SSE2',
    what: 'packed single and double multiplications and additions, integer additions',
    rounds: 1_000_000,
    paging: true,
    body: (a) => {
      load(a, ESI, DATA);
      a.label('loop')
        .code(0x0f, 0x28, 0x06) // movaps xmm0, [esi]
        .code(0x0f, 0x59, 0x46, 0x10) // mulps xmm0, [esi+16]
        .code(0x0f, 0x58, 0xc8) // addps xmm1, xmm0
        .code(0x66, 0x0f, 0x59, 0xd3) // mulpd xmm2, xmm3
        .code(0x66, 0x0f, 0xfe, 0x66, 0x20) // paddd xmm4, [esi+32]
        .code(0x0f, 0x29, 0x46, 0x30) // movaps [esi+48], xmm0
        .countDown('loop');
    },
  },
];
