/* A second task for the kernels that switch tasks: its TSS in SPARE(0), its code, what it saw. */
#ifndef TOMEI_KERNEL_TASK_H
#define TOMEI_KERNEL_TASK_H
#include "lib.h"

#define TASK_AREA 0x01800000u
#define TASK SPARE(0)
#define GATE_TASK 0x85
#define BUSY(selector) ((u32)(gdt[(selector) / 8] >> 41) & 1)

struct tss other __attribute__((aligned(128)));
static u8 task_stack[4096] __attribute__((aligned(16)));
static u8 task_ring0[4096] __attribute__((aligned(16)));
#define TASK_STACK_TOP ((u32)task_stack + sizeof task_stack)

/* What the task saw, and what it does then. */
u32 seen_runs, seen_flags, seen_tr, seen_cr0, seen_esp, seen_registers[8], seen_busy[2], seen_word;
u32 *seen_at = &seen_word;
struct far_pointer {
  u32 offset;
  u16 selector;
} __attribute__((packed));
struct far_pointer target, home = {0, TSS_SELECTOR};
extern u8 task_entry[], task_returns[], task_jumps[], task_handles[];

#define SEE                                                                                        \
  "movl %esp, seen_esp\n pushfl\n popl seen_flags\n incl seen_runs\n"                              \
  "movl %eax, seen_registers\n movl %ecx, seen_registers+4\n movl %edx, seen_registers+8\n movl %ebx, seen_registers+12\n"  \
  "movl %ebp, seen_registers+20\n movl %esi, seen_registers+24\n movl %edi, seen_registers+28\n"     \
  "pushl %eax\n str %ax\n movzwl %ax, %eax\n movl %eax, seen_tr\n movl %cr0, %eax\n movl %eax, seen_cr0\n"          \
  "movl gdt+0x2c, %eax\n shrl $9, %eax\n andl $1, %eax\n movl %eax, seen_busy\n"                    \
  "movl gdt+0x44, %eax\n shrl $9, %eax\n andl $1, %eax\n movl %eax, seen_busy+4\n"                  \
  "movl seen_at, %eax\n movl (%eax), %eax\n movl %eax, seen_word\n popl %eax\n"
__asm__("task_entry: " SEE "incl %eax\n iretl\n task_returns: " SEE "decl %eax\n iretl\n jmp task_entry\n"
        "task_jumps: " SEE "ljmp *home\n jmp task_jumps\n"
        /* An exception handler: takes the error code, steps over the two bytes of its cause, goes back. */
        "task_handles: " SEE "popl seen_word\n addl $2, tss + 32\n iretl\n jmp task_handles");

static inline u16 task_register(void)
{
  u16 selector;
  __asm__ volatile("str %0" : "=r"(selector));
  return selector;
}
static inline void describe(u8 access, u32 limit, int rpl)
{
  target.selector = set_spare(0, segment_descriptor((u32)&other, limit, access, 0), rpl);
  target.offset = 0xdeadbeef; /* ignored */
}
static inline void prepare(const u8 *entry)
{
  memset(&other, 0, 104);
  other.eip = (u32)entry;
  other.eflags = 2;
  other.esp = TASK_STACK_TOP;
  other.ebp = 0x55555555;
  other.eax = 0x11111111;
  other.ecx = 0x22222222;
  other.edx = 0x33333333;
  other.ebx = 0x44444444;
  other.esi = 0x66666666;
  other.edi = 0x77777777;
  other.cs = KERNEL_CS;
  other.ss = other.ds = other.es = other.fs = other.gs = KERNEL_DS;
  other.cr3 = read_cr3();
  other.io_map_base = 104;
  other.esp0 = (u32)task_ring0 + sizeof task_ring0;
  other.ss0 = KERNEL_DS;
  describe(SEG_TSS32, 103, 0);
  memset(seen_registers, 0, sizeof seen_registers);
  seen_runs = seen_flags = seen_tr = seen_esp = 0;
}
/* After an attempt that ended in another task: the first one again. */
static inline void recover(void)
{
  load_tss(sizeof tss - 1);
  __asm__ volatile("clts");
}

static inline void seen(const char *name)
{
  print("ok %s runs=%u tr=%x nt=%u ts=%u esp-below-top=%x link=%x busy=%u%u then=%u%u tr=%x\n", name, seen_runs, seen_tr,
        seen_flags >> 14 & 1, seen_cr0 >> 3 & 1, TASK_STACK_TOP - seen_esp, other.link & 0xffff, seen_busy[0], seen_busy[1],
        BUSY(TSS_SELECTOR), BUSY(TASK), task_register());
}
static inline void registers(const char *name)
{
  print("ok %s eax=%x ecx=%x edx=%x ebx=%x ebp=%x esi=%x edi=%x\n", name, seen_registers[0], seen_registers[1],
        seen_registers[2], seen_registers[3], seen_registers[5], seen_registers[6], seen_registers[7]);
}

#endif
