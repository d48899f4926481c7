/* Model-specific registers that firmware and systems touch: what they hold and what they refuse (SDM vol. 4; vol. 3, 12.11, 12.12, 16.3). */
#include "lib.h"

static void write_msr(u32 index, u32 high, u32 low) { __asm__ volatile("wrmsr" : : "c"(index), "a"(low), "d"(high)); }
static u64 read_msr(u32 index)
{
  u32 low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return (u64)high << 32 | low;
}
static void show(const char *name, u32 index)
{
  u64 value = read_msr(index);
  print("ok %s %08x %08x\n", name, (u32)(value >> 32), (u32)value);
}
u32 msr_index, msr_low, msr_high;
static void refused(const char *name, u32 index, u32 high, u32 low)
{
  msr_index = index;
  msr_high = high;
  msr_low = low;
  TRY("movl msr_index, %ecx\n movl msr_low, %eax\n movl msr_high, %edx\n" AT "wrmsr");
  report(name);
}

static void memory_types(void)
{
  u32 leaf[4];
  cpuid(1, leaf);
  print("ok features %u %u %u %u %u\n", leaf[3] >> 12 & 1, leaf[3] >> 16 & 1, leaf[3] >> 7 & 1, leaf[3] >> 14 & 1,
        leaf[3] >> 6 & 1);
  show("mtrrcap", 0xfe);
  write_msr(0x2ff, 0, 0xc06);
  show("def-type", 0x2ff);
  static const u32 fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
  u32 same = 0;
  for (u32 i = 0; i < COUNT(fixed); i++) write_msr(fixed[i], 0x06060606, 0x05040100 ^ i % 2);
  for (u32 i = 0; i < COUNT(fixed); i++) same += read_msr(fixed[i]) == (0x0606060605040100ull ^ i % 2);
  print("ok fixed %u\n", same);
  same = 0;
  for (u32 i = 0; i < 8; i++) {
    write_msr(0x200 + 2 * i, 0xf, 0x80000006 + (i << 12));
    write_msr(0x201 + 2 * i, 0xf, 0xfff00800);
  }
  for (u32 i = 0; i < 8; i++)
    same += read_msr(0x200 + 2 * i) == 0xf80000006ull + (i << 12) && read_msr(0x201 + 2 * i) == 0xffff00800ull;
  print("ok variable %u\n", same);
  show("pat-reset", 0x277);
  write_msr(0x277, 0x00070106, 0x00070506);
  show("pat", 0x277);
  refused("def-type-bit-8", 0x2ff, 0, 0x100);
  refused("def-type-2", 0x2ff, 0, 2);
  refused("fixed-type-3", 0x250, 0, 0x00000300);
  refused("fixed-type-7", 0x26f, 0x07000000, 0);
  refused("base-bit-8", 0x200, 0, 0x106);
  refused("base-bit-36", 0x200, 0x10, 6);
  refused("base-type-2", 0x200, 0, 2);
  refused("mask-bit-10", 0x201, 0, 0x400);
  refused("mask-bit-36", 0x201, 0x10, 0x800);
  refused("ninth-range", 0x210, 0, 0);
  refused("mtrrcap-written", 0xfe, 0, 0x508);
  refused("pat-type-2", 0x277, 0, 0x00070206);
  refused("pat-bit-3", 0x277, 0, 0x00070e06);
  show("pat-unharmed", 0x277);
}

static void machine_check(void)
{
  print("ok banks %u\n", (u32)read_msr(0x179) & 0xff ? 1 : 0);
  show("mcg-status", 0x17a);
  write_msr(0x400, 0xffffffff, 0xffffffff);
  show("bank-control", 0x400);
  write_msr(0x401, 0, 0);
  show("bank-status", 0x401);
  refused("bank-status-not-0", 0x401, 0x80000000, 0);
  refused("mcg-status-reserved", 0x17a, 0, 8);
  refused("mcg-cap-written", 0x179, 0, 0);
  write_cr4(read_cr4() | 0x40);
  print("ok cr4-mce %x\n", read_cr4() & 0x40);
}

static void others(void)
{
  write_msr(0xc0000080, 0, 0x800);
  show("efer", 0xc0000080);
  refused("efer-lme", 0xc0000080, 0, 0x900);
  refused("efer-sce", 0xc0000080, 0, 1);
  refused("efer-high", 0xc0000080, 1, 0);
  write_msr(0xc0000080, 0, 0);
  show("apic-base", 0x1b);
  refused("apic-base-reserved", 0x1b, 0, 0xfee00901);
  refused("apic-base-x2apic", 0x1b, 0, 0xfee00d00);
  refused("apic-base-bit-36", 0x1b, 0x10, 0xfee00900);
  write_msr(0x1b, 0, 0xfee00100);
  u32 leaf[4];
  cpuid(1, leaf);
  print("ok no-apic-in-cpuid %u\n", leaf[3] >> 9 & 1);
  write_msr(0x1b, 0, 0xfee00900);
  write_msr(0x8b, 0, 0);
  cpuid(1, leaf);
  print("ok microcode %x\n", (u32)read_msr(0x8b));
  u32 misc = (u32)read_msr(0x1a0);
  print("ok fast-strings %u\n", misc & 1);
  write_msr(0x1a0, (u32)(read_msr(0x1a0) >> 32), misc | 1 << 22);
  cpuid(0, leaf);
  check("limited-leaves", leaf[0] <= 3);
  write_msr(0x1a0, 0, misc);
  cpuid(0, leaf);
  check("all-leaves", leaf[0] >= 2);
  write_msr(0x1a0, 4, misc);
  cpuid(0x80000001, leaf);
  print("ok no-nx-in-cpuid %u\n", leaf[3] >> 20 & 1);
  refused("nxe-while-disabled", 0xc0000080, 0, 0x800);
  write_msr(0x1a0, 0, misc);
  cpuid(0x80000001, leaf);
  print("ok nx-in-cpuid %u\n", leaf[3] >> 20 & 1);
  refused("misc-enable-reserved", 0x1a0, 0, misc | 2);
  TRY_USER("movl $0x1b, %ecx\n" AT "rdmsr");
  report("rdmsr-in-ring3");
  TRY_USER("movl $0x1b, %ecx\n" AT "wrmsr");
  report("wrmsr-in-ring3");
  /* VMX, speculation control and the rest are somebody else's. */
  TRY("movl $0x3a, %ecx\n" AT "rdmsr");
  report("feature-control");
  TRY("movl $0x48, %ecx\n" AT "rdmsr");
  report("speculation-control");
  TRY("movl $0xc0000081, %ecx\n" AT "rdmsr");
  report("star");
}

void test_main(void)
{
  memory_types();
  machine_check();
  others();
}
