/* Alignment checking: CR0.AM with EFLAGS.AC, in ring 3 only (SDM vol. 3, 6.15, interrupt 17). */
#include "lib.h"

#define USER(name, text) \
  TRY_USER_FLAGS(EFLAGS_AC, "movl $0x01800000, %ebx\n leal 1(%ebx), %esi\n leal 8(%ebx), %edi\n" AT text "\n xorl %eax, %eax"); \
  report(name)

static void accesses(const char *state)
{
  print("ok state %s\n", state);
  USER("word-odd", "movw 1(%ebx), %ax");
  USER("word-even", "movw 2(%ebx), %ax");
  USER("dword-at-2", "movl 2(%ebx), %eax");
  USER("dword-store-at-1", "movl %eax, 1(%ebx)");
  USER("dword-at-4", "movl 4(%ebx), %eax");
  USER("byte", "movb 3(%ebx), %al");
  USER("push", "pushl %eax");
  USER("double-at-4", "fldl 4(%ebx)\n fstp %st(0)");
  USER("double-at-8", "fldl 8(%ebx)\n fstp %st(0)");
  USER("extended-at-4", "fldt 4(%ebx)\n fstp %st(0)");
  USER("movs-odd", "movsl");
}

void test_main(void)
{
  __asm__ volatile("fninit");
  memset((void *)0x01800000, 0, 64);
  accesses("am-clear");
  write_cr0(read_cr0() | CR0_AM);
  accesses("am-set");
  TRY_USER_FLAGS(EFLAGS_AC, "movl $0x01801002, %esp\n" AT "pushl %eax");
  report("push-odd-stack");
  TRY_USER("movl $0x01800000, %ebx\n" AT "movl 1(%ebx), %eax\n xorl %eax, %eax");
  report("without-ac");
  TRY("pushl $0x40002\n popfl\n movl $0x01800000, %ebx\n" AT "movl 1(%ebx), %eax\n pushl $2\n popfl");
  report("ring0");
}
