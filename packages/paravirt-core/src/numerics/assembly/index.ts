/** Everything the module exports: see `numerics.ts` for what each function takes and returns. */
export { f80_add, f80_sub, f80_mul, f80_div, f80_sqrt } from './basic';
export { f80_compare, f80_test, f80_examine } from './compare';
export { f80_rem, f80_rndint, f80_scale, f80_extract } from './partial';
export { f80_from_f32, f80_from_f64, f80_to_f32, f80_to_f64 } from './convert';
export { f80_widen_f32, f80_widen_f64, f80_meets_denormal } from './convert';
export { f80_from_int, f80_to_i16, f80_to_i32, f80_to_i64, f80_from_bcd, f80_to_bcd, f80_constant } from './integer';
export { sse_flags } from './sse-soft';
export {
  f64_add,
  f64_sub,
  f64_mul,
  f64_div,
  f64_sqrt,
  f64_min,
  f64_max,
  f64_compare,
  f32_add,
  f32_sub,
  f32_mul,
  f32_div,
  f32_sqrt,
  f32_min,
  f32_max,
  f32_compare,
  f32_from_i32,
  f32_from_i64,
  f64_from_i32,
  f64_from_i64,
  f64_from_f32,
  f32_from_f64,
  f32_to_i32,
  f32_to_i64,
  f64_to_i32,
  f64_to_i64,
} from './sse';
export { f80_2xm1, f80_yl2x, f80_yl2xp1 } from './exponential';
export { f80_sin, f80_cos, f80_sincos, f80_tan } from './trigonometric';
export { f80_atan } from './arctangent';
