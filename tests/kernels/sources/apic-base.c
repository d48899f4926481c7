/* The local APIC where IA32_APIC_BASE puts it, over RAM too, and away (SDM vol. 3, 11.4.3 and 11.4.4). */
#include "lib.h"

#define USUAL 0xfee00000u
#define OVER_RAM 0x01800000u
#define BOOT_PROCESSOR 0x100u
#define ENABLED 0x800u
#define VERSION(base) (*(volatile u32 *)((base) + 0x30))
#define PRIORITY(base) (*(volatile u32 *)((base) + 0x80))

static void move(u32 low) { __asm__ volatile("wrmsr" : : "c"(0x1b), "a"(low), "d"(0)); }
static u32 where(void)
{
  u32 low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0x1b));
  return low;
}
static int has_apic(void)
{
  u32 features[4];
  cpuid(1, features);
  return features[3] >> 9 & 1;
}

static void wander(void)
{
  u32 version = VERSION(USUAL);
  VERSION(OVER_RAM) = 0x12345678;
  PRIORITY(OVER_RAM) = 0x9abcdef0;
  move(OVER_RAM | BOOT_PROCESSOR | ENABLED);
  print("ok moved base=%x here=%u there=%x\n", where(), VERSION(OVER_RAM) == version, VERSION(USUAL));
  PRIORITY(OVER_RAM) = 0x50;
  print("ok written priority=%x\n", PRIORITY(OVER_RAM));
  move(USUAL | BOOT_PROCESSOR | ENABLED);
  print("ok back priority=%x ram=%x %x\n", PRIORITY(USUAL), VERSION(OVER_RAM), PRIORITY(OVER_RAM));
  PRIORITY(USUAL) = 0;
  move(OVER_RAM | BOOT_PROCESSOR);
  print("ok disabled cpuid=%d ram=%x there=%x\n", has_apic(), VERSION(OVER_RAM), VERSION(USUAL));
  move(USUAL | BOOT_PROCESSOR | ENABLED);
  print("ok enabled cpuid=%d here=%u\n", has_apic(), VERSION(USUAL) == version);
}

void test_main(void)
{
  wander();
  /* The same where addresses have been translated before. */
  paging_on();
  map_page(USUAL, USUAL, PTE_P | PTE_W);
  flush_tlb();
  wander();
}
