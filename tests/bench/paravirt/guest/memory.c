/* Two processes that take turns, each with a megabyte that it touches a byte a page of: a new working set at every switch. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "workloads.h"

enum { PAGE = 4096, PAGES = 256 };

static uint32_t touch(uint8_t *m) {
  uint32_t sum = 0;
  for (int i = 0; i < PAGES; i++) sum += ++m[i * PAGE];
  return sum;
}

uint32_t run_switch(const char *unused) {
  int to[2], from[2];
  char c = 1;
  uint32_t rounds = times(12000), sum = 0;
  (void)unused;
  uint8_t *m = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (m == MAP_FAILED || pipe(to) || pipe(from)) return 0;
  pid_t child = fork();
  if (!child) {
    for (uint32_t i = 0; i < rounds; i++) {
      if (read(to[0], &c, 1) != 1) _exit(1);
      touch(m);
      if (write(from[1], &c, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  for (uint32_t i = 0; i < rounds; i++) {
    sum += touch(m);
    if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1) return 0;
  }
  waitpid(child, 0, 0);
  return sum;
}
