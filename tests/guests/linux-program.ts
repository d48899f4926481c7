/** Programs for Linux on i386, put together byte by byte: for system calls that no command of the guests makes. */
const BASE = 0x0804_8000;
const HEADER_BYTES = 52;
const SEGMENT_BYTES = 32;

export const u32 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff];
/** MOV register, value. */
export const set = {
  eax: (value: number): number[] => [0xb8, ...u32(value)],
  ebx: (value: number): number[] => [0xbb, ...u32(value)],
  ecx: (value: number): number[] => [0xb9, ...u32(value)],
  edx: (value: number): number[] => [0xba, ...u32(value)],
  esi: (value: number): number[] => [0xbe, ...u32(value)],
  ebp: (value: number): number[] => [0xbd, ...u32(value)],
};
export const SYSCALL = [0xcd, 0x80];
/** MOV EDI, EAX and MOV EBX, EDI. */
export const KEEP = [0x89, 0xc7];
export const KEPT = [0x89, 0xfb];

/** An ELF file of one segment, with `data` behind the code; `code` is told where that lies, and has the same length wherever. */
export function linuxProgram(code: (data: number) => readonly number[], data: readonly number[]): Uint8Array {
  const start = BASE + HEADER_BYTES + SEGMENT_BYTES;
  const all = [...code(start + code(0).length), ...data];
  const size = start - BASE + all.length;
  const identity = [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, ...Array<number>(9).fill(0)];
  const tables = [...u32(HEADER_BYTES), ...u32(0), ...u32(0), HEADER_BYTES, 0, SEGMENT_BYTES, 0, 1, 0, 0, 0, 0, 0, 0, 0];
  const header = [...identity, 2, 0, 3, 0, ...u32(1), ...u32(start), ...tables];
  const segment = [1, 0, BASE, BASE, size, size, 5, 0x1000].flatMap(u32);
  return Uint8Array.from([...header, ...segment, ...all]);
}
