/* What surrounds debug exceptions: RF in pushed flags, priority, port breakpoints, ICEBP, linear addresses, and NMIs. */
#include "lib.h"

#define CR4_DE 0x008u
#define DR7_ENABLE0 2u
#define DR7_RW(kind) ((u32)(kind) << 16)
#define DR7_LEN(n) ((u32)((n) - 1) << 18)
#define WRITE 1
#define PORT 2
#define DR6_CLEAR 0xffff0ff0u
#define APIC_ICR_LOW (*(volatile u32 *)0xfee00300)
#define APIC_ICR_HIGH (*(volatile u32 *)0xfee00310)
#define APIC_ID (*(volatile u32 *)0xfee00020)
#define ICR_NMI 0x400u

static void set_dr0(u32 value) { __asm__ volatile("movl %0, %%dr0" : : "r"(value)); }
static void set_dr1(u32 value) { __asm__ volatile("movl %0, %%dr1" : : "r"(value)); }
static void set_dr7(u32 value) { __asm__ volatile("movl %0, %%dr7" : : "r"(value | 0x400)); }
static void set_dr6(u32 value) { __asm__ volatile("movl %0, %%dr6" : : "r"(value)); }
static u32 get_dr6(void)
{
  u32 value;
  __asm__ volatile("movl %%dr6, %0" : "=r"(value));
  return value;
}

u32 here;
volatile u32 cell[8] __attribute__((aligned(16)));
static u32 hits, dr6_seen, rf_seen, at, ecx_seen;

static void on_debug(struct frame *frame)
{
  hits++;
  dr6_seen = get_dr6();
  rf_seen = (frame->eflags & EFLAGS_RF) != 0;
  at = frame->eip - here;
  ecx_seen = frame->ecx;
  set_dr6(DR6_CLEAR);
  frame->eflags |= EFLAGS_RF;
}
static void show(const char *name)
{
  print("ok %s hits=%u", name, hits);
  if (hits != 0) print(" dr6=%x rf=%u eip=+%x", dr6_seen, rf_seen, at);
  print("\n");
  hits = 0;
}
static void show_rf(const char *name)
{
  print("ok %s rf=%u\n", name, (fault.frame.eflags & EFLAGS_RF) != 0);
}

void spot(void);
__asm__("spot:\n nop\n nop\n ret\n");
void ud_spot(void);
__asm__("ud_spot:\n ud2\n ret\n");
void ss_spot(void);
__asm__("ss_spot:\n movl %ss, %eax\n movl %eax, %ss\n ss_next: nop\n ret\n");
extern u8 ss_next[];

static void rf_in_images(void)
{
  TRY("ud2");
  show_rf("undefined");
  TRY("xorl %ecx, %ecx\n divl %ecx");
  show_rf("divide");
  TRY("int3");
  show_rf("int3");
  TRY("int $0x70");
  show_rf("int-n");
  /* RF by IRET holds for the next instruction alone, and software interrupts push 0. */
  TRY("pushfl\n orl $0x10000, (%esp)\n pushl %cs\n pushl $4f\n iretl\n 4: int $0x70");
  show_rf("int-n-after-iret");
  TRY("pushfl\n orl $0x10000, (%esp)\n popfl\n pushfl\n popl %eax\n int $0x70");
  print("ok popf-pushf rf=%u\n", (fault.frame.eax & EFLAGS_RF) != 0);
}

static void instruction_breakpoints(void)
{
  here = (u32)spot;
  set_dr0((u32)spot);
  set_dr7(DR7_ENABLE0);
  spot();
  spot();
  show("twice");
  /* Two at one place are one exception. */
  set_dr1((u32)spot);
  set_dr7(DR7_ENABLE0 | 8);
  spot();
  show("both");
  set_dr1(0);
  /* The breakpoint comes before the fault of the instruction. */
  here = (u32)ud_spot;
  set_dr0((u32)ud_spot);
  set_dr7(DR7_ENABLE0);
  TRY("call ud_spot");
  report("before-undefined");
  show("before-undefined-breakpoint");
  /* Behind MOV SS there is none. */
  here = (u32)ss_spot;
  set_dr0((u32)ss_next);
  ss_spot();
  show("behind-mov-ss");
  set_dr7(0);
}

static void port_breakpoints(void)
{
  set_dr0(0x80);
  write_cr4(read_cr4() | CR4_DE);
  set_dr7(DR7_ENABLE0 | DR7_RW(PORT) | DR7_LEN(2));
  __asm__ volatile("movl $1f, here\n 1: outb %%al, $0x80\n nop" : : : "memory");
  show("out");
  __asm__ volatile("movl $1f, here\n 1: inb $0x81, %%al\n nop" : : : "eax", "memory");
  show("in-last-port");
  __asm__ volatile("inb $0x84, %%al\n nop" : : : "eax");
  show("next-port");
  TRY(AT "movl %dr4, %eax");
  report("dr4-with-de");
  write_cr4(read_cr4() & ~CR4_DE);
  set_dr7(0);
  TRY("movl %dr4, %eax");
  report("dr4-without-de");
}

static void data_breakpoints(void)
{
  set_dr0((u32)&cell[2]);
  set_dr7(DR7_ENABLE0 | DR7_RW(WRITE) | DR7_LEN(4));
  __asm__ volatile("movl $1f, here\n movl $cell, %%edi\n movl $6, %%ecx\n xorl %%eax, %%eax\n cld\n 1: rep stosl\n nop"
                   :
                   :
                   : "eax", "ecx", "edi", "memory");
  print("ok rep-stos ecx=%u\n", ecx_seen);
  show("rep-stos");
  __asm__ volatile("movl $1f, here\n 1: pushl $0x1234\n popl cell + 8\n nop" : : : "memory");
  show("pop");
  __asm__ volatile("movl $1f, here\n 1: movl $1, %%eax\n xchgl %%eax, cell + 8\n nop" : : : "eax", "memory");
  show("xchg");
  __asm__ volatile("movl $1f, here\n 1: incl cell + 8\n nop" : : : "memory");
  show("inc");
  __asm__ volatile("cmpl $0, cell + 8" : : : "memory");
  show("cmp");
  set_dr7(0);
}

static void linear_addresses(void)
{
  /* The same code by two addresses: a breakpoint is at one of them. */
  u32 alias = 0x02400000 | ((u32)spot & 0xfff);
  map_page(0x02400000, (u32)spot & ~0xfffu, PTE_P | PTE_W);
  map_page(0x02401000, ((u32)spot & ~0xfffu) + 0x1000, PTE_P | PTE_W);
  invlpg(0x02400000);
  here = alias;
  set_dr0(alias + 1);
  set_dr7(DR7_ENABLE0);
  spot();
  show("other-address");
  ((void (*)(void))alias)();
  show("alias");
  /* A page that is not there: the breakpoint comes first. */
  here = fault_expected_eip = 0x02500000;
  set_dr0(0x02500000);
  TRY("movl $0x02500000, %eax\n call *%eax");
  report("not-present");
  show("not-present-breakpoint");
  set_dr7(0);
}

static u32 nmis, depth, deepest;
static void send_nmi(void)
{
  APIC_ICR_HIGH = APIC_ID & 0xff000000u;
  APIC_ICR_LOW = ICR_NMI;
}
static void on_nmi(struct frame *frame)
{
  (void)frame;
  depth++;
  if (depth > deepest) deepest = depth;
  if (++nmis == 1) {
    send_nmi();
    send_nmi();
  }
  for (volatile int i = 0; i < 100; i++) {
  }
  depth--;
}
static void nmi(void)
{
  vector_handlers[2] = on_nmi;
  send_nmi();
  for (volatile int i = 0; i < 1000; i++) {
  }
  /* One waits while another is handled, and no more than one. */
  print("ok nmi count=%u deepest=%u\n", nmis, deepest);
}

void test_main(void)
{
  rf_in_images();
  vector_handlers[1] = on_debug;
  TRY("movl $1f, here\n 1: .byte 0xf1\n nop");
  report("icebp");
  show("icebp-trap");
  instruction_breakpoints();
  port_breakpoints();
  data_breakpoints();
  nmi();
  paging_on();
  linear_addresses();
}
