/** For tests: kernels of a few bytes, made here without an assembler. */

const LOAD = 0x10_0000,
  ENTRY = LOAD + 32;
const HLT = 0xf4;
/** Little-endian. */
export const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];

/** A multiboot image by its address fields (multiboot 0.6.96, 3.1.3). */
export function kernel(code: readonly number[]): Uint8Array {
  const flags = 1 << 16,
    end = ENTRY + code.length;
  const words = [0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, LOAD, LOAD, end, end, ENTRY];
  return Uint8Array.from([...words.flatMap(u32), ...code]);
}
/** MOV DX,3F8h: what the codes below expect in DX. */
export const COM1 = [0x66, 0xba, 0xf8, 0x03];
export const say = (text: string): number[] => [...COM1, ...[...text].flatMap((c) => [0xb0, c.charCodeAt(0), 0xee])];
/** Ends the guest with exit status (value << 1) | 1, by the isa-debug-exit port. */
export const exit = (value: number): number[] => [0xb0, value, 0xe6, 0xf4, HLT];

/**
 * Listens to the power button, says that it is ready, and powers itself off by it, as a system with ACPI does. The ports are those of a board without
 * firmware (firmware/acpi/dsdt.ts).
 */
export const obeyPowerButton = (): number[] => [
  ...[0x66, 0xba, 0x02, 0x06, 0x66, 0xb8, 0x00, 0x01, 0x66, 0xef], // MOV DX,PM1 enable ; MOV AX,100h ; OUT DX,AX
  ...[0xb0, 0xf1, 0xe6, 0xb2], // MOV AL,F1h ; OUT B2h,AL: ACPI on
  ...say('ready\n'),
  ...[0x66, 0xba, 0x00, 0x06], // MOV DX,PM1 status
  ...[0x66, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xf9], // IN AX,DX ; TEST AH,1 ; JZ back
  ...[...say('button\n'), 0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef, HLT], // PM1 control: SLP_EN, soft-off
];

/** Text memory: a byte of character, one of attribute. */
const SCREEN = 0xb_8000;
/**
 * A terminal: what comes in at COM1 goes out there again and onto the screen, scan codes of the keyboard go out at COM1, and a `q`
 * ends the guest.
 */
export function terminal(): number[] {
  const jump = (opcode: number, from: number, to: number): number[] => [opcode, (to - from - 2) & 0xff];
  const start = [0xbf, ...u32(SCREEN)]; // MOV EDI,screen
  const line = [
    ...[0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 1], // MOV DX,LSR ; IN AL,DX ; TEST AL,1
    ...[0x74, 15], // JZ keyboard
    ...[...COM1, 0xec, 0xee], // IN AL,DX ; OUT DX,AL
    ...[0x3c, 0x71], // CMP AL,'q'
    ...[0x74, 0], // JE end, patched below
    ...[0xaa, 0xb0, 0x07, 0xaa], // STOSB ; MOV AL,7 ; STOSB
    0x90,
  ];
  const keyboard = [
    ...[0xe4, 0x64, 0xa8, 1], // IN AL,64h ; TEST AL,1
    ...[0x74, 0], // JZ line, patched below
    ...[0xe4, 0x60, ...COM1, 0xee], // IN AL,60h ; OUT DX,AL
  ];
  const at = { line: start.length, keyboard: start.length + line.length, back: 0, end: 0 };
  at.back = at.keyboard + keyboard.length;
  at.end = at.back + 2;
  const je = line.indexOf(0x3c, 9) + 2;
  line.splice(je, 2, ...jump(0x74, at.line + je, at.end));
  keyboard.splice(4, 2, ...jump(0x74, at.keyboard + 4, at.line));
  return [...start, ...line, ...keyboard, ...jump(0xeb, at.back, at.line), ...exit(1)];
}

/**
 * For each byte typed at COM1 it reads the first block of the disc in the secondary master (ATA/ATAPI-6, 9.8), and answers with the
 * block's first byte, or `!` where the drive refuses. A `q` ends the guest.
 */
export function discReader(): number[] {
  const port = (n: number): number[] => [0x66, 0xba, n & 0xff, n >> 8]; // MOV DX,n
  const put = (n: number, value: number): number[] => [...port(n), 0xb0, value, 0xee];
  const buffer = u32(0x20_0000);
  const before = [
    ...[...port(0x3fd), 0xec, 0xa8, 1, 0x74, 0xf7, ...port(0x3f8), 0xec], // until a byte is there; IN AL,DX
    ...[0x3c, 0x71, 0x75, exit(1).length, ...exit(1)], // CMP AL,'q' ; JNE beyond
    ...[...put(0x176, 0xa0), ...put(0x171, 0), ...put(0x174, 0), ...put(0x175, 8), ...put(0x177, 0xa0)],
    ...[0xec, 0x24, 0x88, 0x3c, 8, 0x75, 0xf9], // until DRQ without BSY
    ...[...port(0x170), 0xb9, ...u32(6), 0xbe], // MOV ECX,6 ; MOV ESI,
  ];
  const behind = [
    ...[0xf3, 0x66, 0x6f, ...port(0x177), 0xec, 0xa8, 0x80, 0x75, 0xfb], // REP OUTSW ; until not BSY
    ...[0xa8, 1, 0x75, 24], // TEST AL,ERR ; JNZ to the MOV AL,'!'
    ...[...port(0x170), 0xbf, ...buffer, 0xb9, ...u32(1024), 0xf3, 0x66, 0x6d, 0xa0, ...buffer, 0xeb, 2],
    ...[0xb0, 0x21, ...COM1, 0xee], // OUT DX,AL
  ];
  const length = before.length + 4 + behind.length + 5;
  const read = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
  return [...before, ...u32(ENTRY + length), ...behind, 0xe9, ...u32(-length >>> 0), ...read];
}
