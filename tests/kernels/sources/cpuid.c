/* CPUID, the time stamp counter and model-specific registers. The values of the brand differ; what must hold does not. */
#include "lib.h"

static void write_msr(u32 index, u32 high, u32 low) { __asm__ volatile("wrmsr" : : "c"(index), "a"(low), "d"(high)); }
static u64 read_msr(u32 index)
{
  u32 low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return (u64)high << 32 | low;
}

void test_main(void)
{
  u32 flags = read_eflags(), changed;
  __asm__ volatile("pushl %1\n popfl\n pushfl\n popl %0" : "=r"(changed) : "r"(flags ^ 0x200000) : "cc");
  check("eflags-id-can-change", ((flags ^ changed) & 0x200000) != 0);
  u32 leaf[4];
  cpuid(0, leaf);
  check("max-leaf-1-or-more", leaf[0] >= 1 && leaf[0] < 0x40000000);
  int printable = 1;
  for (u32 i = 0; i < 12; i++) {
    u8 c = (u8)(leaf[1 + (i / 4 == 1 ? 2 : i / 4 == 2 ? 1 : 0)] >> 8 * (i % 4));
    printable &= c >= ' ' && c < 127;
  }
  check("vendor-is-text", printable);
  cpuid(1, leaf);
  check("family-6-or-more", (leaf[0] >> 8 & 0xf) >= 6);
  static const struct {
    const char *name;
    u32 bit;
  } wanted[] = {{"fpu", 0},   {"de", 2},   {"pse", 3},   {"tsc", 4},  {"msr", 5},   {"cx8", 8},
                {"sep", 11},  {"pge", 13}, {"cmov", 15}, {"mmx", 23}, {"fxsr", 24}, {"sse", 25}};
  for (u32 i = 0; i < COUNT(wanted); i++) check(wanted[i].name, (leaf[3] >> wanted[i].bit & 1) != 0);
  u32 again[4];
  cpuid(1, again);
  check("same-answer-twice", leaf[0] == again[0] && leaf[3] == again[3]);

  u64 last = read_tsc();
  int rising = 1;
  for (u32 i = 0; i < 1000; i++) {
    u64 now = read_tsc();
    rising &= now >= last;
    last = now;
  }
  check("tsc-never-falls", rising);
  u64 start = read_tsc();
  for (volatile u32 i = 0; i < 10000; i++) {
  }
  check("tsc-runs", read_tsc() > start);
  /* The MSR and the instruction read the same counter. */
  u64 a = read_tsc(), b = read_msr(0x10), c = read_tsc();
  print("ok tsc-msr-between %u\n", a <= b && b <= c);
  write_msr(0x10, 0x100, 0);
  print("ok tsc-written %u\n", (u32)(read_tsc() >> 32) == 0x100);
  write_msr(0x174, 0, 8);
  write_msr(0x175, 0, 0x11112222);
  write_msr(0x176, 0, 0x33334444);
  print("ok sysenter-msrs %x %x %x\n", (u32)read_msr(0x174), (u32)read_msr(0x175), (u32)read_msr(0x176));
  TRY("movl $0x12345, %ecx\n" AT "rdmsr");
  report("rdmsr-unknown");
  TRY("movl $0x12345, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n" AT "wrmsr");
  report("wrmsr-unknown");
}
