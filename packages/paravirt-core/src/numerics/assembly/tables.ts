/** Constants and series to 128 bits: written by `../tables.ts`, not by hand. Scale: units of 2^-127 or 2^-128. */
import { first, next } from './fixed';

/** pi, in units of 2^-126. */
export const PI_HIGH: u64 = 0xc90fdaa22168c234;
export const PI_LOW: u64 = 0xc4c6628b80dc1cd1;

/** ln 2, in units of 2^-128. */
export const LN2_HIGH: u64 = 0xb17217f7d1cf79ab;
export const LN2_LOW: u64 = 0xc9e3b39803f2f6af;

/** 2 / ln 2, in units of 2^-126. */
export const TWO_LOG2E_HIGH: u64 = 0xb8aa3b295c17f0bb;
export const TWO_LOG2E_LOW: u64 = 0xbe87fed0691d3e89;

/** Low word of the last `arctangent`. */
export let tableLow: u64 = 0;

/** atan(k / 8) in units of 2^-127: the high word, and the low one in `tableLow`. */
export function arctangent(k: i32): u64 {
  switch (k) {
    case 1:
      tableLow = 0x2c897989f3e888ef;
      return 0x0feadd4d5617b6e3;
    case 2:
      tableLow = 0xadb8f3debef442fd;
      return 0x1f5b75f92c80dd62;
    case 3:
      tableLow = 0xe2a8c848b73f9121;
      return 0x2dec3283c9bde11c;
    case 4:
      tableLow = 0x5bf9117b2f0ea341;
      return 0x3b58ce0ac3769ed1;
    case 5:
      tableLow = 0xae41af0b32e21ba4;
      return 0x47802eaf7bfacfcd;
    case 6:
      tableLow = 0x0cd43f9522bed64f;
      return 0x525e3e8c9a7b8492;
    case 7:
      tableLow = 0xe596d2a90852221f;
      return 0x5c029f15e118cf39;
    case 8:
      tableLow = 0x62633145c06e0e69;
      return 0x6487ed5110b4611a;
    default:
      tableLow = 0;
      return 0;
  }
}

/** (1 - sin(x) / x) / t, with t = x^2; units of 2^-128. */
export function sineTail(): void {
  first(0x0000000000000000, 0x002ec368262c7034);
  next(0x0000000000000000, 0x5c6e3bdb73d5c630);
  next(0x0000000000000097, 0xa4da340a0ab92651);
  next(0x000000000000ca96, 0x3b81856a53593029);
  next(0x0000000000d73f9f, 0x399dc0f88ec32b58);
  next(0x00000000b092309d, 0x43684be51c198e92);
  next(0x0000006b99159fd5, 0x138e3f9d1f92e0df);
  next(0x00002e3bc74aad8e, 0x671f5583911ca003);
  next(0x000d00d00d00d00d, 0x00d00d00d00d00d0);
  next(0x0222222222222222, 0x2222222222222222);
  next(0x2aaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaab);
}

/** (1 - cos(x)) / t, with t = x^2; units of 2^-128. */
export function cosineTail(): void {
  first(0x0000000000000000, 0x0001f2cf01972f57);
  next(0x0000000000000000, 0x04338e5b6dfe14a5);
  next(0x0000000000000007, 0x950ae900808941ea);
  next(0x0000000000000b41, 0x3c31dcbecbbdd802);
  next(0x00000000000d73f9, 0xf399dc0f88ec32b6);
  next(0x000000000c9cba54, 0x603e4e905d6f8a2f);
  next(0x00000008f76c77fc, 0x6c4bdaa26d4c3d68);
  next(0x0000049f93edde27, 0xd71cbbc05b4fa99a);
  next(0x0001a01a01a01a01, 0xa01a01a01a01a01a);
  next(0x005b05b05b05b05b, 0x05b05b05b05b05b0);
  next(0x0aaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaab);
  next(0x8000000000000000, 0x0000000000000000);
}

/** (e^t - 1) / t; units of 2^-127. */
export function exponential(): void {
  first(0x0000000000000000, 0x0000f96780cb97ac);
  next(0x0000000000000000, 0x001761b41316381a);
  next(0x0000000000000000, 0x0219c72db6ff0a53);
  next(0x0000000000000000, 0x2e371dedb9eae318);
  next(0x0000000000000003, 0xca8574804044a0f5);
  next(0x000000000000004b, 0xd26d1a05055c9328);
  next(0x00000000000005a0, 0x9e18ee5f65deec01);
  next(0x000000000000654b, 0x1dc0c2b529ac9814);
  next(0x000000000006b9fc, 0xf9ccee07c476195b);
  next(0x00000000006b9fcf, 0x9ccee07c476195ac);
  next(0x00000000064e5d2a, 0x301f27482eb7c517);
  next(0x000000005849184e, 0xa1b425f28e0cc749);
  next(0x000000047bb63bfe, 0x3625ed5136a61eb4);
  next(0x00000035cc8acfea, 0x89c71fce8fc97070);
  next(0x0000024fc9f6ef13, 0xeb8e5de02da7d4cd);
  next(0x0000171de3a556c7, 0x338faac1c88e5001);
  next(0x0000d00d00d00d00, 0xd00d00d00d00d00d);
  next(0x0006806806806806, 0x8068068068068068);
  next(0x002d82d82d82d82d, 0x82d82d82d82d82d8);
  next(0x0111111111111111, 0x1111111111111111);
  next(0x0555555555555555, 0x5555555555555555);
  next(0x1555555555555555, 0x5555555555555555);
  next(0x4000000000000000, 0x0000000000000000);
  next(0x8000000000000000, 0x0000000000000000);
}

/** atanh(x) / x, with t = x^2; units of 2^-127. */
export function logarithm(): void {
  first(0x03e0f83e0f83e0f8, 0x3e0f83e0f83e0f84);
  next(0x0421084210842108, 0x4210842108421084);
  next(0x0469ee58469ee584, 0x69ee58469ee5846a);
  next(0x04bda12f684bda12, 0xf684bda12f684bda);
  next(0x051eb851eb851eb8, 0x51eb851eb851eb85);
  next(0x0590b21642c8590b, 0x21642c8590b21643);
  next(0x0618618618618618, 0x6186186186186186);
  next(0x06bca1af286bca1a, 0xf286bca1af286bca);
  next(0x0787878787878787, 0x8787878787878788);
  next(0x0888888888888888, 0x8888888888888889);
  next(0x09d89d89d89d89d8, 0x9d89d89d89d89d8a);
  next(0x0ba2e8ba2e8ba2e8, 0xba2e8ba2e8ba2e8c);
  next(0x0e38e38e38e38e38, 0xe38e38e38e38e38e);
  next(0x1249249249249249, 0x2492492492492492);
  next(0x1999999999999999, 0x999999999999999a);
  next(0x2aaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaab);
  next(0x8000000000000000, 0x0000000000000000);
}

/** (1 - atan(x) / x) / t, with t = x^2; units of 2^-128. */
export function arctangentTail(): void {
  first(0x0c30c30c30c30c30, 0xc30c30c30c30c30c);
  next(0x0d79435e50d79435, 0xe50d79435e50d794);
  next(0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f);
  next(0x1111111111111111, 0x1111111111111111);
  next(0x13b13b13b13b13b1, 0x3b13b13b13b13b14);
  next(0x1745d1745d1745d1, 0x745d1745d1745d17);
  next(0x1c71c71c71c71c71, 0xc71c71c71c71c71c);
  next(0x2492492492492492, 0x4924924924924925);
  next(0x3333333333333333, 0x3333333333333333);
  next(0x5555555555555555, 0x5555555555555555);
}
