/** FILD, FIST, FISTTP, FBLD, FBSTP and the constants (Intel SDM vol. 1, 4.2.1, 4.7, 8.2.1, 8.3.4). */
import { isUnsupported, put } from './f80';
import { C1, EXP_BIAS, EXP_MAX, IE, PE, RC_CHOP, RC_DOWN, RC_MASK, RC_NEAREST, RC_UP, SIGN } from './flags';
import { roundsUp } from './round';

/** FILD of any width, the value sign-extended. Always exact: returns no flags. */
export function f80_from_int(dst: usize, value: i64): i32 {
  if (value == 0) {
    put(dst, 0, 0);
    return 0;
  }
  const magnitude = u64(value < 0 ? -value : value);
  const shift = i32(clz(magnitude));
  put(dst, (value < 0 ? SIGN : 0) | (EXP_BIAS + 63 - shift), magnitude << shift);
  return 0;
}

/** Flags of the last `toMagnitude` or `toInteger`. */
export let flags: i32 = 0;

/** Magnitude of a finite value rounded to an integer; with IE in `flags` when it needs more than 64 bits or is no number. */
function toMagnitude(se: u32, significand: u64, rc: i32): u64 {
  flags = 0;
  const exponent = i32(se & 0x7fff);
  if (isUnsupported(se, significand) || exponent > EXP_BIAS + 63) {
    flags = IE;
    return 0;
  }
  if (significand == 0) return 0;
  const whole = exponent - EXP_BIAS + 1;
  if (whole == 64) return significand;
  const fraction = whole > 0 ? significand << whole : whole == 0 ? significand : 1;
  const kept = whole > 0 ? significand >> (64 - whole) : 0;
  if (fraction == 0) return kept;
  flags = PE;
  if (!roundsUp(se & SIGN, (kept & 1) != 0, fraction, rc)) return kept;
  flags = PE | C1;
  return kept + 1;
}

function load80ToInteger(a: usize, bits: i32, rc: i32): i64 {
  return toInteger(u32(load<u16>(a, 8)), load<u64>(a), bits, rc);
}

/** Common part of the integer stores: the value, or the integer indefinite of `bits` with IE in `flags`. */
export function toInteger(se: u32, significand: u64, bits: i32, rc: i32): i64 {
  const magnitude = toMagnitude(se, significand, rc);
  const limit: u64 = u64(1) << (bits - 1);
  if (flags != IE) {
    if ((se & SIGN) == 0 && magnitude < limit) return i64(magnitude);
    if ((se & SIGN) != 0 && magnitude <= limit) return -i64(magnitude);
  }
  flags = IE;
  return -i64(limit);
}

/** FIST/FISTP m16int, or FISTTP when `truncate`. Writes two bytes unless an unmasked exception forbids. */
export function f80_to_i16(dst: usize, a: usize, truncate: bool, cw: i32): i32 {
  const value = load80ToInteger(a, 16, truncate ? RC_CHOP : cw & RC_MASK);
  if (flags != IE || (cw & IE) != 0) store<u16>(dst, u16(value));
  return flags;
}

/** The same for m32int. */
export function f80_to_i32(dst: usize, a: usize, truncate: bool, cw: i32): i32 {
  const value = load80ToInteger(a, 32, truncate ? RC_CHOP : cw & RC_MASK);
  if (flags != IE || (cw & IE) != 0) store<u32>(dst, u32(value));
  return flags;
}

/** The same for m64int. */
export function f80_to_i64(dst: usize, a: usize, truncate: bool, cw: i32): i32 {
  const value = load80ToInteger(a, 64, truncate ? RC_CHOP : cw & RC_MASK);
  if (flags != IE || (cw & IE) != 0) store<i64>(dst, value);
  return flags;
}

/** FBLD: eighteen decimal digits and a sign from the ten bytes at `src`. Digits above 9 are undefined and count as such. */
export function f80_from_bcd(dst: usize, src: usize): i32 {
  const sign = (load<u8>(src, 9) & 0x80) != 0 ? SIGN : 0;
  let value: u64 = 0;
  for (let i: usize = 9; i-- > 0;) {
    const pair = u64(load<u8>(src + i));
    value = value * 100 + (pair >> 4) * 10 + (pair & 15);
  }
  if (value == 0) {
    put(dst, sign, 0);
    return 0;
  }
  const shift = i32(clz(value));
  put(dst, sign | (EXP_BIAS + 63 - shift), value << shift);
  return 0;
}

const BCD_LIMIT: u64 = 1000000000000000000;

/** FBSTP: rounds to an integer and writes ten bytes; the packed indefinite where eighteen digits do not suffice. */
export function f80_to_bcd(dst: usize, a: usize, cw: i32): i32 {
  const se = u32(load<u16>(a, 8));
  let magnitude = toMagnitude(se, load<u64>(a), cw & RC_MASK);
  if (flags == IE || magnitude >= BCD_LIMIT) {
    if (cw & IE) {
      store<u64>(dst, 0xc000000000000000);
      store<u16>(dst, 0xffff, 8);
    }
    return IE;
  }
  for (let i: usize = 0; i < 9; i++) {
    const rest = magnitude / 100;
    const pair = magnitude - rest * 100;
    store<u8>(dst + i, u8(((pair / 10) << 4) | (pair % 10)));
    magnitude = rest;
  }
  store<u8>(dst, (se & SIGN) != 0 ? 0x80 : 0, 9);
  return flags;
}

/**
 * The constants, by the low three bits of their opcode (D9 E8 + index): 1, log2 10, log2 e, pi, log10 2, ln 2, 0. They
 * are kept with more bits than fit and rounded by rounding control; neither PE nor C1 tells (SDM vol. 1, 8.3.4).
 */
export function f80_constant(dst: usize, index: i32, cw: i32): i32 {
  const rc = cw & RC_MASK;
  // Significands are cut off; the flag says whether the rest is more than half a unit.
  switch (index) {
    case 0:
      put(dst, EXP_BIAS, 0x8000000000000000);
      break;
    case 1:
      constant(dst, 0x4000, 0xd49a784bcd1b8afe, false, rc);
      break;
    case 2:
      constant(dst, 0x3fff, 0xb8aa3b295c17f0bb, true, rc);
      break;
    case 3:
      constant(dst, 0x4000, 0xc90fdaa22168c234, true, rc);
      break;
    case 4:
      constant(dst, 0x3ffd, 0x9a209a84fbcff798, true, rc);
      break;
    case 5:
      constant(dst, 0x3ffe, 0xb17217f7d1cf79ab, true, rc);
      break;
    default:
      put(dst, 0, 0);
  }
  return 0;
}

function constant(dst: usize, se: u32, cut: u64, aboveHalf: bool, rc: i32): void {
  put(dst, se, rc == RC_UP || (rc == RC_NEAREST && aboveHalf) ? cut + 1 : cut);
}
