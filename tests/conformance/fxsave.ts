/** FXSAVE images: building them, reading them, and the part of them that results compare (Intel SDM vol. 1, "FXSAVE Area"). */
import { assert } from '@tomei/kit';

export const FX_SIZE = 512;

/** Byte offsets in the image. */
export const FX = {
  fcw: 0,
  fsw: 2,
  ftw: 4,
  fop: 6,
  fip: 8,
  fdp: 16,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
} as const;
/** Distance between two ST or XMM entries; an ST entry uses 10 bytes of it. */
export const FX_ENTRY = 16;
export const ST_SIZE = 10;
export const FX_REGISTERS = 8;

/** After FNINIT: all exceptions masked, 64-bit precision, round to nearest. */
export const FCW_INITIAL = 0x037f;
/** After reset: all exceptions masked, round to nearest. */
export const MXCSR_INITIAL = 0x1f80;
/** MXCSR bits that every processor with SSE2 has; the rest is reserved and faults when it is set. */
export const MXCSR_DEFINED = 0xffff;

const FSW_TOP_SHIFT = 11;
const FSW_TOP_MASK = 7 << FSW_TOP_SHIFT;

/** The parts of an image that are not as after FNINIT with empty registers. */
export interface FxParts {
  readonly fcw?: number;
  /** Status word without TOP, which `top` gives. */
  readonly fsw?: number;
  /** Which physical register ST(0) is; 8 minus the number of values in `st` by default, as if they had been loaded. */
  readonly top?: number;
  /** ST(0), ST(1), ... as 10 bytes each; these registers are tagged valid, the rest empty. */
  readonly st?: readonly Uint8Array[];
  /** Bit n: physical register n is not empty; instead of what `st` says. */
  readonly tags?: number;
  /** MM0, MM1, ... as 8 bytes each: sets TOP to 0 and all tags valid, as an MMX instruction does. Not together with `st`. */
  readonly mm?: readonly Uint8Array[];
  readonly mxcsr?: number;
  /** XMM0, XMM1, ... as 16 bytes each. */
  readonly xmm?: readonly Uint8Array[];
}

/** Builds a 512-byte image. Throws when a value has the wrong length or there are too many. */
export function fxImage(parts: FxParts = {}): Uint8Array {
  const image = new Uint8Array(FX_SIZE);
  const view = new DataView(image.buffer);
  const st = parts.st ?? [];
  const mm = parts.mm ?? [];
  assert(st.length === 0 || mm.length === 0, 'ST and MMX registers are the same registers');
  const top = parts.top ?? (mm.length > 0 ? 0 : (FX_REGISTERS - st.length) & 7);
  view.setUint16(FX.fcw, parts.fcw ?? FCW_INITIAL, true);
  view.setUint16(FX.fsw, ((parts.fsw ?? 0) & ~FSW_TOP_MASK) | (top << FSW_TOP_SHIFT), true);
  view.setUint32(FX.mxcsr, parts.mxcsr ?? MXCSR_INITIAL, true);
  let tags = mm.length > 0 ? 0xff : 0;
  st.forEach((_, i) => (tags |= 1 << ((top + i) & 7)));
  image[FX.ftw] = parts.tags ?? tags;
  putEntries(image, FX.st, ST_SIZE, st);
  putEntries(image, FX.st, 8, mm);
  // Writing an MMX register sets the exponent and sign of the register under it to all ones (SDM vol. 3, "MMX State").
  mm.forEach((_, i) => image.fill(0xff, FX.st + i * FX_ENTRY + 8, FX.st + i * FX_ENTRY + ST_SIZE));
  putEntries(image, FX.xmm, FX_ENTRY, parts.xmm ?? []);
  return image;
}

function putEntries(image: Uint8Array, at: number, length: number, entries: readonly Uint8Array[]): void {
  assert(entries.length <= FX_REGISTERS, 'at most eight registers');
  entries.forEach((bytes, i) => {
    assert(bytes.length === length, `a register of ${length} bytes`);
    image.set(bytes, at + i * FX_ENTRY);
  });
}

const COMPARED: readonly (readonly [start: number, end: number])[] = [
  [FX.fcw, FX.ftw + 1],
  [FX.mxcsr, FX.mxcsr + 4],
  ...Array.from({ length: FX_REGISTERS }, (_, i) => [FX.st + i * FX_ENTRY, FX.st + i * FX_ENTRY + ST_SIZE] as const),
  [FX.xmm, FX.xmm + FX_REGISTERS * FX_ENTRY],
];

/**
 * A copy with zeros in every byte that processors may differ in: the last instruction's opcode and pointers (FOP, FIP,
 * FCS, FDP, FDS: AMD keeps them only for unmasked exceptions), MXCSR_MASK, and everything reserved.
 */
export function normalizeFx(image: Uint8Array): Uint8Array {
  assert(image.length >= FX_SIZE, 'a whole FXSAVE image');
  const clean = new Uint8Array(FX_SIZE);
  for (const [start, end] of COMPARED) clean.set(image.subarray(start, end), start);
  return clean;
}

const u16 = (image: Uint8Array, at: number): number => (image[at] ?? 0) | ((image[at + 1] ?? 0) << 8);

export const fcwOf = (image: Uint8Array): number => u16(image, FX.fcw);
export const fswOf = (image: Uint8Array): number => u16(image, FX.fsw);
/** Abridged tags: bit n set means that physical register n is not empty. */
export const ftwOf = (image: Uint8Array): number => image[FX.ftw] ?? 0;
export const mxcsrOf = (image: Uint8Array): number => (u16(image, FX.mxcsr) | (u16(image, FX.mxcsr + 2) << 16)) >>> 0;
/** The 10 bytes of ST(n). */
export const stOf = (image: Uint8Array, n: number): Uint8Array =>
  image.subarray(FX.st + n * FX_ENTRY, FX.st + n * FX_ENTRY + ST_SIZE);
/** The 16 bytes of XMMn. */
export const xmmOf = (image: Uint8Array, n: number): Uint8Array =>
  image.subarray(FX.xmm + n * FX_ENTRY, FX.xmm + (n + 1) * FX_ENTRY);
