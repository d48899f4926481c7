/* Workloads of a fixed size, each with a result that is the same in both modes. 0 where something failed. */
#include <stdint.h>
#include "../../guest/times.h"

uint32_t run_switch(const char *);
/* Through a file system, and through the disk itself without a cache. */
uint32_t run_seqwrite(const char *), run_seqread(const char *), run_randread(const char *), run_syncwrite(const char *);
uint32_t run_rawwrite(const char *), run_rawread(const char *), run_rawrand(const char *), run_rawsync(const char *);
uint32_t run_tcpsend(const char *), run_tcprecv(const char *), run_tcpping(const char *);
int serve(void);
