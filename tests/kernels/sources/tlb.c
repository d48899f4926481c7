/* What software may rely on when it changes translations (SDM vol. 3, 4.10.4): only guarantees, never what may be cached. */
#include "lib.h"

#define PAGE 0x40000000u
#define OTHER 0x40400000u
#define FRAME(n) (0x01000000u + 0x1000u * (n))
#define AT_PAGE (*(volatile u32 *)PAGE)

static void point(u32 frame, u32 flags) { *page_entry(PAGE) = FRAME(frame) | flags; }

static void absent_entries_are_not_cached(void)
{
  point(0, 0);
  invlpg(PAGE);
  TRY(AT "movl 0x40000000, %eax");
  report("absent");
  point(1, PTE_P | PTE_W);
  print("ok absent-then-present %x\n", AT_PAGE);
  page_directory[OTHER >> 22] = 0;
  flush_tlb();
  TRY(AT "movl 0x40400000, %eax");
  report("absent-directory");
  map_page(OTHER, FRAME(2), PTE_P | PTE_W);
  print("ok absent-then-present-directory %x\n", *(volatile u32 *)OTHER);
}

static void faults_drop_the_entry(void)
{
  write_cr0(read_cr0() | CR0_WP);
  point(1, PTE_P);
  invlpg(PAGE);
  u32 before = AT_PAGE;
  TRY(AT "movl $7, 0x40000004");
  report("readonly");
  point(1, PTE_P | PTE_W);
  AT_PAGE = before;
  print("ok writable-after-fault %x\n", AT_PAGE);
}

static void invalidations(void)
{
  point(1, PTE_P | PTE_W);
  invlpg(PAGE);
  (void)AT_PAGE;
  point(2, PTE_P | PTE_W);
  __asm__ volatile("invlpg 0x40000fff" : : : "memory");
  print("ok invlpg-any-byte-of-page %x\n", AT_PAGE);
  point(3, PTE_P | PTE_W);
  flush_tlb();
  print("ok cr3-load %x\n", AT_PAGE);
  point(4, PTE_P | PTE_W);
  write_cr0(read_cr0() & ~CR0_PG);
  write_cr0(read_cr0() | CR0_PG);
  print("ok cr0-pg-toggle %x\n", AT_PAGE);
  point(0, 0);
  invlpg(PAGE);
  TRY(AT "movl 0x40000000, %eax");
  report("absent-after-invlpg");
  /* The address is not an access: any offset within any segment limit will do. */
  TRY(AT "invlpg 0x7ffff000");
  report("invlpg-of-unmapped");
  TRY_USER(AT "invlpg 0x40000000");
  report("invlpg-in-ring3");
  TRY(AT ".byte 0x0f, 0x01, 0xf8");
  report("invlpg-register-form");
}

static void directory_changes(void)
{
  static u32 table[1024] __attribute__((aligned(4096)));
  point(1, PTE_P | PTE_W);
  invlpg(PAGE);
  (void)AT_PAGE;
  u32 old = page_directory[PAGE >> 22];
  table[0] = FRAME(6) | PTE_P | PTE_W;
  page_directory[PAGE >> 22] = (u32)table | PTE_P | PTE_W;
  flush_tlb();
  print("ok directory-change %x\n", AT_PAGE);
  page_directory[PAGE >> 22] = old;
  /* INVLPG drops the paging-structure caches too, whatever its address. */
  invlpg(PAGE);
  print("ok directory-change-invlpg %x\n", AT_PAGE);
}

static void address_spaces(void)
{
  static u32 second[1024] __attribute__((aligned(4096)));
  static u32 table[1024] __attribute__((aligned(4096)));
  memcpy(second, page_directory, sizeof second);
  table[0] = FRAME(7) | PTE_P | PTE_W;
  second[PAGE >> 22] = (u32)table | PTE_P | PTE_W;
  point(1, PTE_P | PTE_W);
  invlpg(PAGE);
  u32 a = AT_PAGE;
  write_cr3((u32)second);
  u32 b = AT_PAGE;
  write_cr3((u32)page_directory);
  u32 c = AT_PAGE;
  print("ok address-spaces %x %x %x\n", a, b, c);
}

static void global_pages(void)
{
  write_cr4(read_cr4() | CR4_PGE);
  point(1, PTE_P | PTE_W | PTE_G);
  invlpg(PAGE);
  u32 first = AT_PAGE;
  point(2, PTE_P | PTE_W | PTE_G);
  flush_tlb();
  /* A CR3 load keeps global entries, but nothing promises that the entry is still there. */
  u32 kept = AT_PAGE;
  check("global-cr3-load-old-or-new", kept == first || kept == 0x1002);
  invlpg(PAGE);
  print("ok global-invlpg %x\n", AT_PAGE);
  point(3, PTE_P | PTE_W | PTE_G);
  write_cr4(read_cr4() & ~CR4_PGE);
  print("ok global-pge-off %x\n", AT_PAGE);
  point(4, PTE_P | PTE_W | PTE_G);
  write_cr4(read_cr4() | CR4_PGE);
  print("ok global-pge-on %x\n", AT_PAGE);
  /* Without PGE the bit means nothing. */
  write_cr4(read_cr4() & ~CR4_PGE);
  (void)AT_PAGE;
  point(5, PTE_P | PTE_W | PTE_G);
  flush_tlb();
  print("ok global-bit-without-pge %x\n", AT_PAGE);
}

/* Many pages, more than any TLB holds, changed under one flush. */
static void many_pages(void)
{
  for (u32 i = 0; i < 1024; i++) map_page(PAGE + i * 4096, FRAME(i % 8), PTE_P | PTE_W);
  flush_tlb();
  u32 sum = 0;
  for (u32 i = 0; i < 1024; i++) sum += *(volatile u32 *)(PAGE + i * 4096);
  print("ok many-pages %x\n", sum);
  for (u32 i = 0; i < 1024; i++) *page_entry(PAGE + i * 4096) = FRAME(i % 3) | PTE_P | PTE_W;
  flush_tlb();
  sum = 0;
  for (u32 i = 0; i < 1024; i++) sum += *(volatile u32 *)(PAGE + i * 4096);
  print("ok many-pages-changed %x\n", sum);
}

void test_main(void)
{
  for (u32 i = 0; i < 8; i++) *(volatile u32 *)FRAME(i) = 0x1000 + i;
  paging_on();
  map_page(PAGE, 0, 0);
  for (u32 at = 0x100000; at < (u32)image_end; at += 4096) *page_entry(at) |= PTE_U;
  flush_tlb();
  absent_entries_are_not_cached();
  faults_drop_the_entry();
  invalidations();
  directory_changes();
  address_spaces();
  global_pages();
  many_pages();
}
