/* Work for the kernel: system calls, processes, page faults, page tables. */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "workloads.h"

uint32_t run_syscall(void) {
  uint32_t count = 0;
  for (uint32_t i = times(1500000); i > 0; i--) count += syscall(SYS_getppid) != 0;
  return count;
}

/* A byte goes back and forth between two processes: switches of the address space. */
uint32_t run_pipe(void) {
  int to[2], from[2];
  char c = 1;
  uint32_t rounds = times(30000), sum = 0;
  if (pipe(to) || pipe(from)) return 0;
  pid_t child = fork();
  if (!child) {
    for (uint32_t i = 0; i < rounds; i++)
      if (read(to[0], &c, 1) != 1 || write(from[1], &c, 1) != 1) _exit(1);
    _exit(0);
  }
  for (uint32_t i = 0; i < rounds; i++) {
    if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1) return 0;
    sum += c;
  }
  waitpid(child, 0, 0);
  return sum;
}

uint32_t run_fork(void) {
  uint32_t sum = 0;
  for (uint32_t i = 0, rounds = times(2500); i < rounds; i++) {
    pid_t child = fork();
    if (!child) _exit(i & 7);
    int status;
    waitpid(child, &status, 0);
    sum += WEXITSTATUS(status);
  }
  return sum;
}

uint32_t run_exec(void) {
  uint32_t sum = 0;
  for (uint32_t i = times(800); i > 0; i--) {
    pid_t child = fork();
    if (!child) {
      execl("/bin/work", "work", "nothing", (char *)0);
      _exit(9);
    }
    int status;
    waitpid(child, &status, 0);
    sum += WEXITSTATUS(status) + 1;
  }
  return sum;
}

enum { PAGE = 4096 };
static uint8_t *fresh(uint32_t size) {
  return mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Pages that come into being when they are touched. */
uint32_t run_fault(void) {
  enum { SIZE = 4 << 20 };
  uint32_t sum = 0;
  for (uint32_t i = 0, rounds = times(60); i < rounds; i++) {
    uint8_t *m = fresh(SIZE);
    for (int j = 0; j < SIZE; j += PAGE) {
      m[j] = i;
      sum += m[j];
    }
    munmap(m, SIZE);
  }
  return sum;
}

/* Page-table entries that change one at a time. */
uint32_t run_mprotect(void) {
  uint8_t *m = fresh(256 * PAGE);
  uint32_t sum = 0;
  for (uint32_t i = 0, rounds = times(40000); i < rounds; i++) {
    uint8_t *p = m + (i & 255) * PAGE;
    *p = i;
    mprotect(p, PAGE, PROT_READ);
    sum += *p;
    mprotect(p, PAGE, PROT_READ | PROT_WRITE);
  }
  return sum;
}
