/* Work for the processor alone. */
#include <stdlib.h>
#include <string.h>
#include "workloads.h"

uint32_t next_random(void) {
  static uint32_t state = 2463534242u;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

/* Sieve of Eratosthenes over a megabyte: byte stores with a stride. */
uint32_t run_sieve(void) {
  enum { SIZE = 1 << 20 };
  static uint8_t prime[SIZE];
  uint32_t count = 0;
  for (uint32_t r = times(40); r > 0; r--) {
    memset(prime, 1, SIZE);
    count = 0;
    for (uint32_t i = 2; i < SIZE; i++)
      if (prime[i]) {
        count++;
        for (uint32_t j = i * 2; j < SIZE; j += i) prime[j] = 0;
      }
  }
  return count;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}
/* The C library's sort with a comparison behind a pointer: branches that nobody can predict, indirect calls. */
uint32_t run_sort(void) {
  enum { COUNT = 400000 };
  static uint32_t v[COUNT];
  uint32_t hash = 0, count = times(COUNT);
  for (int r = 0; r < 3; r++) {
    for (uint32_t i = 0; i < count; i++) v[i] = next_random();
    qsort(v, count, 4, compare);
    hash ^= v[count / 2];
  }
  return hash;
}

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
/* The shape of SHA-256's compression: rotations, exclusive ors, additions. */
uint32_t run_sha(void) {
  const uint32_t constant = 0x428a2f98;
  uint32_t s[8] = {1, 2, 3, 4, 5, 6, 7, 8}, w[64];
  for (uint32_t r = times(400000); r > 0; r--) {
    for (int i = 0; i < 16; i++) w[i] = s[i & 7] + i * constant;
    for (int i = 16; i < 64; i++) {
      uint32_t x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + (ROTATE(x, 7) ^ ROTATE(x, 18) ^ x >> 3) + w[i - 7] + (ROTATE(y, 17) ^ ROTATE(y, 19) ^ y >> 10);
    }
    uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    for (int i = 0; i < 64; i++) {
      uint32_t t1 = h + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + ((e & f) ^ (~e & g)) + constant + w[i];
      uint32_t t2 = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    s[0] += a, s[1] += b, s[2] += c, s[3] += d, s[4] += e, s[5] += f, s[6] += g, s[7] += h;
  }
  return s[0];
}

/* 64-bit divisions, which a 32-bit processor does in several. */
uint32_t run_div64(void) {
  uint64_t a = 88172645463325252ull;
  uint32_t hash = 0, count = times(12000000);
  for (uint32_t i = 1; i < count; i++) {
    a ^= a << 7;
    a ^= a >> 9;
    hash += (uint32_t)(a / (i | 1)) + (uint32_t)(a % 1000003);
  }
  return hash;
}

/* A small interpreter: indirect jumps. */
uint32_t run_dispatch(void) {
  static const void *const operation[] = {&&add, &&sub, &&xor, &&rotate, &&again, &&end};
  static uint8_t program[64];
  uint32_t sum = 1, left = times(1500000);
  int at;
  for (int i = 0; i < 40; i++) program[i] = next_random() & 3;
  program[40] = 4;
  program[41] = 5;
#define NEXT goto *operation[program[at++]]
top:
  at = 0;
  NEXT;
add:
  sum += at;
  NEXT;
sub:
  sum -= left;
  NEXT;
xor:
  sum ^= 0x5bd1e995;
  NEXT;
rotate:
  sum = sum << 1 | sum >> 31;
  NEXT;
again:
  if (--left) goto top;
  NEXT;
end:
  return sum;
}

static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
/* Calls and returns. */
uint32_t run_fib(void) {
  uint32_t n = 39;
  for (uint32_t scale = 1000 / times(1000); scale > 1; scale = scale * 62 / 100) n--;
  return fib(n);
}

/* Follows a random cycle through 16 MiB: misses of caches and TLB. */
uint32_t run_chase(void) {
  uint32_t count = 4 << 20, *v = malloc(count * 4), x = 0;
  for (uint32_t i = 0; i < count; i++) v[i] = i;
  for (uint32_t i = count - 1; i; i--) {
    uint32_t j = next_random() % i, swapped = v[i];
    v[i] = v[j];
    v[j] = swapped;
  }
  for (uint32_t i = times(3000000); i > 0; i--) x = v[x];
  return x;
}

/* Moves of megabytes. */
uint32_t run_copy(void) {
  enum { SIZE = 4 << 20 };
  uint8_t *a = malloc(SIZE), *b = malloc(SIZE);
  memset(a, 7, SIZE);
  for (uint32_t i = 0, rounds = times(150); i < rounds; i++) {
    a[i] = i;
    memcpy(b, a, SIZE);
    memmove(a + 1, b, SIZE - 1);
  }
  return a[12345] + b[54321];
}

static uint32_t whole(double d) { return (uint32_t)(d * 1e6); }
uint32_t run_x87(void) { return whole(nbody_x87(times(500000))); }
uint32_t run_sse(void) { return whole(nbody_sse(times(1000000))); }
uint32_t run_simd(void) { return (uint32_t)saxpy_sse(times(8000)); }
