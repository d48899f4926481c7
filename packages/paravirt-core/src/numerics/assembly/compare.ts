/** FCOM, FUCOM, FTST and FXAM: answers are condition codes in their status word positions (Intel SDM vol. 1, 8.1.3.1). */
import { isDenormal, isInfinity, isNaN80, isUnsupported, normalExponent, normalize } from './f80';
import { C0, C1, C2, C3, DE, IE, QUIET, SIGN } from './flags';

const UNORDERED: i32 = C3 | C2 | C0;

/**
 * Relation of a to b: C3 equal, C0 less, all three unordered. `quiet` is FUCOM: a quiet NaN raises nothing.
 * The codes are valid under unmasked exceptions too.
 */
export function f80_compare(a: usize, b: usize, quiet: bool): i32 {
  return compare(u32(load<u16>(a, 8)), load<u64>(a), u32(load<u16>(b, 8)), load<u64>(b), quiet);
}

/** Relation of a to +0. */
export function f80_test(a: usize): i32 {
  return compare(u32(load<u16>(a, 8)), load<u64>(a), 0, 0, false);
}

function compare(seA: u32, a: u64, seB: u32, b: u64, quiet: bool): i32 {
  if (isUnsupported(seA, a) || isUnsupported(seB, b)) return UNORDERED | IE;
  const nanA = isNaN80(seA, a);
  const nanB = isNaN80(seB, b);
  if (nanA || nanB) {
    const signalling = (nanA && (a & QUIET) == 0) || (nanB && (b & QUIET) == 0);
    return signalling || !quiet ? UNORDERED | IE : UNORDERED;
  }
  const flags = isDenormal(seA, a) || isDenormal(seB, b) ? DE : 0;
  if ((a | b) == 0) return flags | C3;
  const negative = (seA & SIGN) != 0;
  if (a == 0) return (seB & SIGN) != 0 ? flags : flags | C0;
  if (b == 0 || ((seA ^ seB) & SIGN) != 0) return negative ? flags | C0 : flags;
  const expA = normalExponent(seA, a);
  const expB = normalExponent(seB, b);
  const sigA = normalize(a);
  const sigB = normalize(b);
  if (expA == expB && sigA == sigB) return flags | C3;
  const smaller = expA != expB ? expA < expB : sigA < sigB;
  return smaller != negative ? flags | C0 : flags;
}

/** The class of a nonempty register, and its sign in C1. */
export function f80_examine(a: usize): i32 {
  const significand = load<u64>(a);
  const se = u32(load<u16>(a, 8));
  const sign = (se & SIGN) != 0 ? C1 : 0;
  if (isUnsupported(se, significand)) return sign;
  if (isNaN80(se, significand)) return sign | C0;
  if (isInfinity(se, significand)) return sign | C2 | C0;
  if ((se & 0x7fff) != 0) return sign | C2;
  return significand == 0 ? sign | C3 : sign | C3 | C2;
}
