/* Descriptor tables, the task state segment, and the start of every kernel. */
#include "lib.h"

void serial_init(void);
extern u8 vector_entries[];

u64 gdt[GDT_ENTRIES] __attribute__((aligned(16)));
u64 idt[256] __attribute__((aligned(16)));
struct tss tss __attribute__((aligned(16)));
u8 ring0_stack[RING0_STACK_SIZE] __attribute__((aligned(4096)));
u8 user_stack[8192] __attribute__((aligned(4096)));
u32 multiboot_magic;
u32 *multiboot_info;

struct table_register {
  u16 limit;
  u32 base;
} __attribute__((packed));

u64 segment_descriptor(u32 base, u32 limit, u8 access, u8 flags)
{
  u32 low = (base << 16) | (limit & 0xffff);
  u32 high = (base & 0xff000000u) | ((u32)flags << 20) | (limit & 0xf0000u) | ((u32)access << 8) | ((base >> 16) & 0xff);
  return (u64)high << 32 | low;
}

u64 gate_descriptor(u16 selector, u32 offset, u8 access, u8 parameters)
{
  u32 low = ((u32)selector << 16) | (offset & 0xffff);
  u32 high = (offset & 0xffff0000u) | ((u32)access << 8) | parameters;
  return (u64)high << 32 | low;
}

u16 set_spare(int n, u64 descriptor, int rpl)
{
  gdt[SPARE(n) / 8] = descriptor;
  __asm__ volatile("" : : : "memory");
  return (u16)(SPARE(n) | rpl);
}

void set_idt_gate(int vector, u64 descriptor)
{
  idt[vector] = descriptor;
  __asm__ volatile("" : : : "memory");
}

u32 vector_entry(int vector)
{
  return (u32)vector_entries + 16 * (u32)vector;
}

void load_tss(u32 limit)
{
  gdt[TSS_SELECTOR / 8] = segment_descriptor((u32)&tss, limit, SEG_TSS32, 0);
  __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR) : "memory");
}

static void tables_init(void)
{
  gdt[1] = segment_descriptor(0, 0xfffff, SEG_CODE_XR, SEG_G | SEG_32);
  gdt[2] = segment_descriptor(0, 0xfffff, SEG_DATA_RW, SEG_G | SEG_32);
  gdt[3] = segment_descriptor(0, 0xfffff, SEG_CODE_XR | DPL(3), SEG_G | SEG_32);
  gdt[4] = segment_descriptor(0, 0xfffff, SEG_DATA_RW | DPL(3), SEG_G | SEG_32);
  struct table_register gdtr = {sizeof gdt - 1, (u32)gdt};
  __asm__ volatile("lgdt %0\n"
                   "ljmpl $0x08, $1f\n"
                   "1: movl $0x10, %%eax\n"
                   "movl %%eax, %%ds\n movl %%eax, %%es\n movl %%eax, %%ss\n"
                   "movl %%eax, %%fs\n movl %%eax, %%gs"
                   :
                   : "m"(gdtr)
                   : "eax", "memory");
  for (int i = 0; i < 256; i++) idt[i] = gate_descriptor(KERNEL_CS, vector_entry(i), GATE_INT32, 0);
  idt[USER_EXIT] = gate_descriptor(KERNEL_CS, vector_entry(USER_EXIT), GATE_INT32 | DPL(3), 0);
  struct table_register idtr = {sizeof idt - 1, (u32)idt};
  __asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
  tss.ss0 = KERNEL_DS;
  tss.esp0 = (u32)ring0_stack + sizeof ring0_stack;
  tss.io_map_base = sizeof tss; /* beyond the limit: no port is allowed */
  memset(tss.io_map, 0xff, sizeof tss.io_map);
  load_tss(sizeof tss - 1);
}

void kernel_start(u32 magic, u32 *info)
{
  multiboot_magic = magic;
  multiboot_info = info;
  serial_init();
  pic_init();
  tables_init();
  test_main();
  leave(0);
}
