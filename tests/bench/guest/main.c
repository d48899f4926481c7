/*
 * `work` prints the names of the workloads, `work NAME` runs one and prints "NAME result". The same static i386 program runs in
 * every hypervisor and on the host itself. SCALE=n in the environment makes everything n times shorter.
 */
#include <stdio.h>
#include <string.h>
#include "workloads.h"

static const struct {
  const char *name;
  uint32_t (*run)(void);
} workloads[] = {
  {"sieve", run_sieve},       {"sort", run_sort},   {"sha", run_sha},   {"div64", run_div64}, {"dispatch", run_dispatch},
  {"fib", run_fib},           {"chase", run_chase}, {"copy", run_copy}, {"x87", run_x87},     {"sse", run_sse},
  {"simd", run_simd},         {"syscall", run_syscall}, {"pipe", run_pipe}, {"fork", run_fork}, {"exec", run_exec},
  {"fault", run_fault},       {"mprotect", run_mprotect},
};

int main(int count, char **arguments) {
  setvbuf(stdout, 0, _IONBF, 0);
  for (unsigned i = 0; i < sizeof workloads / sizeof *workloads; i++) {
    if (count < 2) puts(workloads[i].name);
    else if (!strcmp(arguments[1], workloads[i].name)) {
      printf("%s %08x\n", workloads[i].name, workloads[i].run());
      return 0;
    }
  }
  return count < 2 || !strcmp(arguments[1], "nothing") ? 0 : 2;
}
