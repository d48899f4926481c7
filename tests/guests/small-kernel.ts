/** Kernels of a few bytes: multiboot ELF files made here, without a compiler. */

const BASE = 0x10_0000;
const FILE_HEADER = 52,
  PROGRAM_HEADER = 32,
  CODE_AT = 96; // behind the multiboot header, in file and memory alike
const COM1 = 0x3f8;

/** An ELF file (System V ABI, figures 4-3 and 5-1) with a multiboot header (multiboot 0.6.96, 3.1) whose entry is `code`. */
export function smallKernel(code: readonly number[]): Uint8Array {
  const size = CODE_AT + code.length,
    file = new Uint8Array(size),
    view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  const halves: [number, number][] = [
    [16, 2], // ET_EXEC
    [18, 3], // EM_386
    [40, FILE_HEADER],
    [42, PROGRAM_HEADER],
    [44, 1],
  ];
  const words: [number, number][] = [
    [20, 1],
    [24, BASE + CODE_AT],
    [28, FILE_HEADER],
    [FILE_HEADER, 1], // PT_LOAD
    [FILE_HEADER + 8, BASE],
    [FILE_HEADER + 12, BASE],
    [FILE_HEADER + 16, size],
    [FILE_HEADER + 20, size],
    [FILE_HEADER + 24, 7],
    [FILE_HEADER + 28, 4096],
    [84, 0x1bad_b002],
    [92, -0x1bad_b002],
  ];
  for (const [at, value] of halves) view.setUint16(at, value, true);
  for (const [at, value] of words) view.setInt32(at, value, true);
  file.set(code, CODE_AT);
  return file;
}

const u16 = (n: number): number[] => [n & 0xff, n >> 8];
const u32 = (n: number): number[] => [...u16(n & 0xffff), ...u16((n >>> 16) & 0xffff)];

/** Code that writes a text to COM1, byte by byte. */
export const say = (text: string): number[] => [
  ...[0x66, 0xba, ...u16(COM1)], // mov dx, 3F8h
  ...[...text].flatMap((c) => [0xb0, c.charCodeAt(0), 0xee]), // mov al, c; out dx, al
];
/** Ends the guest with exit status (value << 1) | 1, by the isa-debug-exit port. */
export const exit = (value: number): number[] => [0xb0, value, 0xe6, 0xf4, ...stop];
/** cli; hlt */
const stop = [0xfa, 0xf4];
export const halt = stop;
/** An empty interrupt table, then an exception: lidt [address of six zeros]; int3. */
export const tripleFault = (): number[] => [0x0f, 0x01, 0x1d, ...u32(0), 0xcc];
/** jmp to itself, with interrupts off. */
export const spin: number[] = [0xfa, 0xeb, 0xfe];
