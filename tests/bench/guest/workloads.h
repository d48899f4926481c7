/* Workloads of a fixed size, each with a result that is the same on every machine. */
#include <stdint.h>
#include "times.h"

/* Floating point, compiled apart with other options: fp.c. */
double nbody_x87(int steps);
double nbody_sse(int steps);
float saxpy_sse(int rounds);

/* Pseudo-random numbers (xorshift, Marsaglia 2003), the same in every run. */
uint32_t next_random(void);

uint32_t run_sieve(void), run_sort(void), run_sha(void), run_div64(void), run_dispatch(void), run_fib(void);
uint32_t run_chase(void), run_copy(void), run_x87(void), run_sse(void), run_simd(void);
uint32_t run_syscall(void), run_pipe(void), run_fork(void), run_exec(void), run_fault(void), run_mprotect(void);
