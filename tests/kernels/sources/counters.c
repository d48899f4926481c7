/* RDPMC and the two counters of family 6 (SDM vol. 2, RDPMC; vol. 3, 20.6.8). What is counted must be exact for instructions. */
#include "lib.h"

static void write_msr(u32 index, u32 high, u32 low) { __asm__ volatile("wrmsr" : : "c"(index), "a"(low), "d"(high)); }
static u64 read_msr(u32 index)
{
  u32 low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return (u64)high << 32 | low;
}
static u64 read_counter(u32 n)
{
  u32 low, high;
  __asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(n));
  return (u64)high << 32 | low;
}

void test_main(void)
{
  TRY_USER("xorl %ecx, %ecx\n" AT "rdpmc");
  report("rdpmc-in-ring3");
  write_cr4(read_cr4() | 0x100);
  TRY_USER("xorl %ecx, %ecx\n" AT "rdpmc\n xorl %eax, %eax");
  report("rdpmc-in-ring3-with-pce");
  TRY("movl $2, %ecx\n" AT "rdpmc");
  report("third-counter");
  print("ok stopped %x\n", (u32)read_counter(0));
  /* INST_RETIRED, both rings, enabled; the second counts cycles. */
  write_msr(0x187, 0, 0x00030079);
  write_msr(0x186, 0, 0x004300c0);
  u32 before, after;
  __asm__ volatile("rdpmc\n movl %%eax, %0\n nop\n nop\n nop\n rdpmc"
                   : "=&r"(before), "=a"(after)
                   : "c"(0)
                   : "edx");
  print("ok instructions %u\n", after - before);
  __asm__ volatile("xorl %%ecx, %%ecx\n rdpmc\n movl %%eax, %0\n movl $1000, %%ecx\n 1: loop 1b\n rdpmc"
                   : "=&r"(before), "=a"(after)
                   :
                   : "ecx", "edx");
  print("ok loop %u\n", after - before);
  u64 cycles = read_counter(1);
  for (volatile u32 i = 0; i < 1000; i++) {
  }
  check("cycles-run", read_counter(1) - cycles > 1000);
  /* Forty bits; bit 31 of what is written is extended. */
  write_msr(0x186, 0, 0x000300c0);
  write_msr(0xc1, 0x12345678, 0x80000001);
  print("ok written %08x %08x\n", (u32)(read_msr(0xc1) >> 32), (u32)read_msr(0xc1));
  write_msr(0xc2, 0, 0x7fffffff);
  print("ok written %08x %08x\n", (u32)(read_msr(0xc2) >> 32), (u32)read_msr(0xc2));
  print("ok stopped-again %x\n", (u32)(read_counter(0) - read_counter(0)));
  print("ok select %x\n", (u32)read_msr(0x186));
}
