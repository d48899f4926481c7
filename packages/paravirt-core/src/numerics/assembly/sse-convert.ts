/**
 * Conversions of SSE and SSE2 as the instructions have them: operands at addresses, all lanes at once, one set of flags, as
 * in `sse-packed.ts`. Integers are 32 bits wide. `truncate` (0 or 1) is the CVTT form.
 */
import { f32_from_f64, f32_from_i32, f32_to_i32, f64_from_f32, f64_to_i32 } from './sse';
import { together, unmasked } from './sse-packed';
import { sse_flags } from './sse-soft';

/** CVTPI2PS: two integers to the low half. */
export function sse_cvtpi2ps(dst: usize, src: usize, mxcsr: i32): i32 {
  const r0 = f32_from_i32(load<i32>(src, 0), mxcsr);
  let flags = sse_flags;
  const r1 = f32_from_i32(load<i32>(src, 4), mxcsr);
  flags |= sse_flags;
  if (unmasked(flags, mxcsr) == 0) {
    store<i32>(dst, r0, 0);
    store<i32>(dst, r1, 4);
  }
  return flags;
}

export function sse_cvtdq2ps(dst: usize, src: usize, mxcsr: i32): i32 {
  const r0 = f32_from_i32(load<i32>(src, 0), mxcsr);
  let flags = sse_flags;
  const r1 = f32_from_i32(load<i32>(src, 4), mxcsr);
  flags |= sse_flags;
  const r2 = f32_from_i32(load<i32>(src, 8), mxcsr);
  flags |= sse_flags;
  const r3 = f32_from_i32(load<i32>(src, 12), mxcsr);
  flags |= sse_flags;
  if (unmasked(flags, mxcsr) == 0) {
    store<i32>(dst, r0, 0);
    store<i32>(dst, r1, 4);
    store<i32>(dst, r2, 8);
    store<i32>(dst, r3, 12);
  }
  return flags;
}

/** CVTSI2SS: the integer itself. */
export function sse_cvtsi2ss(dst: usize, value: i32, mxcsr: i32): i32 {
  const result = f32_from_i32(value, mxcsr);
  if (unmasked(sse_flags, mxcsr) == 0) store<i32>(dst, result);
  return sse_flags;
}

export function sse_cvtps2pd(dst: usize, src: usize, mxcsr: i32): i32 {
  const r0 = f64_from_f32(load<i32>(src, 0), mxcsr);
  let flags = sse_flags;
  const r1 = f64_from_f32(load<i32>(src, 4), mxcsr);
  flags |= sse_flags;
  if (unmasked(flags, mxcsr) == 0) {
    store<i64>(dst, r0, 0);
    store<i64>(dst, r1, 8);
  }
  return flags;
}

export function sse_cvtss2sd(dst: usize, src: usize, mxcsr: i32): i32 {
  const result = f64_from_f32(load<i32>(src), mxcsr);
  if (unmasked(sse_flags, mxcsr) == 0) store<i64>(dst, result);
  return sse_flags;
}

/** CVTPD2PS: the upper half becomes 0. */
export function sse_cvtpd2ps(dst: usize, src: usize, mxcsr: i32): i32 {
  const r0 = f32_from_f64(load<i64>(src, 0), mxcsr);
  let flags = sse_flags;
  const r1 = f32_from_f64(load<i64>(src, 8), mxcsr);
  flags = together(flags | sse_flags, mxcsr);
  if (unmasked(flags, mxcsr) == 0) {
    store<i32>(dst, r0, 0);
    store<i32>(dst, r1, 4);
    store<i64>(dst, 0, 8);
  }
  return flags;
}

export function sse_cvtsd2ss(dst: usize, src: usize, mxcsr: i32): i32 {
  const result = f32_from_f64(load<i64>(src), mxcsr);
  if (unmasked(sse_flags, mxcsr) == 0) store<i32>(dst, result);
  return sse_flags;
}

/** CVTPS2PI: two integers, eight bytes. */
export function sse_cvtps2pi(dst: usize, src: usize, truncate: bool, mxcsr: i32): i32 {
  const r0 = f32_to_i32(load<i32>(src, 0), truncate, mxcsr);
  let flags = sse_flags;
  const r1 = f32_to_i32(load<i32>(src, 4), truncate, mxcsr);
  flags = together(flags | sse_flags, mxcsr);
  if (unmasked(flags, mxcsr) == 0) {
    store<i32>(dst, r0, 0);
    store<i32>(dst, r1, 4);
  }
  return flags;
}

export function sse_cvtps2dq(dst: usize, src: usize, truncate: bool, mxcsr: i32): i32 {
  const r0 = f32_to_i32(load<i32>(src, 0), truncate, mxcsr);
  let flags = sse_flags;
  const r1 = f32_to_i32(load<i32>(src, 4), truncate, mxcsr);
  flags |= sse_flags;
  const r2 = f32_to_i32(load<i32>(src, 8), truncate, mxcsr);
  flags |= sse_flags;
  const r3 = f32_to_i32(load<i32>(src, 12), truncate, mxcsr);
  flags = together(flags | sse_flags, mxcsr);
  if (unmasked(flags, mxcsr) == 0) {
    store<i32>(dst, r0, 0);
    store<i32>(dst, r1, 4);
    store<i32>(dst, r2, 8);
    store<i32>(dst, r3, 12);
  }
  return flags;
}

/** CVTPD2PI and CVTPD2DQ: two integers, eight bytes; what lies above is the caller's business. */
export function sse_cvtpd2pi(dst: usize, src: usize, truncate: bool, mxcsr: i32): i32 {
  const r0 = f64_to_i32(load<i64>(src, 0), truncate, mxcsr);
  let flags = sse_flags;
  const r1 = f64_to_i32(load<i64>(src, 8), truncate, mxcsr);
  flags = together(flags | sse_flags, mxcsr);
  if (unmasked(flags, mxcsr) == 0) {
    store<i32>(dst, r0, 0);
    store<i32>(dst, r1, 4);
  }
  return flags;
}

/** CVTSS2SI: one integer, four bytes. */
export function sse_cvtss2si(dst: usize, src: usize, truncate: bool, mxcsr: i32): i32 {
  const result = f32_to_i32(load<i32>(src), truncate, mxcsr);
  if (unmasked(sse_flags, mxcsr) == 0) store<i32>(dst, result);
  return sse_flags;
}

export function sse_cvtsd2si(dst: usize, src: usize, truncate: bool, mxcsr: i32): i32 {
  const result = f64_to_i32(load<i64>(src), truncate, mxcsr);
  if (unmasked(sse_flags, mxcsr) == 0) store<i32>(dst, result);
  return sse_flags;
}
