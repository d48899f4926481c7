/**
 * The numeric instructions of WebAssembly (core specification 2.0, 5.4): name, encoding and signature.
 * This is also the vocabulary in which instruction semantics are stated, so that every engine shares one list.
 * Signatures read "operands:result", one letter a value: i = i32, l = i64, f = f32, d = f64, v = v128.
 */

export type ValueType = 'i' | 'l' | 'f' | 'd' | 'v';

/** Encodings as the bytes that follow each other; SIMD ones are 0xFD and a LEB128 number. */
export interface OpInfo {
  readonly bytes: readonly number[];
  readonly params: readonly ValueType[];
  readonly result: ValueType;
  /** How many lane-index bytes follow. */
  readonly lanes: number;
}

const simd = (n: number): number[] => (n < 0x80 ? [0xfd, n] : [0xfd, (n & 0x7f) | 0x80, n >>> 7]);

const core: Record<string, [opcode: number, signature: string]> = {
  'i32.eqz': [0x45, 'i:i'], 'i32.eq': [0x46, 'ii:i'], 'i32.ne': [0x47, 'ii:i'], 'i32.lt_s': [0x48, 'ii:i'], 'i32.lt_u': [0x49, 'ii:i'],
  'i32.gt_s': [0x4a, 'ii:i'], 'i32.gt_u': [0x4b, 'ii:i'], 'i32.le_s': [0x4c, 'ii:i'], 'i32.le_u': [0x4d, 'ii:i'], 'i32.ge_s': [0x4e, 'ii:i'],
  'i32.ge_u': [0x4f, 'ii:i'],
  'i64.eqz': [0x50, 'l:i'], 'i64.eq': [0x51, 'll:i'], 'i64.ne': [0x52, 'll:i'], 'i64.lt_s': [0x53, 'll:i'], 'i64.lt_u': [0x54, 'll:i'],
  'i64.gt_s': [0x55, 'll:i'], 'i64.gt_u': [0x56, 'll:i'], 'i64.le_s': [0x57, 'll:i'], 'i64.le_u': [0x58, 'll:i'], 'i64.ge_s': [0x59, 'll:i'],
  'i64.ge_u': [0x5a, 'll:i'],
  'f32.eq': [0x5b, 'ff:i'], 'f32.ne': [0x5c, 'ff:i'], 'f32.lt': [0x5d, 'ff:i'], 'f32.gt': [0x5e, 'ff:i'],
  'f64.eq': [0x61, 'dd:i'], 'f64.ne': [0x62, 'dd:i'], 'f64.lt': [0x63, 'dd:i'], 'f64.gt': [0x64, 'dd:i'],
  'i32.clz': [0x67, 'i:i'], 'i32.ctz': [0x68, 'i:i'], 'i32.popcnt': [0x69, 'i:i'], 'i32.add': [0x6a, 'ii:i'], 'i32.sub': [0x6b, 'ii:i'],
  'i32.mul': [0x6c, 'ii:i'], 'i32.div_s': [0x6d, 'ii:i'], 'i32.div_u': [0x6e, 'ii:i'], 'i32.rem_s': [0x6f, 'ii:i'], 'i32.rem_u': [0x70, 'ii:i'],
  'i32.and': [0x71, 'ii:i'], 'i32.or': [0x72, 'ii:i'], 'i32.xor': [0x73, 'ii:i'], 'i32.shl': [0x74, 'ii:i'], 'i32.shr_s': [0x75, 'ii:i'],
  'i32.shr_u': [0x76, 'ii:i'], 'i32.rotl': [0x77, 'ii:i'], 'i32.rotr': [0x78, 'ii:i'],
  'i64.clz': [0x79, 'l:l'], 'i64.ctz': [0x7a, 'l:l'], 'i64.popcnt': [0x7b, 'l:l'], 'i64.add': [0x7c, 'll:l'], 'i64.sub': [0x7d, 'll:l'],
  'i64.mul': [0x7e, 'll:l'], 'i64.div_s': [0x7f, 'll:l'], 'i64.div_u': [0x80, 'll:l'], 'i64.rem_s': [0x81, 'll:l'], 'i64.rem_u': [0x82, 'll:l'],
  'i64.and': [0x83, 'll:l'], 'i64.or': [0x84, 'll:l'], 'i64.xor': [0x85, 'll:l'], 'i64.shl': [0x86, 'll:l'], 'i64.shr_s': [0x87, 'll:l'],
  'i64.shr_u': [0x88, 'll:l'], 'i64.rotl': [0x89, 'll:l'], 'i64.rotr': [0x8a, 'll:l'],
  'f32.abs': [0x8b, 'f:f'], 'f32.neg': [0x8c, 'f:f'], 'f32.ceil': [0x8d, 'f:f'], 'f32.floor': [0x8e, 'f:f'], 'f32.trunc': [0x8f, 'f:f'],
  'f32.nearest': [0x90, 'f:f'], 'f32.sqrt': [0x91, 'f:f'], 'f32.add': [0x92, 'ff:f'], 'f32.sub': [0x93, 'ff:f'], 'f32.mul': [0x94, 'ff:f'],
  'f32.div': [0x95, 'ff:f'],
  'f64.abs': [0x99, 'd:d'], 'f64.neg': [0x9a, 'd:d'], 'f64.ceil': [0x9b, 'd:d'], 'f64.floor': [0x9c, 'd:d'], 'f64.trunc': [0x9d, 'd:d'],
  'f64.nearest': [0x9e, 'd:d'], 'f64.sqrt': [0x9f, 'd:d'], 'f64.add': [0xa0, 'dd:d'], 'f64.sub': [0xa1, 'dd:d'], 'f64.mul': [0xa2, 'dd:d'],
  'f64.div': [0xa3, 'dd:d'],
  'i32.wrap_i64': [0xa7, 'l:i'], 'i64.extend_i32_s': [0xac, 'i:l'], 'i64.extend_i32_u': [0xad, 'i:l'],
  'f32.convert_i32_s': [0xb2, 'i:f'], 'f32.demote_f64': [0xb6, 'd:f'], 'f64.convert_i32_s': [0xb7, 'i:d'], 'f64.promote_f32': [0xbb, 'f:d'],
  'i32.reinterpret_f32': [0xbc, 'f:i'], 'i64.reinterpret_f64': [0xbd, 'd:l'], 'f32.reinterpret_i32': [0xbe, 'i:f'], 'f64.reinterpret_i64': [0xbf, 'l:d'],
  'i32.extend8_s': [0xc0, 'i:i'], 'i32.extend16_s': [0xc1, 'i:i'],
};

const vector: Record<string, [opcode: number, signature: string, lanes?: number]> = {
  'i8x16.shuffle': [0x0d, 'vv:v', 16], 'i8x16.swizzle': [0x0e, 'vv:v'],
  'i8x16.splat': [0x0f, 'i:v'], 'i16x8.splat': [0x10, 'i:v'], 'i32x4.splat': [0x11, 'i:v'], 'i64x2.splat': [0x12, 'l:v'],
  'i8x16.extract_lane_u': [0x16, 'v:i', 1], 'i16x8.extract_lane_u': [0x19, 'v:i', 1], 'i16x8.replace_lane': [0x1a, 'vi:v', 1],
  'i32x4.extract_lane': [0x1b, 'v:i', 1], 'i32x4.replace_lane': [0x1c, 'vi:v', 1], 'i64x2.extract_lane': [0x1d, 'v:l', 1],
  'i64x2.replace_lane': [0x1e, 'vl:v', 1], 'f32x4.extract_lane': [0x1f, 'v:f', 1], 'f32x4.replace_lane': [0x20, 'vf:v', 1],
  'f64x2.extract_lane': [0x21, 'v:d', 1], 'f64x2.replace_lane': [0x22, 'vd:v', 1],
  'i8x16.eq': [0x23, 'vv:v'], 'i8x16.gt_s': [0x27, 'vv:v'],
  'i16x8.eq': [0x2d, 'vv:v'], 'i16x8.gt_s': [0x31, 'vv:v'],
  'i32x4.eq': [0x37, 'vv:v'], 'i32x4.gt_s': [0x3b, 'vv:v'],
  'f32x4.eq': [0x41, 'vv:v'], 'f32x4.ne': [0x42, 'vv:v'], 'f32x4.lt': [0x43, 'vv:v'], 'f32x4.gt': [0x44, 'vv:v'], 'f32x4.le': [0x45, 'vv:v'],
  'f32x4.ge': [0x46, 'vv:v'],
  'f64x2.eq': [0x47, 'vv:v'], 'f64x2.ne': [0x48, 'vv:v'], 'f64x2.lt': [0x49, 'vv:v'], 'f64x2.gt': [0x4a, 'vv:v'], 'f64x2.le': [0x4b, 'vv:v'],
  'f64x2.ge': [0x4c, 'vv:v'],
  'v128.not': [0x4d, 'v:v'], 'v128.and': [0x4e, 'vv:v'], 'v128.andnot': [0x4f, 'vv:v'], 'v128.or': [0x50, 'vv:v'], 'v128.xor': [0x51, 'vv:v'],
  'v128.bitselect': [0x52, 'vvv:v'], 'v128.any_true': [0x53, 'v:i'],
  'f32x4.demote_f64x2_zero': [0x5e, 'v:v'], 'f64x2.promote_low_f32x4': [0x5f, 'v:v'],
  'i8x16.abs': [0x60, 'v:v'], 'i8x16.bitmask': [0x64, 'v:i'], 'i8x16.narrow_i16x8_s': [0x65, 'vv:v'], 'i8x16.narrow_i16x8_u': [0x66, 'vv:v'],
  'i8x16.shl': [0x6b, 'vi:v'], 'i8x16.shr_s': [0x6c, 'vi:v'], 'i8x16.shr_u': [0x6d, 'vi:v'],
  'i8x16.add': [0x6e, 'vv:v'], 'i8x16.add_sat_s': [0x6f, 'vv:v'], 'i8x16.add_sat_u': [0x70, 'vv:v'], 'i8x16.sub': [0x71, 'vv:v'],
  'i8x16.sub_sat_s': [0x72, 'vv:v'], 'i8x16.sub_sat_u': [0x73, 'vv:v'], 'i8x16.min_s': [0x76, 'vv:v'], 'i8x16.min_u': [0x77, 'vv:v'],
  'i8x16.max_s': [0x78, 'vv:v'], 'i8x16.max_u': [0x79, 'vv:v'], 'i8x16.avgr_u': [0x7b, 'vv:v'],
  'i16x8.extadd_pairwise_i8x16_u': [0x7d, 'v:v'], 'i32x4.extadd_pairwise_i16x8_u': [0x7f, 'v:v'],
  'i16x8.narrow_i32x4_s': [0x85, 'vv:v'], 'i16x8.narrow_i32x4_u': [0x86, 'vv:v'],
  'i16x8.shl': [0x8b, 'vi:v'], 'i16x8.shr_s': [0x8c, 'vi:v'], 'i16x8.shr_u': [0x8d, 'vi:v'],
  'i16x8.add': [0x8e, 'vv:v'], 'i16x8.add_sat_s': [0x8f, 'vv:v'], 'i16x8.add_sat_u': [0x90, 'vv:v'], 'i16x8.sub': [0x91, 'vv:v'],
  'i16x8.sub_sat_s': [0x92, 'vv:v'], 'i16x8.sub_sat_u': [0x93, 'vv:v'], 'i16x8.mul': [0x95, 'vv:v'], 'i16x8.min_s': [0x96, 'vv:v'],
  'i16x8.min_u': [0x97, 'vv:v'], 'i16x8.max_s': [0x98, 'vv:v'], 'i16x8.max_u': [0x99, 'vv:v'], 'i16x8.avgr_u': [0x9b, 'vv:v'],
  'i32x4.extmul_low_i16x8_s': [0xbc, 'vv:v'], 'i32x4.extmul_high_i16x8_s': [0xbd, 'vv:v'], 'i32x4.extmul_low_i16x8_u': [0xbe, 'vv:v'],
  'i32x4.extmul_high_i16x8_u': [0xbf, 'vv:v'],
  'i32x4.shl': [0xab, 'vi:v'], 'i32x4.shr_s': [0xac, 'vi:v'], 'i32x4.shr_u': [0xad, 'vi:v'], 'i32x4.add': [0xae, 'vv:v'], 'i32x4.sub': [0xb1, 'vv:v'],
  'i32x4.mul': [0xb5, 'vv:v'], 'i32x4.dot_i16x8_s': [0xba, 'vv:v'],
  'i64x2.shl': [0xcb, 'vi:v'], 'i64x2.shr_u': [0xcd, 'vi:v'], 'i64x2.add': [0xce, 'vv:v'], 'i64x2.sub': [0xd1, 'vv:v'], 'i64x2.mul': [0xd5, 'vv:v'],
  'i64x2.extmul_low_i32x4_u': [0xde, 'vv:v'],
  'i32x4.bitmask': [0xa4, 'v:i'], 'i64x2.bitmask': [0xc4, 'v:i'],
  'f32x4.sqrt': [0xe3, 'v:v'], 'f32x4.add': [0xe4, 'vv:v'], 'f32x4.sub': [0xe5, 'vv:v'], 'f32x4.mul': [0xe6, 'vv:v'], 'f32x4.div': [0xe7, 'vv:v'],
  'f32x4.pmin': [0xea, 'vv:v'], 'f32x4.pmax': [0xeb, 'vv:v'],
  'f64x2.sqrt': [0xef, 'v:v'], 'f64x2.add': [0xf0, 'vv:v'], 'f64x2.sub': [0xf1, 'vv:v'], 'f64x2.mul': [0xf2, 'vv:v'], 'f64x2.div': [0xf3, 'vv:v'],
  'f64x2.pmin': [0xf6, 'vv:v'], 'f64x2.pmax': [0xf7, 'vv:v'],
  'i32x4.trunc_sat_f32x4_s': [0xf8, 'v:v'], 'f32x4.convert_i32x4_s': [0xfa, 'v:v'], 'i32x4.trunc_sat_f64x2_s_zero': [0xfc, 'v:v'],
  'f64x2.convert_low_i32x4_s': [0xfe, 'v:v'],
};

const info = (bytes: readonly number[], signature: string, lanes: number): OpInfo => {
  const [params, result] = signature.split(':') as [string, ValueType];
  return { bytes, params: [...params] as ValueType[], result, lanes };
};

/** Every numeric instruction by name. */
export const OPS: ReadonlyMap<string, OpInfo> = new Map([
  ...Object.entries(core).map(([name, [code, signature]]) => [name, info([code], signature, 0)] as const),
  ...Object.entries(vector).map(([name, [code, signature, lanes]]) => [name, info(simd(code), signature, lanes ?? 0)] as const),
]);

/** Looks an instruction up; an unknown name is a bug. */
export function opInfo(name: string): OpInfo {
  const found = OPS.get(name);
  if (found === undefined) throw new Error(`no WebAssembly instruction '${name}'`);
  return found;
}
