/*
 * `pv NAME FILE|ADDRESS` runs one workload and prints "NAME result"; `pv server` serves those of the network. SCALE=n in the environment
 * makes everything n times shorter.
 */
#include <stdio.h>
#include <string.h>
#include "workloads.h"

static const struct {
  const char *name;
  uint32_t (*run)(const char *);
} workloads[] = {
  {"switch", run_switch},       {"seqwrite", run_seqwrite}, {"seqread", run_seqread},   {"randread", run_randread},
  {"syncwrite", run_syncwrite}, {"rawwrite", run_rawwrite}, {"rawread", run_rawread},   {"rawrand", run_rawrand},
  {"rawsync", run_rawsync},     {"tcpsend", run_tcpsend},   {"tcprecv", run_tcprecv},   {"tcpping", run_tcpping},
};

int main(int count, char **arguments) {
  setvbuf(stdout, 0, _IONBF, 0);
  if (count == 2 && !strcmp(arguments[1], "server")) return serve();
  for (unsigned i = 0; i < sizeof workloads / sizeof *workloads; i++)
    if (count >= 2 && !strcmp(arguments[1], workloads[i].name)) {
      printf("%s %08x\n", workloads[i].name, workloads[i].run(count > 2 ? arguments[2] : ""));
      return 0;
    }
  return 2;
}
