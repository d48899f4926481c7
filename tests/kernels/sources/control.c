/* What control registers refuse, and the instructions that change single bits (SDM vol. 2, MOV CRn, LMSW, SMSW, CLTS). */
#include "lib.h"

void test_main(void)
{
  TRY("movl %cr0, %eax\n andl $~1, %eax\n orl $0x80000000, %eax\n" AT "movl %eax, %cr0");
  report("cr0-pg-without-pe");
  TRY("movl %cr0, %eax\n andl $~0x40000000, %eax\n orl $0x20000000, %eax\n" AT "movl %eax, %cr0");
  report("cr0-nw-without-cd");
  TRY("movl %cr4, %eax\n orl $0x80000000, %eax\n" AT "movl %eax, %cr4");
  report("cr4-reserved");
  TRY(AT "movl %cr1, %eax");
  report("read-cr1");
  TRY("xorl %eax, %eax\n" AT "movl %eax, %cr5");
  report("write-cr5");
  /* LMSW sets PE, MP, EM and TS; it cannot clear PE. */
  u32 cr0 = read_cr0() & ~(CR0_MP | CR0_EM | CR0_TS);
  write_cr0(cr0);
  TRY("movw $0xffee, %ax\n" AT "lmsw %ax");
  report("lmsw");
  print("ok lmsw-cr0 %x\n", (read_cr0() ^ cr0));
  u32 msw;
  __asm__("movl $-1, %0\n smsw %w0" : "=r"(msw));
  print("ok smsw-word %x\n", msw & 0xffff000f);
  __asm__ volatile("clts");
  print("ok clts-cr0 %x\n", read_cr0() ^ cr0);
  write_cr0(cr0);
  print("ok cr0-et-is-fixed %x\n", read_cr0() & 0x10);
  write_cr0(cr0 & ~0x10u);
  print("ok cr0-et-stays %x\n", read_cr0() & 0x10);
  write_cr2(0x12345678);
  print("ok cr2 %x\n", read_cr2());
  TRY("xorl %eax, %eax\n" AT "ltr %ax");
  report("ltr-null");
  u32 cr3 = read_cr3();
  write_cr3(0x00abc018);
  print("ok cr3 %x\n", read_cr3());
  write_cr3(cr3);
}
