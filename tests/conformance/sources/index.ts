/** Every source of stored cases: to add a family, write its source and name it here, then run `make-vectors.ts --family`. */
import { type CaseSource } from '../case.ts';
import { boundaries } from './boundaries.ts';
import { ENCODING_SOURCES } from './encoding.ts';
import { INTEGER_SOURCES } from './integer.ts';
import { PACKED_SOURCES } from './packed.ts';
import { X87_SOURCES } from './x87.ts';
import { SSE_SOURCES } from './sse.ts';
import { SSE4_SOURCES } from './sse4.ts';
import { SYSTEM_SOURCES } from './system.ts';

export const CASE_SOURCES: readonly CaseSource[] = [
  boundaries,
  ...ENCODING_SOURCES,
  ...INTEGER_SOURCES,
  ...SYSTEM_SOURCES,
  ...PACKED_SOURCES,
  ...SSE_SOURCES,
  ...SSE4_SOURCES,
  ...X87_SOURCES,
];
