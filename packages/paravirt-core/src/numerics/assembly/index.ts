/** Everything the module exports: see `numerics.ts` for what each function takes and returns. */
export { f80_add, f80_sub, f80_mul, f80_div, f80_sqrt } from './basic';
export { f80_compare, f80_test, f80_examine } from './compare';
export { f80_rem, f80_rndint, f80_scale, f80_extract } from './partial';
export { f80_from_f32, f80_from_f64, f80_to_f32, f80_to_f64 } from './convert';
export {
  f80_from_int,
  f80_to_i16,
  f80_to_i32,
  f80_to_i64,
  f80_from_bcd,
  f80_to_bcd,
  f80_constant,
} from './integer';
