/** FPATAN (Intel SDM vol. 2A, table 3-31; vol. 1, 8.3.8): the angle of the point (x, y), from a table of eighths and a series. */
import { denormalStops, isDenormal, isInfinity, normalExponent, normalize, put, screenTwo } from './f80';
import { argument, oneMinus, rest, sumHigh, sumLow } from './fixed';
import { DE, EXP_BIAS, SIGN } from './flags';
import { copy, exponent, finishReal, high, low, over, setFixed, setReal, times, toFixed } from './real';
import { PI_HIGH, PI_LOW, arctangent, arctangentTail, tableLow } from './tables';
import { low as wideLow, multiply } from './wide';

/** So many quarters of pi. */
function angle(dst: usize, sign: u32, quarters: u64, cw: i32): i32 {
  const carry = multiply((PI_LOW >> 2) | (PI_HIGH << 62), quarters);
  setFixed((PI_HIGH >> 2) * quarters + carry, wideLow, 1);
  return finishReal(dst, sign, cw);
}

export function f80_atan(dst: usize, y: usize, x: usize, cw: i32): i32 {
  const sigX = load<u64>(x);
  const sigY = load<u64>(y);
  const seX = u32(load<u16>(x, 8));
  const seY = u32(load<u16>(y, 8));
  const screened = screenTwo(dst, seX, sigX, seY, sigY, cw);
  if (screened >= 0) return screened;
  if (denormalStops(seX, sigX, cw) || denormalStops(seY, sigY, cw)) return DE;
  const flags = isDenormal(seX, sigX) || isDenormal(seY, sigY) ? DE : 0;
  const sign = seY & SIGN;
  const left = (seX & SIGN) != 0;
  const infiniteX = isInfinity(seX, sigX);
  if (isInfinity(seY, sigY)) return flags | angle(dst, sign, infiniteX ? (left ? 3 : 1) : 2, cw);
  if (infiniteX || sigY == 0) return flags | (left ? angle(dst, sign, 4, cw) : copy(dst, sign, 0));
  if (sigX == 0) return flags | angle(dst, sign, 2, cw);
  return (
    flags |
    quotientAngle(
      dst,
      sign,
      left,
      normalExponent(seY, sigY),
      normalize(sigY),
      normalExponent(seX, sigX),
      normalize(sigX),
      cw,
    )
  );
}

/** The exponent distance beyond which the quotient is below one sixteenth. */
const FAR: i32 = 5;

function quotientAngle(dst: usize, sign: u32, left: bool, expY: i32, y: u64, expX: i32, x: u64, cw: i32): i32 {
  // The smaller over the larger: at most 1.
  const steep = expY > expX || (expY == expX && y > x);
  const smallExponent = steep ? expX : expY;
  const small = steep ? x : y;
  const largeExponent = steep ? expY : expX;
  const large = steep ? y : x;
  const distance = largeExponent - smallExponent;

  // atan t = atan(k/8) + atan((8 t - k) / (8 + k t)), with k/8 next to t.
  const ratio = distance > FAR ? 0.0 : (f64(small) / f64(large)) * (f64(1 << (FAR - distance)) / f64(1 << FAR));
  const k = i32(nearest<f64>(ratio * 8.0));
  let below = false;
  let zero = false;
  if (k == 0) {
    setReal(small, 0, smallExponent);
    over(large, 0, largeExponent);
  } else {
    below = residual(small, large, distance, k);
    zero = high == 0;
  }
  // z times its series.
  if (!zero) {
    const zHigh = high;
    const zLow = low;
    const zExponent = exponent;
    times(zHigh, zLow, zExponent);
    argument(toFixed(-1), rest, true);
    arctangentTail();
    oneMinus();
    setReal(zHigh, zLow, zExponent);
    times(sumHigh, sumLow, EXP_BIAS - 1);
  }
  if (k == 0 && !steep && !left) return finishReal(dst, sign, cw);

  // In units of 2^-126: the angle between the larger operand's axis and the point, then the quadrant.
  let h = zero ? 0 : toFixed(1);
  let l = zero ? 0 : rest;
  if (k != 0) {
    const tableHigh = arctangent(k);
    const baseHigh = tableHigh >> 1;
    const baseLow = (tableLow >> 1) | (tableHigh << 63);
    if (below) {
      h = baseHigh - h - u64(baseLow < l);
      l = baseLow - l;
    } else {
      l += baseLow;
      h += baseHigh + u64(l < baseLow);
    }
  }
  if (steep || left) {
    const axisHigh = steep ? PI_HIGH >> 1 : PI_HIGH;
    const axisLow = steep ? (PI_LOW >> 1) | (PI_HIGH << 63) : PI_LOW;
    if (steep && left) {
      l += axisLow;
      h += axisHigh + u64(l < axisLow);
    } else {
      h = axisHigh - h - u64(axisLow < l);
      l = axisLow - l;
    }
  }
  setFixed(h, l, 1);
  return finishReal(dst, sign, cw);
}

/**
 * Sets the real to |8 t - k| / (8 + k t) for t = small / large * 2^-distance, and says whether 8 t is below k. When they
 * are equal, `high` is 0. Everything before the division is exact: the operands are held shifted right by 8 bits, which
 * leaves room above for the factors and room below for the distance.
 */
function residual(small: u64, large: u64, distance: i32, k: u64): bool {
  const largeHigh = large >> 8;
  const largeLow = large << 56;
  const smallHigh = (small >> 8) >> distance;
  const smallLow = ((small << 56) >> distance) | (((small >> 8) << (63 - distance)) << 1);

  const d1 = multiply(smallLow, k);
  const d0 = wideLow + (largeLow << 3);
  setFixed(smallHigh * k + d1 + ((largeHigh << 3) | (largeLow >> 61)) + u64(d0 < wideLow), d0, 7);
  const divisorHigh = high;
  const divisorLow = low;
  const divisorExponent = exponent;

  const times8High = (smallHigh << 3) | (smallLow >> 61);
  const times8Low = smallLow << 3;
  const product = largeHigh * k + multiply(largeLow, k);
  const below = times8High < product || (times8High == product && times8Low < wideLow);
  const n0 = below ? wideLow - times8Low : times8Low - wideLow;
  const borrow = u64(below ? wideLow < times8Low : times8Low < wideLow);
  const n1 = (below ? product - times8High : times8High - product) - borrow;
  if ((n1 | n0) == 0) {
    setReal(0, 0, 0);
    return false;
  }
  setFixed(n1, n0, 7);
  over(divisorHigh, divisorLow, divisorExponent);
  return below;
}
