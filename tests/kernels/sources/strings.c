/* String instructions: empty repetitions, direction, widths, and faults in the middle with exact registers (SDM vol. 2, REP). */
#include "lib.h"

#define PAGE 0x40000000u
#define FRAME(n) (0x01000000u + 0x1000u * (n))

static void registers(const char *name)
{
  const struct frame *f = &fault.frame;
  print("ok %s ecx=%x esi=%x edi=%x\n", name, f->ecx, f->esi, f->edi);
}

/* Runs TEXT in ring 0 and ends with a vector that saves the registers. */
#define RUN(name, text) \
  TRY(text "\n int $0x50"); \
  registers(name)
#define FAULT(name, text) \
  TRY(text); \
  report(name); \
  registers(name)
#define SET(c, s, d) "movl $" #c ", %ecx\n movl $" #s ", %esi\n movl $" #d ", %edi\n"

static void counts_and_directions(void)
{
  RUN("rep-movsb-0", "cld\n" SET(0, 0x01800000, 0x01801000) "rep movsb");
  RUN("rep-movsd-3", "cld\n" SET(3, 0x01800000, 0x01801000) "rep movsl");
  RUN("rep-movsd-3-down", "std\n" SET(3, 0x01800010, 0x01801010) "rep movsl");
  RUN("movsw", "cld\n" SET(9, 0x01800000, 0x01801000) "movsw");
  RUN("rep-lodsb", "cld\n" SET(5, 0x01800000, 0x01801000) "rep lodsb");
  RUN("rep-stosw", "std\n" SET(4, 0x01800000, 0x01801010) "rep stosw");
  memcpy((void *)0x01800000, "abcdefgh", 8);
  memcpy((void *)0x01801000, "abcxefgh", 8);
  RUN("repe-cmpsb", "cld\n" SET(8, 0x01800000, 0x01801000) "repe cmpsb");
  RUN("repe-cmpsb-0", "cld\n" SET(0, 0x01800000, 0x01801000) "repe cmpsb");
  RUN("repne-scasb", "cld\n movb $101, %al\n" SET(8, 0, 0x01800000) "repne scasb");
  RUN("repne-scasb-none", "cld\n movb $0x7a, %al\n" SET(8, 0, 0x01800000) "repne scasb");
  /* 16-bit addresses count in CX, SI and DI and leave the upper halves alone. */
  RUN("rep-movsb-16-bit", "cld\n movl $0xaaaa0003, %ecx\n movl $0xbbbb8000, %esi\n movl $0xcccc9000, %edi\n .byte 0x67\n rep movsb");
  RUN("loop-jcxz", "movl $0x10000, %ecx\n xorl %esi, %esi\n .byte 0x67\n jecxz 5f\n incl %esi\n 5: movl $0, %edi");
  /* A copy onto itself, one byte further: the first byte spreads. */
  memset((void *)0x01800000, 0, 32);
  *(u8 *)0x01800000 = 0x41;
  RUN("overlap", "cld\n" SET(15, 0x01800000, 0x01800001) "rep movsb");
  print("ok overlap-result %x %x\n", *(u32 *)0x0180000c, *(u32 *)0x01800010);
}

/* Pages 1 and 3 are absent: the instruction stops with the registers of the element that faulted. */
static void faults(void)
{
  paging_on();
  map_page(PAGE, FRAME(0), PTE_P | PTE_W);
  map_page(PAGE + 0x1000, 0, 0);
  map_page(PAGE + 0x2000, FRAME(2), PTE_P | PTE_W);
  map_page(PAGE + 0x3000, 0, 0);
  FAULT("movsb-source-absent", "cld\n" SET(0x20, 0x40000ff8, 0x40002000) AT "rep movsb");
  FAULT("movsb-target-absent", "cld\n" SET(0x20, 0x40000000, 0x40002ff8) AT "rep movsb");
  FAULT("movsd-target-straddles", "cld\n" SET(0x20, 0x40000000, 0x40002ff6) AT "rep movsl");
  print("ok movsd-target-straddles-word %x\n", *(u16 *)(FRAME(2) + 0xffe));
  FAULT("movsd-down", "std\n" SET(0x20, 0x40000100, 0x40002004) AT "rep movsl");
  FAULT("stosd", "cld\n movl $0x5a5a5a5a, %eax\n" SET(0x10, 7, 0x40000ff0) AT "rep stosl");
  print("ok stosd-stored %x\n", *(u32 *)(FRAME(0) + 0xffc));
  FAULT("lodsb", "cld\n" SET(0x10, 0x40000ffd, 7) AT "rep lodsb");
  FAULT("cmpsb", "cld\n" SET(0x10, 0x40000ffe, 0x40000ffe) AT "repe cmpsb");
  FAULT("scasw", "cld\n movl $0x1234, %eax\n" SET(0x10, 7, 0x40002ffc) AT "repne scasw");
  FAULT("movs-both-absent", "cld\n" SET(1, 0x40001000, 0x40003000) AT "movsb");
  RUN("movs-nothing-absent", "cld\n" SET(0, 0x40001000, 0x40003000) "rep movsb");
  /* A device on the other side: the port is read only when the memory can be written. */
  FAULT("insb-target-absent", "cld\n movl $0x80, %edx\n" SET(4, 7, 0x40000ffe) AT "rep insb");
  FAULT("outsb-source-absent", "cld\n movl $0x80, %edx\n" SET(4, 0x40000ffe, 7) AT "rep outsb");
  /* The page is put in, and the instruction goes on where it was. */
  TRY("cld\n" SET(0x20, 0x40000ff8, 0x40002000) "rep movsb");
  map_page(PAGE + 0x1000, FRAME(1), PTE_P | PTE_W);
  for (u32 i = 0; i < 32; i++) *(u8 *)(PAGE + 0xff8 + i) = (u8)i;
  fault.happened = 0;
  u32 left = fault.frame.ecx, from = fault.frame.esi, to = fault.frame.edi;
  __asm__ volatile("cld\n rep movsb" : "+c"(left), "+S"(from), "+D"(to) : : "memory");
  print("ok resumed left=%u from=%x to=%x last=%x\n", left, from, to, (u32) * (u8 *)(PAGE + 0x201f));
}

void test_main(void)
{
  counts_and_directions();
  faults();
}
