/* SYSENTER and SYSEXIT (SDM vol. 3, 5.8.7): flat segments from one selector, no stack use, no return address. */
#include "lib.h"

#define IA32_SYSENTER_CS 0x174
#define IA32_SYSENTER_ESP 0x175
#define IA32_SYSENTER_EIP 0x176

u32 seen_cs, seen_ss, seen_esp, seen_eflags;

static void write_msr(u32 index, u32 value) { __asm__ volatile("wrmsr" : : "c"(index), "a"(value), "d"(0)); }
static u32 read_msr(u32 index)
{
  u32 low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return low;
}

/* The kernel's entry: says what it found and goes back to EDX with ECX as the stack, as the manual has it. */
void entry(void);
__asm__("entry:\n"
        "movw %cs, seen_cs\n movw %ss, seen_ss\n movl %esp, seen_esp\n"
        "movl $kernel_stack_top - 8192, %esp\n pushfl\n popl seen_eflags\n"
        "sysexit");
void user_part(void);
__asm__("user_part:\n"
        "movl $5f, %edx\n movl %esp, %ecx\n stc\n sysenter\n"
        "5: movl %ds, %eax\n movl %cs, %ebx\n movl %ss, %esi\n pushfl\n popl %edi\n int $0x80\n");

void test_main(void)
{
  u32 features[4];
  cpuid(1, features);
  check("cpuid-sep", (features[3] & 1 << 11) != 0);
  write_msr(IA32_SYSENTER_CS, 0);
  TRY_USER(AT "sysenter");
  report("sysenter-with-null-cs");
  TRY(AT "sysexit");
  report("sysexit-with-null-cs");
  write_msr(IA32_SYSENTER_CS, KERNEL_CS);
  write_msr(IA32_SYSENTER_ESP, 0x01802000);
  write_msr(IA32_SYSENTER_EIP, (u32)entry);
  print("ok msrs %x %x %s\n", read_msr(IA32_SYSENTER_CS), read_msr(IA32_SYSENTER_ESP),
        read_msr(IA32_SYSENTER_EIP) == (u32)entry ? "eip" : "other");
  TRY_USER(AT "sysexit");
  report("sysexit-in-ring3");
  run_user_at((u32)user_part, EFLAGS_IF);
  print("ok kernel-side cs=%x ss=%x esp=%x if=%x\n", seen_cs, seen_ss, seen_esp, seen_eflags & EFLAGS_IF);
  print("ok user-side vector=%u cs=%x ss=%x ds=%x if=%x esp-below-top=%x\n", fault.frame.vector, fault.frame.ebx, fault.frame.esi,
        fault.frame.eax, fault.frame.edi & EFLAGS_IF, USER_STACK_TOP - fault.frame.user_esp);
  /* It works from ring 0 as well, and RPL bits of the MSR are ignored. */
  write_msr(IA32_SYSENTER_CS, KERNEL_CS | 3);
  TRY("movl $4f, %edx\n movl $user_stack + 8192, %ecx\n sysenter\n 4: int $0x80");
  print("ok from-ring0 vector=%u cs=%x entered=%x\n", fault.frame.vector, fault.frame.cs, seen_cs);
}
