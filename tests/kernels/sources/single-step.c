/* The trap flag (SDM vol. 3, 17.3.1.4): one #DB after each instruction, and after each repetition of a string instruction. */
#include "lib.h"

u32 step_base;
static u32 steps[32], count, dr6_seen;

static u32 read_dr6(void)
{
  u32 value;
  __asm__ volatile("movl %%dr6, %0" : "=r"(value));
  return value;
}
static void write_dr6(u32 value) { __asm__ volatile("movl %0, %%dr6" : : "r"(value)); }

static void on_debug(struct frame *frame)
{
  dr6_seen |= read_dr6();
  write_dr6(0xffff0ff0);
  if (count < COUNT(steps)) steps[count++] = frame->eip - step_base;
}

static void show(const char *name)
{
  print("ok %s", name);
  for (u32 i = 0; i < count; i++) print(" +%x", steps[i]);
  print(" dr6=%x\n", dr6_seen);
  count = 0;
  dr6_seen = 0;
}

/* Steps through TEXT; offsets count from its first byte. TF is set by POPF, which itself is not trapped. */
#define STEP(name, text)                                                                           \
  TRY("movl $6f, step_base\n pushl $0x102\n popfl\n 6:" text "\n pushl $2\n popfl");               \
  show(name)

void test_main(void)
{
  vector_handlers[1] = on_debug;
  STEP("three-nops", "nop\n nop\n nop");
  STEP("taken-branch", "jmp 7f\n nop\n nop\n 7: nop");
  STEP("loop", "movl $3, %ecx\n 7: loop 7b");
  STEP("rep-movs", "cld\n movl $0x01800000, %esi\n movl $0x01801000, %edi\n movl $3, %ecx\n rep movsb\n nop");
  STEP("rep-nothing", "xorl %ecx, %ecx\n rep movsb\n nop");
  /* Loading SS holds the trap back until the next instruction is done. */
  STEP("mov-ss", "movw %ss, %ax\n movw %ax, %ss\n nop\n nop");
  STEP("pop-ss", "pushl %ss\n popl %ss\n nop\n nop");
  STEP("mov-ds", "movw %ds, %ax\n movw %ax, %ds\n nop");
  STEP("call-ret", "call 7f\n jmp 8f\n 7: ret\n 8: nop");
  STEP("cpuid", "xorl %eax, %eax\n cpuid\n nop");
  /* An interrupt clears TF on the way in: the handler runs through, and the trap comes after the instruction that follows. */
  vector_handlers[0x50] = on_debug;
  STEP("software-interrupt", "nop\n int $0x50\n nop\n nop");
  /* A fault is delivered in place of the trap. */
  TRY("movl $6f, step_base\n pushl $0x102\n popfl\n 6: nop\n movl $7f, fault_expected_eip\n 7: ud2");
  report("fault-while-stepping");
  show("before-fault");
  /* In ring 3. */
  TRY_USER_FLAGS(EFLAGS_TF, "nop\n 6: nop\n nop");
  print("ok ring3-steps %u tf-saved=%x\n", count, fault.frame.eflags & EFLAGS_TF);
}
