/* The local APIC (SDM vol. 3, chapter 11): timer, priorities, self interrupts. Needs CPUID.1:EDX.APIC. */
#include "lib.h"

#define APIC(offset) (*(volatile u32 *)(0xfee00000u + (offset)))
#define APIC_VERSION 0x30
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ISR 0x100
#define APIC_IRR 0x200
#define APIC_ICR_LOW 0x300
#define APIC_LVT_TIMER 0x320
#define APIC_INITIAL_COUNT 0x380
#define APIC_CURRENT_COUNT 0x390
#define APIC_DIVIDE 0x3e0
#define SVR_ENABLE 0x100u
#define LVT_MASKED 0x10000u
#define LVT_PERIODIC 0x20000u
#define DIVIDE_BY_16 3u
#define ICR_SELF 0x40000u

static u32 order[8];
static volatile u32 count;
static volatile u32 isr_seen;

static u32 bit(u32 registers, u32 vector) { return APIC(registers + 0x10 * (vector / 32)) >> vector % 32 & 1; }

static void on_vector_seen(struct frame *frame)
{
  if (count < COUNT(order)) order[count] = frame->vector;
  count++;
  isr_seen = bit(APIC_ISR, frame->vector);
  APIC(APIC_EOI) = 0;
}

static void breathe(void) { __asm__ volatile("sti\n nop\n nop\n nop\n cli" : : : "memory"); }

static void timer(u32 mode, u32 vector, u32 initial)
{
  /* Whatever the timer before it left is served first. */
  APIC(APIC_INITIAL_COUNT) = 0;
  if (APIC(APIC_TPR) == 0) breathe();
  count = 0;
  APIC(APIC_LVT_TIMER) = mode | vector;
  APIC(APIC_DIVIDE) = DIVIDE_BY_16;
  APIC(APIC_INITIAL_COUNT) = initial;
}

void test_main(void)
{
  u32 features[4], low, high;
  cpuid(1, features);
  check("cpuid-apic", (features[3] & 1 << 9) != 0);
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0x1b));
  print("ok apic-base %x %x\n", high, low);
  u32 version = APIC(APIC_VERSION);
  check("integrated-apic", (version & 0xff) >= 0x10 && (version & 0xff) <= 0x1f);
  for (u32 vector = 0x60; vector < 0x90; vector++) vector_handlers[vector] = on_vector_seen;
  APIC(APIC_SVR) = SVR_ENABLE | 0xff;
  APIC(APIC_TPR) = 0;

  timer(0, 0x60, 10000);
  check("counting-down", APIC(APIC_CURRENT_COUNT) <= 10000);
  while (count == 0) __asm__ volatile("sti\n hlt\n cli" : : : "memory");
  print("ok one-shot vector=%x in-service=%u after=%u current=%u\n", order[0], isr_seen, bit(APIC_ISR, 0x60), APIC(APIC_CURRENT_COUNT));
  timer(LVT_PERIODIC, 0x61, 10000);
  while (count < 5) __asm__ volatile("sti\n hlt\n cli" : : : "memory");
  check("periodic", order[0] == 0x61 && order[4] == 0x61);
  timer(LVT_MASKED, 0x62, 1000);
  while (APIC(APIC_CURRENT_COUNT) != 0) {
  }
  breathe();
  print("ok masked count=%u irr=%u\n", count, bit(APIC_IRR, 0x62));
  timer(0, 0x63, 0xffffffff);
  APIC(APIC_INITIAL_COUNT) = 0;
  breathe();
  print("ok stopped count=%u current=%u\n", count, APIC(APIC_CURRENT_COUNT));

  APIC(APIC_TPR) = 0x70;
  timer(0, 0x64, 1000);
  while (bit(APIC_IRR, 0x64) == 0) {
  }
  breathe();
  print("ok held-by-priority count=%u irr=%u\n", count, bit(APIC_IRR, 0x64));
  APIC(APIC_TPR) = 0;
  breathe();
  print("ok let-through count=%u irr=%u\n", count, bit(APIC_IRR, 0x64));

  count = 0;
  APIC(APIC_ICR_LOW) = ICR_SELF | 0x65;
  APIC(APIC_ICR_LOW) = ICR_SELF | 0x85;
  APIC(APIC_ICR_LOW) = ICR_SELF | 0x75;
  APIC(APIC_ICR_LOW) = ICR_SELF | 0x75;
  breathe();
  print("ok by-priority count=%u %x %x %x\n", count, order[0], order[1], order[2]);
}
