/* Pages of 4 MiB, and PSE-36 (SDM vol. 3, 4.3; table 4-4). */
#include "lib.h"

#define LARGE 0x40000000u
#define FRAME 0x01000000u
#define AT_LARGE (*(volatile u32 *)LARGE)

static void map(u32 entry)
{
  page_directory[LARGE >> 22] = entry;
  invlpg(LARGE);
}

void test_main(void)
{
  paging_on();
  for (u32 at = 0x100000; at < (u32)image_end; at += 4096) *page_entry(at) |= PTE_U;
  flush_tlb();
  static u32 table[1024] __attribute__((aligned(4096)));
  *(volatile u32 *)FRAME = 0x1111;
  *(volatile u32 *)(FRAME + 0x3ffffc) = 0x2222;
  *(volatile u32 *)0x01400000 = 0x3333;
  /* Without CR4.PSE the bit means nothing. */
  table[0] = 0x01400000 | PTE_P;
  map((u32)table | PTE_P | PTE_W | PTE_PS);
  print("ok ps-without-pse %x\n", AT_LARGE);
  write_cr4(read_cr4() | CR4_PSE);
  map(FRAME | PTE_P | PTE_W | PTE_PS);
  print("ok large %x %x\n", AT_LARGE, *(volatile u32 *)(LARGE + 0x3ffffc));
  print("ok accessed %x\n", page_directory[LARGE >> 22] & (PTE_A | PTE_D));
  AT_LARGE = 0x1111;
  print("ok dirty %x\n", page_directory[LARGE >> 22] & (PTE_A | PTE_D));
  map(FRAME | PTE_P | PTE_PS);
  write_cr0(read_cr0() | CR0_WP);
  TRY(AT "movl $0, 0x40000010");
  report("read-only");
  write_cr0(read_cr0() & ~CR0_WP);
  TRY_USER(AT "movl 0x40000010, %eax");
  report("supervisor");
  map(FRAME | PTE_P | PTE_PS | PTE_U);
  TRY_USER(AT "movl $0, 0x40000010");
  report("user-read-only");
  map(FRAME | PTE_P | PTE_PS | 1 << 21);
  TRY(AT "movl 0x40000000, %eax");
  report("reserved-bit-21");
  map(FRAME | PTE_P | PTE_PS | 1 << 17);
  TRY(AT "movl 0x40000000, %eax");
  report("reserved-bit-17");
  /* Bit 12 is the PAT's; 13 is address bit 32. */
  map(FRAME | PTE_P | PTE_PS | 1 << 12);
  print("ok pat-bit %x\n", AT_LARGE);
  map(FRAME | PTE_P | PTE_W | PTE_PS | 1 << 13);
  AT_LARGE = 9;
  check("above-4-gib-is-no-memory", AT_LARGE != 9 && *(volatile u32 *)FRAME == 0x1111);
  map(FRAME | PTE_P | PTE_W | PTE_PS);
  (void)*(volatile u32 *)(LARGE + 0x123000);
  page_directory[LARGE >> 22] = 0x01400000 | PTE_P | PTE_W | PTE_PS;
  invlpg(LARGE + 0x200000);
  print("ok invlpg-any-byte %x\n", AT_LARGE);
  /* Execution from a large page, and a global one that is changed. */
  *(volatile u8 *)0x01400000 = 0xc3;
  map(0x01400000 | PTE_P | PTE_W | PTE_PS);
  TRY("movl $0x40000000, %eax\n" AT "call *%eax");
  report("execute");
  page_directory[LARGE >> 22] = 0;
  invlpg(LARGE);
  TRY("movl $0x40000000, fault_expected_eip\n movl $0x40000000, %eax\n call *%eax");
  report("execute-absent");
}
