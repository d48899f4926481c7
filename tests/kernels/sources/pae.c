/* PAE paging: page-directory-pointer entries, 4 KiB and 2 MiB pages, 36 address bits, execute-disable (SDM vol. 3, 4.4 to 4.8). */
#include "lib.h"

#define CR4_PAE 0x020u
#define EFER 0xc0000080u
#define EFER_NXE 0x800u
#define NX_HIGH 0x80000000u

#define PAGE 0x40000000u
#define LARGE 0x40200000u
#define FRAME(n) (0x01000000u + 0x1000u * (n))
#define LARGE_FRAME 0x01200000u
#define AT_PAGE (*(volatile u32 *)PAGE)
#define AT_LARGE (*(volatile u32 *)LARGE)

struct entry {
  volatile u32 low, high;
};
static struct entry pointers[4] __attribute__((aligned(32)));
static struct entry directories[2][512] __attribute__((aligned(4096)));
static struct entry identity[16][512] __attribute__((aligned(4096)));
static struct entry table[512] __attribute__((aligned(4096)));
static struct entry other_table[512] __attribute__((aligned(4096)));
static struct entry other_directory[512] __attribute__((aligned(4096)));

static void set(struct entry *entry, u32 low, u32 high)
{
  entry->low = low;
  entry->high = high;
}
static void page(u32 n, u32 low, u32 high)
{
  set(&table[n], low, high);
  invlpg(PAGE + n * 4096);
}
static void large(u32 low, u32 high)
{
  set(&directories[1][1], low, high);
  invlpg(LARGE);
}
static void write_efer(u32 low) { __asm__ volatile("wrmsr" : : "c"(EFER), "a"(low), "d"(0)); }

static void build(void)
{
  for (u32 i = 0; i < 16 * 512; i++) set(&identity[i / 512][i % 512], i << 12 | PTE_P | PTE_W | PTE_U, 0);
  for (u32 i = 0; i < 16; i++) set(&directories[0][i], (u32)identity[i] | PTE_P | PTE_W | PTE_U, 0);
  set(&directories[1][0], (u32)table | PTE_P | PTE_W | PTE_U, 0);
  for (u32 i = 0; i < 2; i++) set(&pointers[i], (u32)directories[i] | PTE_P, 0);
}

static void small_pages(void)
{
  page(0, FRAME(1) | PTE_P | PTE_W, 0);
  print("ok page %x\n", AT_PAGE);
  print("ok accessed %x %x\n", table[0].low & (PTE_A | PTE_D), directories[1][0].low & (PTE_A | PTE_D));
  AT_PAGE = AT_PAGE;
  print("ok dirty %x\n", table[0].low & (PTE_A | PTE_D));
  page(0, 0, 0);
  TRY(AT "movl 0x40000000, %eax");
  report("absent");
  TRY(AT "movl 0x80000000, %eax");
  report("absent-pointer");
  TRY(AT "movl 0x40400000, %eax");
  report("absent-directory-entry");
  page(0, FRAME(1) | PTE_P, 0);
  write_cr0(read_cr0() | CR0_WP);
  TRY(AT "movl $0, 0x40000000");
  report("read-only");
  write_cr0(read_cr0() & ~CR0_WP);
  TRY_USER(AT "movl 0x40000000, %eax");
  report("supervisor-page");
}

static void large_pages(void)
{
  large(LARGE_FRAME | PTE_P | PTE_W | PTE_PS, 0);
  *(volatile u32 *)(LARGE_FRAME + 0x1ffffc) = 0x7777;
  print("ok large %x %x\n", AT_LARGE, *(volatile u32 *)(LARGE + 0x1ffffc));
  AT_LARGE = AT_LARGE;
  print("ok large-dirty %x\n", directories[1][1].low & (PTE_A | PTE_D));
  *(volatile u32 *)(0x01400000u + 0x123000) = 0x8888;
  (void)*(volatile u32 *)(LARGE + 0x123000);
  set(&directories[1][1], 0x01400000u | PTE_P | PTE_W | PTE_PS, 0);
  invlpg(LARGE + 0x1000);
  print("ok large-invlpg-any-byte %x\n", *(volatile u32 *)(LARGE + 0x123000));
}

static void reserved_bits(void)
{
  page(0, FRAME(1) | PTE_P, 1 << 4);
  TRY(AT "movl 0x40000000, %eax");
  report("reserved-bit-36");
  page(0, FRAME(1) | PTE_P, 1 << 30);
  TRY_USER(AT "movl $0, 0x40000000");
  report("reserved-bit-62-user-write");
  large(LARGE_FRAME | PTE_P | PTE_W | PTE_PS | 1 << 13, 0);
  TRY(AT "movl 0x40200000, %eax");
  report("large-reserved-bit-13");
  large(LARGE_FRAME | PTE_P | PTE_W | PTE_PS | 1 << 20, 0);
  TRY(AT "movl 0x40200000, %eax");
  report("large-reserved-bit-20");
  large((u32)table | PTE_P | PTE_W, 1 << 4);
  TRY(AT "movl 0x40200000, %eax");
  report("directory-reserved-bit-36");
  page(0, FRAME(1) | PTE_P, NX_HIGH);
  TRY(AT "movl 0x40000000, %eax");
  report("nx-is-reserved-without-nxe");
  /* An absent entry has no reserved bits. */
  page(0, FRAME(1), NX_HIGH | 1 << 4);
  TRY(AT "movl 0x40000000, %eax");
  report("absent-with-reserved-bits");
}

static void pointers_checked(void)
{
  static const u32 bits[] = {1, 2, 5, 6, 7, 8};
  for (u32 i = 0; i < COUNT(bits); i++) {
    pointers[3].low = PTE_P | 1u << bits[i];
    TRY("movl %cr3, %eax\n" AT "movl %eax, %cr3");
    report("pointer-reserved");
  }
  set(&pointers[3], PTE_P, 1 << 4);
  TRY("movl %cr3, %eax\n" AT "movl %eax, %cr3");
  report("pointer-reserved-bit-36");
  set(&pointers[3], 0x1e6, 1 << 4);
  TRY("movl %cr3, %eax\n" AT "movl %eax, %cr3");
  report("pointer-absent");
  set(&pointers[3], PTE_P | 0xe00, 0);
  TRY("movl %cr3, %eax\n" AT "movl %eax, %cr3");
  report("pointer-ignored-bits");
  set(&pointers[3], 0, 0);
  flush_tlb();
}

static void pointers_are_registers(void)
{
  page(0, FRAME(1) | PTE_P | PTE_W, 0);
  set(&other_table[0], FRAME(2) | PTE_P | PTE_W, 0);
  set(&other_directory[0], (u32)other_table | PTE_P | PTE_W, 0);
  pointers[1].low = (u32)other_directory | PTE_P;
  invlpg(PAGE);
  print("ok pointer-changed-in-memory %x\n", AT_PAGE);
  flush_tlb();
  print("ok pointer-loaded %x\n", AT_PAGE);
  pointers[1].low = (u32)directories[1] | PTE_P;
  write_cr4(read_cr4() ^ CR4_PGE);
  print("ok pointer-loaded-by-cr4 %x\n", AT_PAGE);
  pointers[1].low = (u32)other_directory | PTE_P;
  write_cr0(read_cr0() ^ CR0_PG);
  write_cr0(read_cr0() ^ CR0_PG);
  print("ok pointer-loaded-by-cr0 %x\n", AT_PAGE);
  pointers[1].low = (u32)directories[1] | PTE_P;
  flush_tlb();
}

static void above_4_gib(void)
{
  page(0, PTE_P | PTE_W, 1);
  AT_PAGE = 5;
  check("above-4-gib-is-no-memory", AT_PAGE != 5 && *(volatile u32 *)0x500 != 5);
}

/* Two pages of code: MOV EAX,1234h lies across both, RET behind it. */
static void execute_disable(void)
{
  static const u8 code[] = {0xb8, 0x34, 0x12, 0, 0, 0xc3};
  u8 *at = (u8 *)FRAME(2) - 2;
  *(volatile u32 *)FRAME(3) = 0xc3;
  memcpy(at, code, sizeof code);
  write_efer(EFER_NXE);
  page(1, FRAME(1) | PTE_P | PTE_W | PTE_U, 0);
  page(2, FRAME(2) | PTE_P | PTE_W | PTE_U, 0);
  page(3, FRAME(3) | PTE_P | PTE_W | PTE_U, NX_HIGH);
  print("ok nx-read %x\n", *(volatile u32 *)(PAGE + 0x3000));
  TRY("movl $0x40003000, fault_expected_eip\n movl $0x40003000, %eax\n call *%eax");
  report("nx-fetch");
  TRY_USER("movl $0x40003000, fault_expected_eip\n movl $0x40003000, %eax\n call *%eax");
  report("nx-fetch-user");
  page(3, 0, 0);
  TRY("movl $0x40003000, fault_expected_eip\n movl $0x40003000, %eax\n call *%eax");
  report("absent-fetch");
  page(3, FRAME(3) | PTE_P, 0);
  TRY_USER("movl $0x40003000, fault_expected_eip\n movl $0x40003000, %eax\n call *%eax");
  report("supervisor-fetch-user");
  TRY("movl $0x40001ffe, %eax\n call *%eax\n movl %eax, fault_expected_eip\n ud2");
  print("ok crossing %x\n", fault_expected_eip);
  page(2, FRAME(2) | PTE_P | PTE_W, NX_HIGH);
  TRY("movl $0x40001ffe, fault_expected_eip\n movl $0x40001ffe, %eax\n call *%eax");
  report("nx-crossing");
  page(2, FRAME(2) | PTE_P | PTE_W, 0);
  /* In the directory entry it holds for all pages below. */
  directories[1][0].high = NX_HIGH;
  flush_tlb();
  TRY("movl $0x40003000, fault_expected_eip\n movl $0x40003000, %eax\n call *%eax");
  report("nx-directory");
  directories[1][0].high = 0;
  large(0x01000000u | PTE_P | PTE_W | PTE_PS, NX_HIGH);
  TRY("movl $0x40203000, fault_expected_eip\n movl $0x40203000, %eax\n call *%eax");
  report("nx-large");
  /* Code that has run before is refused once its page is closed. */
  page(3, FRAME(3) | PTE_P, 0);
  TRY("movl $0x40003000, %eax\n" AT "call *%eax");
  report("executable");
  page(3, FRAME(3) | PTE_P, NX_HIGH);
  TRY("movl $0x40003000, fault_expected_eip\n movl $0x40003000, %eax\n call *%eax");
  report("executable-no-more");
  /* Switched off, the bit is reserved for data too. */
  write_efer(0);
  TRY(AT "movl 0x40003000, %eax");
  report("nxe-off");
  page(3, 0, 0);
  large(0, 0);
}

void test_main(void)
{
  for (u32 i = 0; i < 8; i++) *(volatile u32 *)FRAME(i) = 0x1000 + i;
  *(volatile u32 *)LARGE_FRAME = 0x5555;
  build();
  write_cr3((u32)pointers);
  write_cr4(read_cr4() | CR4_PAE);
  /* Turning paging on reads the pointers. */
  set(&pointers[2], PTE_P | 2, 0);
  TRY("movl %cr0, %eax\n orl $0x80000000, %eax\n" AT "movl %eax, %cr0");
  report("paging-on-with-reserved-pointer");
  set(&pointers[2], 0, 0);
  write_cr0(read_cr0() | CR0_PG);
  small_pages();
  large_pages();
  reserved_bits();
  pointers_checked();
  pointers_are_registers();
  above_4_gib();
  execute_disable();
  write_cr0(read_cr0() & ~CR0_PG);
  write_cr4(read_cr4() & ~CR4_PAE);
  print("ok back-without-paging\n");
}
