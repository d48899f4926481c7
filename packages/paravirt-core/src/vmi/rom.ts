/** The VMI option ROM: headers, the two entry points, relocation answers, the code of the calls. Nothing in it is ever written. */
import { Assembler, EAX, ECX, EDX, memory } from './assembler.ts';
import { ANSWERS, type Answers } from './answers.ts';
import { CALLS, CALL_NAMES, HYPERCALL_INIT, RELOCATION } from './interface.ts';
import { CODE, hypercall } from './rom-code.ts';

/** Images begin at multiples of this. */
export const ROM_ALIGNMENT = 2048;
/** Where the BIOS's images end and other ones may lie; guests look from C0000h to DFFFFh. */
export const ROM_AREA = { from: 0xc_0000, to: 0xe_0000 } as const;
const UNIT = 512;

const VERSION = { major: 3, minor: 0 } as const;
const ROM_VERSION = { major: 1, minor: 0 } as const;
const LICENCE = 'GPL v2';
const MANUFACTURER = 'Tomei';
const PRODUCT = 'VMI ROM';
/** VMware's device, by which guests know such a ROM. */
const VENDOR_ID = 0x15ad,
  DEVICE_ID = 0x0801;
/** Memory controller, other. */
const CLASS_CODE = [0x00, 0x80, 0x05] as const;

/** Offsets of the header (Linux: struct vrom_header). */
const AT = { size: 2, fixUp: 7, init: 0x80, relocation: 0x88, table: 0x90 } as const;
/** What is said of a call: the offset of its code and its type, a doubleword each. */
const ENTRY = 8;
const CODE_SEGMENT = 1;
/** RETF: what the BIOS calls, and is done with. */
const RETF = 0xcb;

const text = (s: string): number[] => [...s].map((c) => c.charCodeAt(0));
const word = (n: number): number[] => [n & 0xff, n >> 8];
const dword = (n: number): number[] => [...word(n & 0xffff), ...word(n >>> 16)];
const checksum = (bytes: Uint8Array | readonly number[]): number =>
  -[...bytes].reduce((sum, byte) => sum + byte, 0) & 0xff;

export interface VmiRom {
  /** A whole number of 2 KiB; the sum of its bytes is 0 modulo 256. */
  readonly bytes: Uint8Array;
  /** Offset of a call's code. */
  readonly offsetOf: ReadonlyMap<number, number>;
  /** Offset of the IRET that ends the call of that name. */
  readonly iret: number;
}

/** `answers` are those of GetRelocationInfo. */
export function vmiRom(answers: Answers = ANSWERS): VmiRom {
  const a = new Assembler().padTo(AT.init);
  a.branch('jmp E9 cv', 'init')
    .padTo(AT.relocation)
    .branch('jmp E9 cv', 'relocation')
    .padTo(AT.table + CALLS * ENTRY);

  // The kernel has mapped the ROM where it likes, so that code finds its address by a call.
  a.label('init').branch('call E8 cv', 'init here').label('init here').op('pop 58+r', { reg: EAX });
  a.op('sub 2D iv', { immediate: a.offsetOf('init here') });
  hypercall(HYPERCALL_INIT)(a);

  a.label('relocation').op('cmp 3D iv', { immediate: CALLS }).branch('jae 73 cb', 'unknown');
  a.branch('call E8 cv', 'here').label('here').op('pop 58+r', { reg: EDX });
  relocation(a, a.offsetOf('here'));
  a.label('unknown').op('xor 31 /r', { reg: EAX, rm: EAX }).op('xor 31 /r', { reg: EDX, rm: EDX }).op('ret C3');

  const offsetOf = new Map<number, number>();
  CALL_NAMES.forEach((name, number) => {
    const its = CODE[name];
    if (its === undefined) return;
    offsetOf.set(number, a.length);
    its(a);
  });
  const strings = [LICENCE, MANUFACTURER, PRODUCT].map((s) => {
    const at = a.length;
    a.data(...text(s), 0);
    return at;
  });
  a.padTo(Math.ceil(a.length / 4) * 4);
  const pcir = a.length;
  a.padTo(pcir + 0x18);
  const pnp = Math.ceil(a.length / 16) * 16;
  a.padTo(pnp + 0x20).padTo(Math.ceil(a.length / ROM_ALIGNMENT) * ROM_ALIGNMENT);

  const bytes = a.finish(),
    units = bytes.length / UNIT;
  CALL_NAMES.forEach((name, number) => {
    const offset = offsetOf.get(number),
      type = RELOCATION[offset === undefined ? 'NONE' : answers[name]];
    if (type !== RELOCATION.NONE) bytes.set([...dword(offset!), ...dword(type)], AT.table + number * ENTRY);
  });
  bytes.set([0x55, 0xaa, units, RETF]);
  bytes.set([...text('cVmi'), VERSION.minor, VERSION.major, CALLS, 0], 8);
  bytes.set([...word(strings[0]!), ...word(pcir), ...word(pnp)], 0x16);
  bytes.set(pcirStructure(units), pcir);
  bytes.set(pnpHeader(strings[1]!, strings[2]!), pnp);
  bytes[AT.fixUp] = checksum(bytes);
  return { bytes, offsetOf, iret: a.offsetOf('IRET itself') };
}

/** EAX is the number and EDX the address of `here`: EIP into EAX, the type into EDX. CS, since it is the segment that is right. */
function relocation(a: Assembler, here: number): void {
  const entry = (more: number) => memory(EDX, AT.table - here + more, { index: EAX, scale: 3, segment: CODE_SEGMENT });
  a.op('mov 8B /r', { reg: ECX, memory: entry(4) })
    .op('test 85 /r', { reg: ECX, rm: ECX })
    .branch('jz 74 cb', 'unknown');
  a.op('mov 8B /r', { reg: EAX, memory: entry(0) });
  a.op('lea 8D /r', { reg: EAX, memory: memory(EAX, -here, { index: EDX, scale: 0 }) });
  a.op('mov 89 /r', { reg: ECX, rm: EDX }).op('ret C3');
}

/** PCI Local Bus 3.0, 6.3.1.2. */
const pcirStructure = (units: number): number[] => [
  ...text('PCIR'),
  ...word(VENDOR_ID),
  ...word(DEVICE_ID),
  ...[0, 0, 0x18, 0, 0],
  ...CLASS_CODE,
  ...word(units),
  ...[ROM_VERSION.minor, ROM_VERSION.major, 0, 0x80, 0, 0],
];
/** An expansion header without a way to boot (Plug and Play BIOS 1.0A, 3.2). */
function pnpHeader(manufacturer: number, product: number): number[] {
  const header = [
    ...text('$PnP'),
    ...[1, 2, 0, 0, 0, 0],
    ...dword(0),
    ...word(manufacturer),
    ...word(product),
    ...CLASS_CODE,
    ...Array.from({ length: 11 }, () => 0),
  ];
  header[9] = checksum(header);
  return header;
}
