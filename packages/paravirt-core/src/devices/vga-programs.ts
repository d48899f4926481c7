/** Pieces of real-mode programs that set a mode by the video BIOS and draw, as machine code, for the tests of pictures. */

export const word = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff];
/** mov ax, bx, cx, dx; int 10h. */
export const video = (ax: number, bx = 0, cx = 0, dx = 0): number[] => [
  0xb8, ...word(ax), 0xbb, ...word(bx), 0xb9, ...word(cx), 0xba, ...word(dx), 0xcd, 0x10,
]; // prettier-ignore
/** mov es, segment; xor di, di; cld; mov cx, words; again: `make` leaves a word in ax; stosw; loop again. */
export const fill = (segment: number, words: number, make: readonly number[]): number[] => [
  0xb8, ...word(segment), 0x8e, 0xc0, 0x31, 0xff, 0xfc, 0xb9, ...word(words),
  ...make, 0xab, 0xe2, 256 - (make.length + 3),
]; // prettier-ignore
/** mov ax, di; rol ax, turn; xor al, ah. */
export const mixed = (turn: number): number[] => [0x89, 0xf8, 0xc1, 0xc0, turn, 0x30, 0xe0];
/** mov dx, di; shr dx, 1; mov al, dl; mov ah, dl; add ah, dh; rol ah, 3; and ah, `attributes`: every character. */
export const characters = (attributes: number): number[] => [
  0x89, 0xfa, 0xd1, 0xea, 0x88, 0xd0, 0x88, 0xd4, 0x00, 0xf4, 0xc0, 0xc4, 3, 0x80, 0xe4, attributes,
]; // prettier-ignore
/** mov dx, port; mov al, value; out dx, al. */
export const out = (port: number, value: number): number[] => [0xba, ...word(port), 0xb0, value, 0xee];
/** An indexed register: mov dx, port; mov ax, index and value; out dx, ax. */
export const register = (port: number, index: number, value: number): number[] => [
  0xba, ...word(port), 0xb8, index, value, 0xef,
]; // prettier-ignore
/** Each plane in turn through the map mask register. */
export const planes = (words: number): number[] =>
  [0, 1, 2, 3].flatMap((plane) => [...register(0x3c4, 2, 1 << plane), ...fill(0xa000, words, mixed(plane * 3 + 1))]);
/** A mode of the VESA BIOS extension, filled through its window: so many words of each of `banks` of 64 KiB. */
export const linear = (mode: number, turn: number, banks = 1, words = 0x7fff): number[] => [
  ...video(0x4f02, mode),
  ...Array.from({ length: banks }, (_, bank) => [
    ...video(0x4f05, 0, 0, bank),
    ...fill(0xa000, words, mixed(turn + bank)),
  ]).flat(),
];

/** Whether a dot is the ninth of a character for which QEMU repeats the eighth and a VGA does not. */
export function isMootNinthDot(memory: Uint8Array, x: number, y: number, height = 16): boolean {
  const code = memory[(Math.floor(y / height) * 80 + Math.floor(x / 9)) * 4]!;
  return x % 9 === 8 && code >= 0xb0 && code < 0xc0;
}
