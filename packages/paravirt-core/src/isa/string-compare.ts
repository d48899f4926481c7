/**
 * PCMPESTRM and its kin: two strings in XMM registers, compared in one of four ways (SDM vol. 1, 12.11; vol. 2, 4.1). The
 * immediate says what the elements are, how they are compared, what of the outcome is inverted, and how it is told.
 */
import { EAX, ECX, EDX, type Build, type Operand, type Semantics } from './build.ts';
import { addImm, andImm, eq, eqz, gtU, ltS, ne, or, shlImm, shrImm, sub, xor } from './ops.ts';
import { BYTE_INDICES, lanes } from './vector.ts';

/** Immediate (SDM vol. 2, 4.1.1 to 4.1.5): words, signed, the way to compare, the polarity, and the most significant or a whole mask. */
const WORDS = 1,
  SIGNED = 2,
  WAY_SHIFT = 2,
  POLARITY_SHIFT = 4,
  OUTPUT = 0x40;
const WAY = { any: 0, ranges: 1, each: 2, ordered: 3 } as const;
const NEGATIVE = 1,
  MASKED_NEGATIVE = 3;

type Shape = 'i8x16' | 'i16x8';
const COUNT = { i8x16: 16, i16x8: 8 } as const;
const INDICES = { i8x16: BYTE_INDICES, i16x8: lanes(16, [0, 1, 2, 3, 4, 5, 6, 7]) } as const;

interface Text<V> {
  readonly value: V;
  /** Elements that count. */
  readonly length: V;
}

const splat = <V>(b: Build<V>, shape: Shape, n: V): V => b.op(`${shape}.splat`, [n]);
/** All ones in the lanes below `length`. */
const valid = <V>(b: Build<V>, shape: Shape, length: V): V =>
  b.op(`${shape}.gt_s`, [splat(b, shape, length), b.imm128(INDICES[shape])]);
/** One element in every lane. */
function spread<V>(b: Build<V>, shape: Shape, value: V, index: V): V {
  const from = shape === 'i8x16' ? index : addImm(b, b.op('i32.mul', [index, b.imm(0x0202)]), 0x0100);
  return b.op('i8x16.swizzle', [value, splat(b, shape, from)]);
}
/** Elements moved down by `by` places, zeros behind. */
function moved<V>(b: Build<V>, shape: Shape, value: V, by: V): V {
  const bytes = shape === 'i8x16' ? by : shlImm(b, by, 1);
  return b.op('i8x16.swizzle', [value, b.op('i8x16.add', [b.imm128(BYTE_INDICES), b.op('i8x16.splat', [bytes])])]);
}
const both = <V>(b: Build<V>, x: V, y: V): V => b.op('v128.and', [x, y]);

/** Runs `body` for 0, `step`, ... while `index` is below `end`. */
function each<V>(b: Build<V>, end: V, step: number, body: (index: V) => void): void {
  const next = b.variable(b.imm(0));
  b.loop((leave) => {
    const index = next.get();
    leave(eqz(b, ltS(b, index, end)));
    body(index);
    next.set(addImm(b, index, step));
  });
}

/** What holds of each element of the second string, a bit each: the first intermediate result. */
function compared<V>(b: Build<V>, shape: Shape, first: Text<V>, second: Text<V>, control: V): V {
  const ones = b.imm128((1n << 128n) - 1n);
  const way = andImm(b, shrImm(b, control, WAY_SHIFT), 3),
    result = b.variable(b.imm128(0n));
  const inSecond = valid(b, shape, second.length);
  const collect = (x: V): void => result.set(b.op('v128.or', [result.get(), x]));
  b.if(eq(b, way, b.imm(WAY.any)), () => {
    each(b, first.length, 1, (i) => collect(b.op(`${shape}.eq`, [second.value, spread(b, shape, first.value, i)])));
    result.set(both(b, result.get(), inSecond));
  });
  b.if(eq(b, way, b.imm(WAY.ranges)), () => {
    // Bounds come in pairs; one without a second is no range.
    each(b, addImm(b, first.length, -1), 2, (i) => {
      const low = spread(b, shape, first.value, i),
        high = spread(b, shape, first.value, addImm(b, i, 1));
      const within = (sign: 's' | 'u'): V =>
        both(b, b.op(`${shape}.le_${sign}`, [low, second.value]), b.op(`${shape}.le_${sign}`, [second.value, high]));
      collect(b.select(andImm(b, control, SIGNED), within('s'), within('u')));
    });
    result.set(both(b, result.get(), inSecond));
  });
  b.if(eq(b, way, b.imm(WAY.each)), () => {
    // Beyond the ends of both strings elements are equal, beyond one they are not.
    const inFirst = valid(b, shape, first.length);
    const same = both(b, b.op(`${shape}.eq`, [first.value, second.value]), both(b, inFirst, inSecond));
    result.set(b.op('v128.or', [same, b.op('v128.not', [b.op('v128.or', [inFirst, inSecond])])]));
  });
  b.if(eq(b, way, b.imm(WAY.ordered)), () => {
    // Whether the first string begins here; what lies beyond the register is not looked at.
    result.set(ones);
    each(b, first.length, 1, (i) => {
      const here = b.op(`${shape}.eq`, [moved(b, shape, second.value, i), spread(b, shape, first.value, i)]);
      const last = sub(b, b.imm(COUNT[shape] - 1), i);
      const outside = b.op(`${shape}.gt_s`, [b.imm128(INDICES[shape]), splat(b, shape, last)]);
      const holds = b.op('v128.or', [both(b, here, moved(b, shape, inSecond, i)), outside]);
      result.set(both(b, result.get(), holds));
    });
  });
  const bits = b.op(`${shape}.bitmask`, [result.get()]),
    all = b.imm((1 << COUNT[shape]) - 1);
  const polarity = andImm(b, shrImm(b, control, POLARITY_SHIFT), 3);
  const ofSecond = b.op(`${shape}.bitmask`, [inSecond]);
  const inverted = b.select(eq(b, polarity, b.imm(MASKED_NEGATIVE)), ofSecond, b.imm(0));
  return xor(b, bits, b.select(eq(b, polarity, b.imm(NEGATIVE)), all, inverted));
}

/** Elements before the first zero. */
function terminated<V>(b: Build<V>, shape: Shape, value: V): V {
  const zeros = b.op(`${shape}.bitmask`, [b.op(`${shape}.eq`, [value, b.imm128(0n)])]);
  return b.op('i32.ctz', [or(b, zeros, b.imm(1 << COUNT[shape]))]);
}
/** The magnitude of a register, no more than there are elements. */
function counted<V>(b: Build<V>, shape: Shape, register: number): V {
  const n = b.getRegister(32, register);
  const magnitude = b.select(ltS(b, n, b.imm(0)), sub(b, b.imm(0), n), n);
  return b.select(gtU(b, magnitude, b.imm(COUNT[shape])), b.imm(COUNT[shape]), magnitude);
}

/** The outcome as all ones in the lanes of its bits. */
function asMask<V>(b: Build<V>, shape: Shape, bits: V): V {
  const bitOf = Array.from({ length: COUNT[shape] }, (_, i) => 1 << (i % 8));
  const wanted = b.imm128(lanes(shape === 'i8x16' ? 8 : 16, bitOf));
  const byte = b.imm128(
    lanes(
      8,
      Array.from({ length: 16 }, (_, i) => (shape === 'i8x16' ? i >> 3 : i & 1)),
    ),
  );
  const spreadOut = b.op('i8x16.swizzle', [b.op('i32x4.splat', [bits]), byte]);
  return b.op(`${shape}.eq`, [both(b, spreadOut, wanted), wanted]);
}

/** `explicit`: EAX and EDX say how long the strings are. `result`: ECX gets an index, or XMM0 a mask. */
export const comparingStrings =
  (explicit: boolean, result: 'index' | 'mask'): Semantics =>
  <V>(b: Build<V>, first: Operand<V>, second: Operand<V>, how: Operand<V>) => {
    const x = first.read(),
      y = second.read(),
      control = how.read();
    const run = (shape: Shape): void => {
      const count = COUNT[shape];
      const length = (value: V, register: number): V =>
        explicit ? counted(b, shape, register) : terminated(b, shape, value);
      const left: Text<V> = { value: x, length: length(x, EAX) },
        right: Text<V> = { value: y, length: length(y, EDX) };
      const bits = compared(b, shape, left, right, control);
      const wide = andImm(b, control, OUTPUT);
      if (result === 'index') {
        const highest = sub(b, b.imm(31), b.op('i32.clz', [bits])),
          lowest = b.op('i32.ctz', [bits]);
        b.setRegister(32, ECX, b.select(bits, b.select(wide, highest, lowest), b.imm(count)));
      } else {
        const few = b.op('i32x4.replace_lane', [b.imm128(0n), bits], [0]);
        b.poke(b.slotAddress('xmm', b.imm(0)), 'v128', 0, b.select(wide, asMask(b, shape, bits), few));
      }
      // C: anything holds. Z, S: the second, the first string ends here. O: the lowest bit.
      const ends = (text: Text<V>, at: number): V => shlImm(b, ltS(b, text.length, b.imm(count)), at);
      const carry = ne(b, bits, b.imm(0));
      b.setStatusFlags(or(b, or(b, carry, ends(right, 6)), or(b, ends(left, 7), shlImm(b, andImm(b, bits, 1), 11))));
    };
    b.if(
      andImm(b, control, WORDS),
      () => run('i16x8'),
      () => run('i8x16'),
    );
  };
