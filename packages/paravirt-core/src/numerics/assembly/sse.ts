/**
 * The exported SSE scalar functions. Under rounding to nearest, with ordinary operands and results, the WebAssembly
 * instruction gives the result and a residual tells whether it is exact; everything else goes to `sse-soft.ts`.
 */
import { MXCSR_RC_SHIFT, PE, RC_CHOP, RC_MASK } from './flags';
import {
  ADD,
  DIV,
  MUL,
  SUB,
  arithmetic,
  compareBits,
  extreme,
  fromInteger,
  narrowDouble,
  root,
  setFlags,
  toIntegerBits,
  widenSingle,
} from './sse-soft';

/** Rounding control in MXCSR; zero is to nearest. */
const MXCSR_RC: i32 = 0x6000;

/** Normal, and neither of the two largest exponents: sums of two such cannot overflow. */
function isPlain64(a: i64): bool {
  return u32((a >> 52) & 0x7ff) - 1 < 0x7fd;
}

function isPlain32(a: i32): bool {
  return u32((a >> 23) & 0xff) - 1 < 0xfd;
}

/** Well inside of the normal range, where neither underflow nor overflow is near. */
function isInside64(a: i64): bool {
  return u32((a >> 52) & 0x7ff) - 2 < 0x7fb;
}

function isInside32(a: i32): bool {
  return u32((a >> 23) & 0xff) - 2 < 0xfb;
}

/** The significand of a normal double without trailing zeros. */
function oddPart(a: i64): u64 {
  const significand = (u64(a) & 0xfffffffffffff) | 0x10000000000000;
  return significand >> ctz(significand);
}

/** Whether x * y is exactly `product`, by odd parts: two of 53 bits together can only match if both are short. */
function isProduct(x: i64, y: i64, product: i64): bool {
  const a = oddPart(x);
  const b = oddPart(y);
  // m and n bits make m + n - 1 or m + n bits.
  return clz(a) + clz(b) >= 128 - 54 && a * b == oddPart(product);
}

export function f64_add(a: i64, b: i64, mxcsr: i32): i64 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain64(a) && isPlain64(b)) {
    const x = reinterpret<f64>(a);
    const y = reinterpret<f64>(b);
    const s = x + y;
    const result = reinterpret<i64>(s);
    if (isInside64(result) || result == 0) {
      // Knuth's two-sum: the exact error.
      const back = s - x;
      setFlags(x - (s - back) + (y - back) != 0 ? PE : 0);
      return result;
    }
  }
  return i64(arithmetic(ADD, u64(a), u64(b), 53, mxcsr));
}

export function f64_sub(a: i64, b: i64, mxcsr: i32): i64 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain64(a) && isPlain64(b)) {
    const x = reinterpret<f64>(a);
    const y = reinterpret<f64>(b);
    const s = x - y;
    const result = reinterpret<i64>(s);
    if (isInside64(result) || result == 0) {
      const back = s - x;
      setFlags(x - (s - back) - (y + back) != 0 ? PE : 0);
      return result;
    }
  }
  return i64(arithmetic(SUB, u64(a), u64(b), 53, mxcsr));
}

export function f64_mul(a: i64, b: i64, mxcsr: i32): i64 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain64(a) && isPlain64(b)) {
    const result = reinterpret<i64>(reinterpret<f64>(a) * reinterpret<f64>(b));
    if (isInside64(result)) {
      setFlags(isProduct(a, b, result) ? 0 : PE);
      return result;
    }
  }
  return i64(arithmetic(MUL, u64(a), u64(b), 53, mxcsr));
}

export function f64_div(a: i64, b: i64, mxcsr: i32): i64 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain64(a) && isPlain64(b)) {
    const result = reinterpret<i64>(reinterpret<f64>(a) / reinterpret<f64>(b));
    if (isInside64(result)) {
      setFlags(isProduct(result, b, a) ? 0 : PE);
      return result;
    }
  }
  return i64(arithmetic(DIV, u64(a), u64(b), 53, mxcsr));
}

export function f64_sqrt(a: i64, mxcsr: i32): i64 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain64(a) && a > 0) {
    const result = reinterpret<i64>(sqrt<f64>(reinterpret<f64>(a)));
    setFlags(isProduct(result, result, a) ? 0 : PE);
    return result;
  }
  return i64(root(u64(a), 53, mxcsr));
}

export function f64_min(a: i64, b: i64, mxcsr: i32): i64 {
  return i64(extreme(false, u64(a), u64(b), 53, mxcsr));
}

export function f64_max(a: i64, b: i64, mxcsr: i32): i64 {
  return i64(extreme(true, u64(a), u64(b), 53, mxcsr));
}

export function f64_compare(a: i64, b: i64, quiet: bool, mxcsr: i32): i32 {
  return compareBits(u64(a), u64(b), quiet, 53, mxcsr);
}

export function f32_add(a: i32, b: i32, mxcsr: i32): i32 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain32(a) && isPlain32(b)) {
    const x = reinterpret<f32>(a);
    const y = reinterpret<f32>(b);
    const s = x + y;
    const result = reinterpret<i32>(s);
    if (isInside32(result) || result == 0) {
      const back = s - x;
      setFlags(x - (s - back) + (y - back) != 0 ? PE : 0);
      return result;
    }
  }
  return i32(arithmetic(ADD, u64(u32(a)), u64(u32(b)), 24, mxcsr));
}

export function f32_sub(a: i32, b: i32, mxcsr: i32): i32 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain32(a) && isPlain32(b)) {
    const x = reinterpret<f32>(a);
    const y = reinterpret<f32>(b);
    const s = x - y;
    const result = reinterpret<i32>(s);
    if (isInside32(result) || result == 0) {
      const back = s - x;
      setFlags(x - (s - back) - (y + back) != 0 ? PE : 0);
      return result;
    }
  }
  return i32(arithmetic(SUB, u64(u32(a)), u64(u32(b)), 24, mxcsr));
}

// Products of two singles are exact as doubles, which makes the residuals of *, / and the root comparisons.

export function f32_mul(a: i32, b: i32, mxcsr: i32): i32 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain32(a) && isPlain32(b)) {
    const exact = f64(reinterpret<f32>(a)) * f64(reinterpret<f32>(b));
    const result = reinterpret<i32>(f32(exact));
    if (isInside32(result)) {
      setFlags(f64(f32(exact)) == exact ? 0 : PE);
      return result;
    }
  }
  return i32(arithmetic(MUL, u64(u32(a)), u64(u32(b)), 24, mxcsr));
}

export function f32_div(a: i32, b: i32, mxcsr: i32): i32 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain32(a) && isPlain32(b)) {
    const q = reinterpret<f32>(a) / reinterpret<f32>(b);
    const result = reinterpret<i32>(q);
    if (isInside32(result)) {
      setFlags(f64(q) * f64(reinterpret<f32>(b)) == f64(reinterpret<f32>(a)) ? 0 : PE);
      return result;
    }
  }
  return i32(arithmetic(DIV, u64(u32(a)), u64(u32(b)), 24, mxcsr));
}

export function f32_sqrt(a: i32, mxcsr: i32): i32 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain32(a) && a > 0) {
    const q = sqrt<f32>(reinterpret<f32>(a));
    setFlags(f64(q) * f64(q) == f64(reinterpret<f32>(a)) ? 0 : PE);
    return reinterpret<i32>(q);
  }
  return i32(root(u64(u32(a)), 24, mxcsr));
}

export function f32_min(a: i32, b: i32, mxcsr: i32): i32 {
  return i32(extreme(false, u64(u32(a)), u64(u32(b)), 24, mxcsr));
}

export function f32_max(a: i32, b: i32, mxcsr: i32): i32 {
  return i32(extreme(true, u64(u32(a)), u64(u32(b)), 24, mxcsr));
}

export function f32_compare(a: i32, b: i32, quiet: bool, mxcsr: i32): i32 {
  return compareBits(u64(u32(a)), u64(u32(b)), quiet, 24, mxcsr);
}

export function f32_from_i32(value: i32, mxcsr: i32): i32 {
  return i32(fromInteger(i64(value), 24, mxcsr));
}

export function f32_from_i64(value: i64, mxcsr: i32): i32 {
  return i32(fromInteger(value, 24, mxcsr));
}

/** Always exact. */
export function f64_from_i32(value: i32, mxcsr: i32): i64 {
  setFlags(0);
  return reinterpret<i64>(f64(value));
}

export function f64_from_i64(value: i64, mxcsr: i32): i64 {
  return i64(fromInteger(value, 53, mxcsr));
}

export function f64_from_f32(a: i32, mxcsr: i32): i64 {
  if (isPlain32(a)) {
    setFlags(0);
    return reinterpret<i64>(f64(reinterpret<f32>(a)));
  }
  return i64(widenSingle(u64(u32(a)), mxcsr));
}

export function f32_from_f64(a: i64, mxcsr: i32): i32 {
  if ((mxcsr & MXCSR_RC) == 0 && isPlain64(a)) {
    const x = reinterpret<f64>(a);
    const result = reinterpret<i32>(f32(x));
    if (isInside32(result)) {
      setFlags(f64(f32(x)) == x ? 0 : PE);
      return result;
    }
  }
  return i32(narrowDouble(u64(a), mxcsr));
}

function roundingOf(truncate: bool, mxcsr: i32): i32 {
  return truncate ? RC_CHOP : (mxcsr >> MXCSR_RC_SHIFT) & RC_MASK;
}

export function f32_to_i32(a: i32, truncate: bool, mxcsr: i32): i32 {
  return i32(toIntegerBits(u64(u32(a)), 32, roundingOf(truncate, mxcsr), 24, mxcsr));
}

export function f32_to_i64(a: i32, truncate: bool, mxcsr: i32): i64 {
  return toIntegerBits(u64(u32(a)), 64, roundingOf(truncate, mxcsr), 24, mxcsr);
}

export function f64_to_i32(a: i64, truncate: bool, mxcsr: i32): i32 {
  return i32(toIntegerBits(u64(a), 32, roundingOf(truncate, mxcsr), 53, mxcsr));
}

export function f64_to_i64(a: i64, truncate: bool, mxcsr: i32): i64 {
  return toIntegerBits(u64(a), 64, roundingOf(truncate, mxcsr), 53, mxcsr);
}
