/* Exceptions of single instructions: where EIP points, what is pushed, what is left alone (SDM vol. 3, 6.15). */
#include "lib.h"

u32 bounds[2] = {10, 20};

static void arithmetic(void)
{
  TRY("movl $7, %eax\n cltd\n xorl %ecx, %ecx\n" AT "divl %ecx");
  report("divide-by-zero");
  TRY("movl $0x80000000, %eax\n cltd\n movl $-1, %ecx\n movl $0x1234, %ebx\n" AT "idivl %ecx");
  report("idiv-overflow");
  print("ok idiv-overflow-registers eax=%x edx=%x ecx=%x\n", fault.frame.eax, fault.frame.edx, fault.frame.ecx);
  TRY("movw $0x400, %ax\n movb $2, %cl\n" AT "divb %cl");
  report("div8-overflow");
  TRY("movw $0x3ff, %ax\n xorb %cl, %cl\n" AT ".byte 0xd4, 0x00");
  report("aam-zero");
}

static void traps(void)
{
  TRY(AT "int3");
  report("int3");
  TRY(AT ".byte 0xcd, 0x03");
  report("int-3-long-form");
  TRY("movl $0x7fffffff, %eax\n addl $1, %eax\n" AT "into");
  report("into-overflow");
  TRY("xorl %eax, %eax\n" AT "into");
  report("into-no-overflow");
  TRY_USER("movl $0x7fffffff, %eax\n addl $1, %eax\n" AT "into");
  report("user-into-dpl0");
  TRY_USER(AT "int3");
  report("user-int3-dpl0");
  set_idt_gate(3, gate_descriptor(KERNEL_CS, vector_entry(3), GATE_INT32 | DPL(3), 0));
  TRY_USER(AT "int3");
  report("user-int3-dpl3");
  TRY("movl $9, %eax\n" AT "boundl %eax, bounds");
  report("bound-below");
  TRY("movl $10, %eax\n" AT "boundl %eax, bounds");
  report("bound-lower");
  TRY("movl $20, %eax\n" AT "boundl %eax, bounds");
  report("bound-upper");
  TRY("movl $21, %eax\n" AT "boundl %eax, bounds");
  report("bound-above");
  TRY_USER("movl $-1, %eax\n" AT "boundl %eax, bounds");
  report("user-bound");
}

static void undefined(void)
{
  TRY(AT "ud2");
  report("ud2");
  TRY(AT ".byte 0x0f, 0xff");
  report("0f-ff");
  TRY(AT ".byte 0x0f, 0x04");
  report("0f-04");
  TRY(AT ".byte 0xfe, 0xd0");
  report("fe-group-2");
  TRY(AT ".byte 0xff, 0xf8");
  report("ff-group-7");
  TRY(AT ".byte 0xc6, 0xc8, 0x00");
  report("c6-group-1");
  TRY("pushl $0\n" AT ".byte 0x8f, 0xc8");
  report("8f-group-1");
  TRY(AT ".byte 0x62, 0xc0");
  report("bound-register");
  TRY(AT ".byte 0xc4, 0xc0");
  report("les-register");
  TRY(AT ".byte 0x8d, 0xc0");
  report("lea-register");
  TRY(AT ".byte 0xff, 0xe8");
  report("far-jump-register");
  TRY(AT ".byte 0x0f, 0xc7, 0xc8");
  report("cmpxchg8b-register");
  TRY(AT ".byte 0x0f, 0x21, 0xe0\n xorl %eax, %eax");
  report("mov-from-dr4");
}

static void prefixes(void)
{
  TRY("movl $0x01800000, %ebx\n" AT "lock addl $1, (%ebx)");
  report("lock-add");
  TRY("movl $0x01800000, %ebx\n" AT ".byte 0xf0, 0x8b, 0x03");
  report("lock-mov");
  TRY(AT ".byte 0xf0, 0x01, 0xc0");
  report("lock-register");
  TRY("movl $0x01800000, %ebx\n" AT ".byte 0xf0, 0x39, 0x03");
  report("lock-cmp");
  TRY("movl $0x01800000, %ebx\n" AT ".byte 0xf0, 0x0f, 0xa3, 0x03");
  report("lock-bt");
  TRY(AT ".byte 0xf0, 0x90");
  report("lock-nop");
  TRY(AT ".fill 14, 1, 0x66\n nop");
  report("fifteen-bytes");
  TRY(AT ".fill 15, 1, 0x66\n nop");
  report("sixteen-bytes");
  TRY("movl $0x01800000, %ebx\n" AT ".fill 10, 1, 0x2e\n .byte 0x81, 0x03, 1, 0, 0, 0");
  report("sixteen-bytes-with-immediate");
}

/* The resume flag is set in the image of a fault and clear in that of a trap. */
static void resume_flag(void)
{
  TRY("ud2");
  print("ok rf-of-fault %x\n", fault.frame.eflags & EFLAGS_RF);
  TRY("int3");
  print("ok rf-of-trap %x\n", fault.frame.eflags & EFLAGS_RF);
  TRY("int $0x80");
  print("ok rf-of-int %x\n", fault.frame.eflags & EFLAGS_RF);
}

void test_main(void)
{
  arithmetic();
  traps();
  undefined();
  prefixes();
  resume_flag();
}
