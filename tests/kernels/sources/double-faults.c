/* Exceptions within exceptions: every pair that table 6-5 of SDM vol. 3 tells apart (6.15, #DF). */
#include "lib.h"

#define NOWHERE 0x40800000u /* An absent page. */
#define ABSENT 0x40000000u /* Two pages for the table, one of them absent at a time. */
#define TABLE 0x01a00000u

/* How the first exception is caused. EIP stays at it. */
static const struct {
  const char *name;
  u8 vector;
} firsts[] = {{"de", 0}, {"bp", 3}, {"of", 4}, {"br", 5}, {"ud", 6}, {"nm", 7}, {"ts", 10}, {"np", 11}, {"ss", 12}, {"gp", 13}, {"pf", 14}, {"ac", 17}};
/* What is wrong with its gate, and so the second. */
static const char *const seconds[] = {"gp-type", "gp-null", "np-gate", "np-code", "pf-gate"};

static u64 broken_gate(int how)
{
  switch (how) {
  case 0: return gate_descriptor(KERNEL_CS, 0, GATE_CALL32 | DPL(3), 0);
  case 1: return gate_descriptor(0, 0, GATE_INT32 | DPL(3), 0);
  case 2: return gate_descriptor(KERNEL_CS, 0, NOT_PRESENT(GATE_INT32 | DPL(3)), 0);
  default: return gate_descriptor(SPARE(1), 0, GATE_INT32 | DPL(3), 0);
  }
}

static void cause(u8 vector)
{
  switch (vector) {
  case 0: TRY("xorl %ecx, %ecx\n divl %ecx"); break;
  case 3: TRY("int3"); break;
  case 4: TRY("movb $0x7f, %al\n addb $1, %al\n into"); break;
  case 5: TRY("movl $0x01900000, %ebx\n movl $1, (%ebx)\n movl $2, 4(%ebx)\n xorl %eax, %eax\n boundl %eax, (%ebx)"); break;
  case 6: TRY("ud2"); break;
  case 7: TRY("movl %cr0, %eax\n orl $8, %eax\n movl %eax, %cr0\n fnop"); break;
  case 10: TRY("pushl $0x4002\n popfl\n iretl"); break;
  case 11: TRY("movl $0x50, %eax\n movw %ax, %fs"); break;
  case 12: TRY("movl $0x50, %eax\n movw %ax, %ss"); break;
  case 13: TRY("movl $0x7f8, %eax\n movw %ax, %fs"); break;
  case 14: TRY("movl 0x40800000, %eax"); break;
  case 17:
    write_cr0(read_cr0() | CR0_AM);
    TRY_USER_FLAGS(EFLAGS_AC, "pushl %ebp\n movl 1(%esp), %eax");
    write_cr0(read_cr0() & ~CR0_AM);
    break;
  }
}

struct table_register {
  u16 limit;
  u32 base;
} __attribute__((packed));
static const struct table_register home = {sizeof idt - 1, (u32)idt};

/* Runs the cause with a table whose gates up to `last` lie on one page and the rest on the next; one of the two is absent. */
static void on_split_table(u8 vector, int last, int absent)
{
  struct table_register moved = {sizeof idt - 1, ABSENT + 0x1000 - 8u * (u32)(last + 1)};
  map_page(ABSENT, (u32)TABLE, PTE_P | PTE_W);
  map_page(ABSENT + 0x1000, (u32)TABLE + 0x1000, PTE_P | PTE_W);
  flush_tlb();
  memcpy((void *)moved.base, idt, sizeof idt);
  map_page(ABSENT + 0x1000u * (u32)absent, 0, 0);
  flush_tlb();
  __asm__ volatile("lidt %0" : : "m"(moved) : "memory");
  cause(vector);
  __asm__ volatile("lidt %0" : : "m"(home) : "memory");
}

void test_main(void)
{
  paging_on();
  for (u32 at = 0; at < 0x2000000; at += 4096) map_page(at, at, PTE_P | PTE_W | PTE_U);
  for (int i = 0; i < 8; i++) page_directory[i] |= PTE_U;
  map_page(NOWHERE, 0, 0);
  set_spare(1, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_CODE_XR), SEG_G | SEG_32), 0);
  set_spare(2, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_DATA_RW), SEG_G | SEG_32), 0);
  flush_tlb();
  for (u32 first = 0; first < COUNT(firsts); first++) {
    u8 vector = firsts[first].vector;
    for (u32 second = 0; second < COUNT(seconds); second++) {
      fault_expected_eip = 0;
      if (second < 4) {
        u64 kept = idt[vector];
        idt[vector] = broken_gate((int)second);
        cause(vector);
        idt[vector] = kept;
      } else if (vector < 14) {
        on_split_table(vector, vector, 0);
      } else if (vector == 14) {
        on_split_table(vector, 13, 1);
      } else {
        continue; /* Ring 3 needs the gate of #PF and more behind it. */
      }
      __asm__ volatile("clts");
      print("ok %s-%s vector=%u error=%x\n", firsts[first].name, seconds[second], fault.frame.vector, fault.frame.error);
    }
  }
}
