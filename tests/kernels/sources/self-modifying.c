/* Code that changes: the next instruction, other pages, through an alias, by string instructions, over page borders. */
#include "lib.h"

#define CODE 0x40000000u
#define ALIAS 0x40008000u
#define FRAME(n) (0x01000000u + 0x1000u * (n))

typedef u32 (*function)(void);

/* mov $value, %eax; ret */
static void write_function(u32 at, u32 value)
{
  *(volatile u8 *)at = 0xb8;
  *(volatile u32 *)(at + 1) = value;
  *(volatile u8 *)(at + 5) = 0xc3;
}
static u32 call(u32 at) { return ((function)at)(); }

/* The image of a small routine is copied to CODE and run there, because it changes itself. */
#define ROUTINE(name, text) \
  extern u8 name[], name##_end[]; \
  __asm__(".globl " #name "\n" #name ":\n" text "\n" #name "_end:")

/* Changes the immediate of the very next instruction. */
ROUTINE(next_instruction, "movl $5, %eax\n call 5f\n 5: popl %edx\n movb $9, 6f-5b+1(%edx)\n 6: movl $1, %eax\n ret");
/* A loop whose body is increased by itself each time: 0 + 1 + 2 + 3 + 4. */
ROUTINE(loop_body, "xorl %eax, %eax\n movl $5, %ecx\n call 5f\n 5: popl %edx\n"
                   "6: addl $0, %eax\n 7: incb 6b-5b+2(%edx)\n 8: loop 6b\n ret");
/* Turns a NOP ahead into INC EAX, by a store that covers the border of two instructions. */
ROUTINE(two_instructions, "xorl %eax, %eax\n call 5f\n 5: popl %edx\n movw $0x4040, 6f-5b(%edx)\n 6: nop\n nop\n nop\n ret");
/* Writes the rest of itself with REP STOSB: INC EAX eight times. */
ROUTINE(string_store, "cld\n call 5f\n 5: popl %edi\n addl $6f-5b, %edi\n movl $8, %ecx\n movb $0x40, %al\n"
                      "rep stosb\n xorl %eax, %eax\n 6: .fill 8, 1, 0x90\n ret");

static u32 run_copy(const u8 *start, const u8 *end)
{
  memcpy((void *)CODE, start, (u32)(end - start));
  u32 kept;
  __asm__ volatile("pushl %%ebx\n call *%1\n popl %%ebx" : "=a"(kept) : "r"(CODE) : "ecx", "edx", "esi", "edi", "memory", "cc");
  return kept;
}
#define RUN(name) run_copy(name, name##_end)

void test_main(void)
{
  paging_on();
  for (u32 i = 0; i < 8; i++) map_page(CODE + i * 4096, FRAME(i), PTE_P | PTE_W);
  for (u32 i = 0; i < 8; i++) map_page(ALIAS + i * 4096, FRAME(i), PTE_P | PTE_W);

  print("ok next-instruction %u\n", RUN(next_instruction));
  print("ok loop-body %u\n", RUN(loop_body));
  print("ok two-instructions %u\n", RUN(two_instructions));
  print("ok string-store %u\n", RUN(string_store));

  write_function(CODE, 1);
  u32 first = call(CODE);
  write_function(CODE, 2);
  print("ok rewritten %u %u\n", first, call(CODE));
  *(volatile u8 *)(ALIAS + 1) = 3;
  print("ok through-alias %u\n", call(CODE));
  *(volatile u8 *)(FRAME(0) + 1) = 4;
  print("ok through-physical %u\n", call(CODE));
  /* Warm it up, as an engine that translates hot code would, then change one byte. */
  u32 sum = 0;
  for (u32 i = 0; i < 20000; i++) sum += call(CODE);
  *(volatile u8 *)(CODE + 1) = 5;
  print("ok after-many-runs %u %u\n", sum, call(CODE));
  u32 wrong = 0;
  for (u32 i = 0; i < 2000; i++) {
    *(volatile u32 *)(CODE + 1) = i;
    wrong += call(CODE) != i;
  }
  print("ok changed-each-time wrong=%u\n", wrong);

  /* A whole page of code replaced by REP MOVS from another. */
  write_function(FRAME(4), 77);
  __asm__ volatile("cld\n rep movsl" : : "S"(FRAME(4)), "D"(FRAME(0)), "c"(1024) : "memory");
  print("ok page-copied %u\n", call(CODE));
  /* The page is exchanged under the code. */
  write_function(FRAME(5), 88);
  map_page(CODE, FRAME(5), PTE_P | PTE_W);
  invlpg(CODE);
  print("ok page-exchanged %u\n", call(CODE));
  map_page(CODE, FRAME(0), PTE_P | PTE_W);
  invlpg(CODE);
  print("ok page-back %u\n", call(CODE));

  /* An instruction over a page border, changed on either side. */
  write_function(CODE + 0xffd, 0x01020304);
  print("ok across-pages %x\n", call(CODE + 0xffd));
  *(volatile u8 *)(CODE + 0x1001) = 0x55;
  print("ok across-pages-second %x\n", call(CODE + 0xffd));
  *(volatile u8 *)(CODE + 0xffe) = 0x66;
  print("ok across-pages-first %x\n", call(CODE + 0xffd));
  /* The second page is exchanged. */
  memcpy((void *)FRAME(6), (void *)FRAME(1), 4096);
  *(volatile u8 *)(FRAME(6)) = 0x99;
  map_page(CODE + 0x1000, FRAME(6), PTE_P | PTE_W);
  invlpg(CODE + 0x1000);
  print("ok across-pages-exchanged %x\n", call(CODE + 0xffd));
  /* The store that changes code faults half-way: the part on the first page must not be seen. */
  map_page(CODE + 0x1000, FRAME(1), PTE_P | PTE_W);
  invlpg(CODE + 0x1000);
  u32 before = call(CODE + 0xffd);
  map_page(ALIAS + 0x1000, 0, 0);
  invlpg(ALIAS + 0x1000);
  TRY("movl $-1, %eax\n" AT "movl %eax, 0x40008ffe");
  report("refused-store");
  check("refused-store-left-code", call(CODE + 0xffd) == before);
}
