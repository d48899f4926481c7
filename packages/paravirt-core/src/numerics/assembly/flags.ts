/** Bits of the x87 control and status words and of MXCSR (Intel SDM vol. 1, 8.1.3, 8.1.5, 10.2.3). */

// Exception flags: the same positions in the status word, in MXCSR, and as masks in the control word.
export const IE: i32 = 0x01;
export const DE: i32 = 0x02;
export const ZE: i32 = 0x04;
export const OE: i32 = 0x08;
export const UE: i32 = 0x10;
export const PE: i32 = 0x20;

// Condition codes of the status word. C1 reports the rounding direction: set when the magnitude was rounded up.
export const C0: i32 = 0x100;
export const C1: i32 = 0x200;
export const C2: i32 = 0x400;
export const C3: i32 = 0x4000;

// Precision control of the control word: bits 8 and 9. The reserved value 01 acts as 64 bits.
export const PC_MASK: i32 = 0x300;
export const PC_24: i32 = 0x000;
export const PC_53: i32 = 0x200;
export const PC_64: i32 = 0x300;

// Rounding control of the control word: bits 10 and 11.
export const RC_MASK: i32 = 0xc00;
export const RC_NEAREST: i32 = 0x000;
export const RC_DOWN: i32 = 0x400;
export const RC_UP: i32 = 0x800;
export const RC_CHOP: i32 = 0xc00;

// MXCSR: exception masks start at bit 7, rounding control at bit 13.
export const MXCSR_DAZ: i32 = 0x40;
export const MXCSR_MASKS_SHIFT: i32 = 7;
export const MXCSR_RC_SHIFT: i32 = 3; // from bit 13 down to bit 10, where the control word has it
export const MXCSR_FTZ: i32 = 0x8000;

/** Bit 63: the integer bit of a significand, and the half of a 64-bit fraction. */
export const MSB: u64 = 0x8000000000000000;
/** Bit 62: set in the significand of a quiet NaN. */
export const QUIET: u64 = 0x4000000000000000;
/** Biased exponent of infinities and NaNs, and the mask of the exponent in the sign-and-exponent word. */
export const EXP_MAX: i32 = 0x7fff;
export const EXP_BIAS: i32 = 16383;
export const SIGN: u32 = 0x8000;
/** What an unmasked overflow subtracts from the exponent and an unmasked underflow adds (SDM vol. 1, 8.5.4, 8.5.5). */
export const WRAP_BIAS: i32 = 24576;
