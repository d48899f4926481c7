/* Page tables: an identity map of the first 32 MiB and pages added to it. */
#include "lib.h"

#define IDENTITY_TABLES 8
#define MORE_TABLES 8

u32 page_directory[1024] __attribute__((aligned(4096)));
static u32 page_tables[IDENTITY_TABLES + MORE_TABLES][1024] __attribute__((aligned(4096)));
static u32 tables_used;

void paging_on(void)
{
  for (u32 i = 0; i < IDENTITY_TABLES * 1024; i++) page_tables[i / 1024][i % 1024] = i << 12 | PTE_P | PTE_W;
  for (u32 i = 0; i < IDENTITY_TABLES; i++) page_directory[i] = (u32)page_tables[i] | PTE_P | PTE_W | PTE_U;
  tables_used = IDENTITY_TABLES;
  write_cr3((u32)page_directory);
  write_cr0(read_cr0() | CR0_PG);
}

void paging_off(void)
{
  write_cr0(read_cr0() & ~CR0_PG);
}

void map_page(u32 linear, u32 physical, u32 flags)
{
  u32 *directory = &page_directory[linear >> 22];
  if ((*directory & PTE_P) == 0) {
    if (tables_used == IDENTITY_TABLES + MORE_TABLES) {
      print("FAIL out of page tables\n");
      leave(2);
    }
    *directory = (u32)page_tables[tables_used++] | PTE_P | PTE_W | PTE_U;
  }
  *page_entry(linear) = physical | flags;
}

volatile u32 *page_entry(u32 linear)
{
  return (u32 *)(page_directory[linear >> 22] & ~0xfffu) + (linear >> 12 & 0x3ff);
}
