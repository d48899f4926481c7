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
