/**
 * SSE and SSE2 floating point as the instructions have it: operands at addresses, all lanes at once, one set of flags.
 *
 * Each function takes the address of the destination (which is the first operand where there are two), that of the second
 * operand, and MXCSR, and returns the exceptions that the instruction raises (MXCSR bits 0 to 5). When one of them is not
 * masked nothing is written. An unmasked exception that operands raise keeps those that results raise from being looked
 * for, in all lanes (Intel SDM vol. 1, 11.5.3). Source and destination may be the same.
 */
import { DE, IE, MXCSR_DAZ, MXCSR_FTZ, MXCSR_MASKS_SHIFT, ZE } from './flags';
import {
  f32_add,
  f32_compare,
  f32_div,
  f32_max,
  f32_min,
  f32_mul,
  f32_sqrt,
  f32_sub,
  f64_add,
  f64_compare,
  f64_div,
  f64_max,
  f64_min,
  f64_mul,
  f64_sqrt,
  f64_sub,
} from './sse';
import { ADD, DIV, MUL, SUB, sse_flags } from './sse-soft';

const MIN: i32 = 4;
const MAX: i32 = 5;
const SQRT: i32 = 6;
/** Reciprocal and reciprocal square root: no exceptions, and rounding as if MXCSR said DAZ, FTZ and to nearest. */
const RCP: i32 = 7;
const RSQRT: i32 = 8;

const ONE_32: i32 = 0x3f800000;
const QUIET_32: i32 = 0x400000;
const MAGNITUDE_32: i32 = 0x7fffffff;
const INFINITY_32: i32 = 0x7f800000;
const APPROXIMATE: i32 = 0x1f80 | MXCSR_DAZ | MXCSR_FTZ;

/** The masks, where the flags are. */
export function unmasked(flags: i32, mxcsr: i32): i32 {
  return flags & ~(mxcsr >> MXCSR_MASKS_SHIFT);
}

/** What all lanes together raise. */
export function together(flags: i32, mxcsr: i32): i32 {
  const before = flags & (IE | DE | ZE);
  return unmasked(before, mxcsr) != 0 ? before : flags;
}

function reciprocal(a: i32): i32 {
  if ((a & MAGNITUDE_32) > INFINITY_32) return a | QUIET_32;
  return f32_div(ONE_32, a, APPROXIMATE);
}

function reciprocalRoot(a: i32): i32 {
  if ((a & MAGNITUDE_32) > INFINITY_32) return a | QUIET_32;
  const x = f32_sqrt(a, APPROXIMATE);
  return (x & MAGNITUDE_32) > INFINITY_32 ? x : f32_div(ONE_32, x, APPROXIMATE);
}

/** What the exported functions are made of; in line, so that each has only its own operation. */
class Lanes {
  @inline static one32(operation: i32, a: i32, b: i32, mxcsr: i32): i32 {
    if (operation == ADD) return f32_add(a, b, mxcsr);
    if (operation == SUB) return f32_sub(a, b, mxcsr);
    if (operation == MUL) return f32_mul(a, b, mxcsr);
    if (operation == DIV) return f32_div(a, b, mxcsr);
    if (operation == MIN) return f32_min(a, b, mxcsr);
    if (operation == MAX) return f32_max(a, b, mxcsr);
    if (operation == SQRT) return f32_sqrt(b, mxcsr);
    if (operation == RCP) return reciprocal(b);
    return reciprocalRoot(b);
  }

  @inline static one64(operation: i32, a: i64, b: i64, mxcsr: i32): i64 {
    if (operation == ADD) return f64_add(a, b, mxcsr);
    if (operation == SUB) return f64_sub(a, b, mxcsr);
    if (operation == MUL) return f64_mul(a, b, mxcsr);
    if (operation == DIV) return f64_div(a, b, mxcsr);
    if (operation == MIN) return f64_min(a, b, mxcsr);
    if (operation == MAX) return f64_max(a, b, mxcsr);
    return f64_sqrt(b, mxcsr);
  }

  @inline static scalar32(operation: i32, dst: usize, src: usize, mxcsr: i32): i32 {
    const result = Lanes.one32(operation, load<i32>(dst), load<i32>(src), mxcsr);
    const flags = operation >= RCP ? 0 : sse_flags;
    if (unmasked(flags, mxcsr) == 0) store<i32>(dst, result);
    return flags;
  }

  @inline static scalar64(operation: i32, dst: usize, src: usize, mxcsr: i32): i32 {
    const result = Lanes.one64(operation, load<i64>(dst), load<i64>(src), mxcsr);
    if (unmasked(sse_flags, mxcsr) == 0) store<i64>(dst, result);
    return sse_flags;
  }

  @inline static packed32(operation: i32, dst: usize, src: usize, mxcsr: i32): i32 {
    const r0 = Lanes.one32(operation, load<i32>(dst, 0), load<i32>(src, 0), mxcsr);
    let flags = sse_flags;
    const r1 = Lanes.one32(operation, load<i32>(dst, 4), load<i32>(src, 4), mxcsr);
    flags |= sse_flags;
    const r2 = Lanes.one32(operation, load<i32>(dst, 8), load<i32>(src, 8), mxcsr);
    flags |= sse_flags;
    const r3 = Lanes.one32(operation, load<i32>(dst, 12), load<i32>(src, 12), mxcsr);
    flags = operation >= RCP ? 0 : together(flags | sse_flags, mxcsr);
    if (unmasked(flags, mxcsr) == 0) {
      store<i32>(dst, r0, 0);
      store<i32>(dst, r1, 4);
      store<i32>(dst, r2, 8);
      store<i32>(dst, r3, 12);
    }
    return flags;
  }

  @inline static packed64(operation: i32, dst: usize, src: usize, mxcsr: i32): i32 {
    const r0 = Lanes.one64(operation, load<i64>(dst, 0), load<i64>(src, 0), mxcsr);
    let flags = sse_flags;
    const r1 = Lanes.one64(operation, load<i64>(dst, 8), load<i64>(src, 8), mxcsr);
    flags = together(flags | sse_flags, mxcsr);
    if (unmasked(flags, mxcsr) == 0) {
      store<i64>(dst, r0, 0);
      store<i64>(dst, r1, 8);
    }
    return flags;
  }
}

export function sse_addps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(ADD, dst, src, mxcsr);
}

export function sse_addss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(ADD, dst, src, mxcsr);
}

export function sse_addpd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed64(ADD, dst, src, mxcsr);
}

export function sse_addsd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar64(ADD, dst, src, mxcsr);
}

export function sse_subps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(SUB, dst, src, mxcsr);
}

export function sse_subss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(SUB, dst, src, mxcsr);
}

export function sse_subpd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed64(SUB, dst, src, mxcsr);
}

export function sse_subsd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar64(SUB, dst, src, mxcsr);
}

export function sse_mulps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(MUL, dst, src, mxcsr);
}

export function sse_mulss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(MUL, dst, src, mxcsr);
}

export function sse_mulpd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed64(MUL, dst, src, mxcsr);
}

export function sse_mulsd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar64(MUL, dst, src, mxcsr);
}

export function sse_divps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(DIV, dst, src, mxcsr);
}

export function sse_divss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(DIV, dst, src, mxcsr);
}

export function sse_divpd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed64(DIV, dst, src, mxcsr);
}

export function sse_divsd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar64(DIV, dst, src, mxcsr);
}

export function sse_minps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(MIN, dst, src, mxcsr);
}

export function sse_minss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(MIN, dst, src, mxcsr);
}

export function sse_minpd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed64(MIN, dst, src, mxcsr);
}

export function sse_minsd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar64(MIN, dst, src, mxcsr);
}

export function sse_maxps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(MAX, dst, src, mxcsr);
}

export function sse_maxss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(MAX, dst, src, mxcsr);
}

export function sse_maxpd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed64(MAX, dst, src, mxcsr);
}

export function sse_maxsd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar64(MAX, dst, src, mxcsr);
}

export function sse_sqrtps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(SQRT, dst, src, mxcsr);
}

export function sse_sqrtss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(SQRT, dst, src, mxcsr);
}

export function sse_sqrtpd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed64(SQRT, dst, src, mxcsr);
}

export function sse_sqrtsd(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar64(SQRT, dst, src, mxcsr);
}

export function sse_rcpps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(RCP, dst, src, mxcsr);
}

export function sse_rcpss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(RCP, dst, src, mxcsr);
}

export function sse_rsqrtps(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.packed32(RSQRT, dst, src, mxcsr);
}

export function sse_rsqrtss(dst: usize, src: usize, mxcsr: i32): i32 {
  return Lanes.scalar32(RSQRT, dst, src, mxcsr);
}

/** Predicates 0 to 7 as sets of relations: bit 0 equal, 1 less, 2 greater, 3 unordered (SDM vol. 2, CMPPD, table 3-1). */
function relations(predicate: i32): i32 {
  // EQ LT LE UNORD NEQ NLT NLE ORD, four bits each, the first lowest.
  return (0x7cde8321 >> (predicate << 2)) & 15;
}

/** LT, LE and their negations signal quiet NaNs, too. */
function isQuiet(predicate: i32): bool {
  return (predicate & 3) == 0 || (predicate & 3) == 3;
}

const EFLAGS_ZF: i32 = 0x40;
const EFLAGS_PF: i32 = 0x04;
const EFLAGS_CF: i32 = 0x01;

/** All ones or zeros, from a relation in EFLAGS positions. */
function verdict(relation: i32, predicate: i32): i32 {
  const index = (relation & EFLAGS_PF) != 0 ? 3 : (relation & EFLAGS_ZF) != 0 ? 0 : (relation & EFLAGS_CF) != 0 ? 1 : 2;
  return -((relations(predicate) >> index) & 1);
}

function compare32(a: i32, b: i32, predicate: i32, mxcsr: i32): i32 {
  return verdict(f32_compare(a, b, isQuiet(predicate), mxcsr), predicate);
}

function compare64(a: i64, b: i64, predicate: i32, mxcsr: i32): i64 {
  return i64(verdict(f64_compare(a, b, isQuiet(predicate), mxcsr), predicate));
}

/** CMPPS and its kin: `predicate` is the immediate, of which three bits count. */
export function sse_cmpps(dst: usize, src: usize, predicate: i32, mxcsr: i32): i32 {
  predicate &= 7;
  const r0 = compare32(load<i32>(dst, 0), load<i32>(src, 0), predicate, mxcsr);
  let flags = sse_flags;
  const r1 = compare32(load<i32>(dst, 4), load<i32>(src, 4), predicate, mxcsr);
  flags |= sse_flags;
  const r2 = compare32(load<i32>(dst, 8), load<i32>(src, 8), predicate, mxcsr);
  flags |= sse_flags;
  const r3 = compare32(load<i32>(dst, 12), load<i32>(src, 12), predicate, mxcsr);
  flags |= sse_flags;
  if (unmasked(flags, mxcsr) == 0) {
    store<i32>(dst, r0, 0);
    store<i32>(dst, r1, 4);
    store<i32>(dst, r2, 8);
    store<i32>(dst, r3, 12);
  }
  return flags;
}

export function sse_cmppd(dst: usize, src: usize, predicate: i32, mxcsr: i32): i32 {
  predicate &= 7;
  const r0 = compare64(load<i64>(dst, 0), load<i64>(src, 0), predicate, mxcsr);
  let flags = sse_flags;
  const r1 = compare64(load<i64>(dst, 8), load<i64>(src, 8), predicate, mxcsr);
  flags |= sse_flags;
  if (unmasked(flags, mxcsr) == 0) {
    store<i64>(dst, r0, 0);
    store<i64>(dst, r1, 8);
  }
  return flags;
}

export function sse_cmpss(dst: usize, src: usize, predicate: i32, mxcsr: i32): i32 {
  const result = compare32(load<i32>(dst), load<i32>(src), predicate & 7, mxcsr);
  if (unmasked(sse_flags, mxcsr) == 0) store<i32>(dst, result);
  return sse_flags;
}

export function sse_cmpsd(dst: usize, src: usize, predicate: i32, mxcsr: i32): i32 {
  const result = compare64(load<i64>(dst), load<i64>(src), predicate & 7, mxcsr);
  if (unmasked(sse_flags, mxcsr) == 0) store<i64>(dst, result);
  return sse_flags;
}

/** COMISS, and UCOMISS when `quiet`: nothing is written; ZF, PF and CF are returned above the flags, from bit 8 on. */
export function sse_comiss(a: usize, b: usize, quiet: bool, mxcsr: i32): i32 {
  const relation = f32_compare(load<i32>(a), load<i32>(b), quiet, mxcsr);
  return (relation << 8) | sse_flags;
}

export function sse_comisd(a: usize, b: usize, quiet: bool, mxcsr: i32): i32 {
  const relation = f64_compare(load<i64>(a), load<i64>(b), quiet, mxcsr);
  return (relation << 8) | sse_flags;
}
