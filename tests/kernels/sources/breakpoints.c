/* Debug registers (SDM vol. 3, 17.2): execution, write and access breakpoints, DR6, RF, general detect. */
#include "lib.h"

volatile u32 watched[4] __attribute__((aligned(16)));
static u32 hits, dr6_seen, resume, eip_offset, code_base;

#define DR7_RW_WRITE 1u
#define DR7_RW_ACCESS 3u
#define DR7_LEN(n) ((n) - 1u)
#define DR7_GD 0x2000u

static void set_dr0(u32 value) { __asm__ volatile("movl %0, %%dr0" : : "r"(value)); }
static void set_dr7(u32 value) { __asm__ volatile("movl %0, %%dr7" : : "r"(value)); }
static u32 get_dr7(void)
{
  u32 value;
  __asm__ volatile("movl %%dr7, %0" : "=r"(value));
  return value;
}
static u32 get_dr6(void)
{
  u32 value;
  __asm__ volatile("movl %%dr6, %0" : "=r"(value));
  return value;
}
static void set_dr6(u32 value) { __asm__ volatile("movl %0, %%dr6" : : "r"(value)); }

static void on_debug(struct frame *frame)
{
  hits++;
  dr6_seen = get_dr6();
  eip_offset = frame->eip - code_base;
  set_dr6(0xffff0ff0);
  if (resume) frame->eflags |= EFLAGS_RF;
}

static void show(const char *name)
{
  print("ok %s hits=%u dr6=%x eip=+%x\n", name, hits, hits ? dr6_seen : 0, hits ? eip_offset : 0);
  hits = 0;
}

/* Runs a few instructions around the watched words; offsets count from the first of them. */
static void touch(const char *name, u32 kind, u32 length)
{
  set_dr0((u32)watched);
  set_dr7(0x400u | 2u | kind << 16 | DR7_LEN(length) << 18);
  __asm__ volatile("movl $1f, %0\n 1: movl watched, %%eax\n nop" : "=m"(code_base) : : "eax");
  print("ok %s-read hits=%u\n", name, hits);
  hits = 0;
  __asm__ volatile("movl $1f, %0\n 1: movl %%eax, watched\n nop\n" : "=m"(code_base) : : "eax");
  show(name);
  __asm__ volatile("movl $1f, %0\n 1: movb %%al, watched + 3\n nop" : "=m"(code_base));
  print("ok %s-last-byte hits=%u\n", name, hits);
  hits = 0;
  __asm__ volatile("movl %%eax, watched + 4\n nop" : : : "memory");
  print("ok %s-next-word hits=%u\n", name, hits);
  hits = 0;
  __asm__ volatile("movl $watched, %%edi\n movl $2, %%ecx\n cld\n rep stosl\n nop" : : : "edi", "ecx", "memory");
  print("ok %s-stos hits=%u\n", name, hits);
  hits = 0;
  set_dr7(0x400);
}

void breakpoint_here(void);
__asm__("breakpoint_here:\n nop\n nop\n ret");

void test_main(void)
{
  vector_handlers[1] = on_debug;
  print("ok dr7-fixed-bits %x\n", get_dr7());
  touch("write-4", DR7_RW_WRITE, 4);
  touch("write-1", DR7_RW_WRITE, 1);
  touch("access-4", DR7_RW_ACCESS, 4);
  /* An execution breakpoint is a fault before the instruction; RF in the image lets it go on. */
  resume = 1;
  code_base = (u32)breakpoint_here;
  set_dr0((u32)breakpoint_here + 1);
  set_dr7(0x402);
  breakpoint_here();
  show("execute");
  set_dr7(0x400);
  breakpoint_here();
  print("ok execute-disabled hits=%u\n", hits);
  resume = 0;
  /* General detect: a MOV to a debug register faults while GD is set. */
  set_dr7(0x400 | DR7_GD);
  hits = 0;
  __asm__ volatile("movl $1f, %0\n 1: movl %%dr0, %%eax" : "=m"(code_base) : : "eax");
  show("general-detect");
  print("ok general-detect-cleared dr7=%x\n", get_dr7());
}
