/*
 * Interrupt controllers and PCI base addresses written to at random. The machine goes on, and works again once it is set up again.
 */
#include "lib.h"

#define APIC_EOI 0xfee000b0u
#define APIC_LINT0 0xfee00350u
#define APIC_SVR 0xfee000f0u

static u32 seed = 20261126;
static u32 any(void)
{
  seed = seed * 1664525u + 1013904223u;
  return seed >> 8 ^ seed << 13;
}
static inline void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static inline u32 in32(u16 port)
{
  u32 value;
  __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static void pci_write(u32 device, u32 at, u32 value)
{
  out32(0xcf8, 0x80000000u | device << 8 | (at & 0xfc));
  out32(0xcfc, value);
}

static void disturb_pics(void)
{
  for (int i = 0; i < 20000; i++) {
    static const u16 ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1};
    u16 port = ports[any() % COUNT(ports)];
    out8(port, any());
    (void)in8(port);
  }
  check("pics-disturbed", 1);
}
static void disturb_apics(void)
{
  for (int i = 0; i < 20000; i++) {
    u32 at = any() & 0xff0;
    /* The command register could send INIT to ourselves, which is what hardware would do. */
    if (at == 0x300) continue;
    *(volatile u32 *)(0xfee00000u + at) = any();
    (void)*(volatile u32 *)(0xfee00000u + (any() & 0xffc));
    *(volatile u32 *)0xfec00000u = any() & 0xff;
    *(volatile u32 *)0xfec00010u = any();
  }
  check("apics-disturbed", 1);
}
static void disturb_pci(void)
{
  /* Base addresses and command registers of all functions, over RAM, over the APICs, over each other; and accesses to what comes of it. */
  for (int i = 0; i < 500; i++) {
    u32 device = any() & 0xff;
    pci_write(device, 0x10 + (any() % 7) * 4, any() % 3 ? any() : 0xfee00000u);
    pci_write(device, 0x30, any());
    pci_write(device, 4, any() & 7);
    (void)in32(0xcfc);
    (void)*(volatile u32 *)(0xc0000000u + (any() & 0x3cfffffc));
  }
  for (u32 device = 0; device < 0x100; device++) pci_write(device, 4, 0);
  check("pci-disturbed", 1);
}

static volatile u32 ticks;
static void on_tick(struct frame *frame)
{
  (void)frame;
  ticks++;
  pic_eoi(0);
}
/* What the APIC still has from before. */
static void on_remainder(struct frame *frame)
{
  (void)frame;
  *(volatile u32 *)APIC_EOI = 0;
}
static void recover(void)
{
  for (u32 vector = 0x10; vector < 0x100; vector++) vector_handlers[vector] = on_remainder;
  for (u32 entry = 0; entry < 24; entry++) {
    *(volatile u32 *)0xfec00000u = 0x10 + 2 * entry;
    *(volatile u32 *)0xfec00010u = 0x10000;
  }
  for (u32 at = 0x320; at <= 0x370; at += 0x10) *(volatile u32 *)(0xfee00000u + at) = 0x10000;
  /* Virtual wire: the local APIC takes what the 8259 sends by LINT0 (MultiProcessor Specification 1.4, 3.6.2.1). */
  *(volatile u32 *)APIC_SVR = 0x1ff;
  *(volatile u32 *)APIC_LINT0 = 0x700;
  out8(0x4d0, 0);
  out8(0x4d1, 0);
  pic_init();
  vector_handlers[0x20] = on_tick;
  pit_start(2, 1193);
  pic_unmask(0);
  while (ticks < 3) __asm__ volatile("sti\n hlt\n cli" : : : "memory");
  pic_mask_all();
  check("timer-again", 1);
}

/* What the APICs are told at random may be that a device interrupts by an NMI, which comes if that device's time does. */
static void on_nmi(struct frame *frame) { (void)frame; }

void test_main(void)
{
  vector_handlers[2] = on_nmi;
  disturb_pics();
  disturb_apics();
  disturb_pci();
  recover();
}
