/* Page faults, permissions at both levels, accessed and dirty bits, 4 MiB pages (SDM vol. 3, 4.3, 4.6 to 4.8). */
#include "lib.h"

/* Linear addresses of the pages under test, spelt out in the assembly below, and the frames behind them. */
#define PAGE 0x40000000u
#define NEXT 0x40001000u
#define BIG 0x50000000u
#define FRAME(n) (0x01000000u + 0x1000u * (n))
#define BIG_FRAME 0x01400000u

/* Lets ring 3 run and write the kernel's own image, so that only the page under test matters. */
static void open_image_to_user(void)
{
  for (u32 at = 0x100000; at < (u32)image_end; at += 4096) *page_entry(at) |= PTE_U;
  flush_tlb();
}

static void remap(u32 linear, u32 physical, u32 flags)
{
  map_page(linear, physical, flags);
  invlpg(linear);
}

static void absent_pages(void)
{
  remap(PAGE, 0, 0);
  TRY(AT "movl 0x40000123, %eax");
  report("read-absent");
  TRY(AT "movb $1, 0x40000fff");
  report("write-absent");
  TRY(AT "addl $1, 0x40000004");
  report("modify-absent");
  TRY(AT "cmpxchg %ecx, 0x40000008");
  report("cmpxchg-absent");
  TRY("movl $0x40000010, %esi\n" AT "pushl (%esi)");
  report("push-from-absent");
  TRY_USER(AT "movl 0x40000123, %eax");
  report("user-read-absent");
  TRY_USER(AT "movl %eax, 0x40000123");
  report("user-write-absent");
  TRY("movl $0x40000020, fault_expected_eip\n movl $0x40000020, %eax\n jmp *%eax");
  report("fetch-absent");
  /* A directory entry that is absent. */
  TRY(AT "movl 0x7ffffffc, %eax");
  report("read-absent-directory");
  TRY_USER(AT "movl %eax, 0x7ffffffc");
  report("user-write-absent-directory");
}

static void permissions(const char *const names[6])
{
  TRY(AT "movl 0x40000000, %eax");
  report(names[0]);
  TRY(AT "movl %eax, 0x40000000");
  report(names[1]);
  TRY(AT "xchgl %eax, 0x40000000");
  report(names[2]);
  /* The compare fails, but the write permission is needed all the same. */
  TRY("xorl %eax, %eax\n movl $7, %ecx\n" AT "cmpxchg %ecx, 0x40000000");
  report(names[3]);
  TRY_USER(AT "cmpb $0, 0x40000000");
  report(names[4]);
  TRY_USER(AT "movl %eax, 0x40000000");
  report(names[5]);
}
#define NAMES(prefix)                                                                              \
  (const char *const[6])                                                                           \
  {                                                                                                \
    prefix "-read", prefix "-write", prefix "-xchg", prefix "-cmpxchg", prefix "-user-read", prefix "-user-write" \
  }

static void write_protection(void)
{
  *(volatile u32 *)FRAME(0) = 0x1234;
  write_cr0(read_cr0() & ~CR0_WP);
  remap(PAGE, FRAME(0), PTE_P);
  permissions(NAMES("wp0-system-readonly"));
  remap(PAGE, FRAME(0), PTE_P | PTE_U);
  permissions(NAMES("wp0-user-readonly"));
  write_cr0(read_cr0() | CR0_WP);
  remap(PAGE, FRAME(0), PTE_P);
  permissions(NAMES("wp1-system-readonly"));
  remap(PAGE, FRAME(0), PTE_P | PTE_W);
  permissions(NAMES("wp1-system-writable"));
  remap(PAGE, FRAME(0), PTE_P | PTE_U);
  permissions(NAMES("wp1-user-readonly"));
  remap(PAGE, FRAME(0), PTE_P | PTE_W | PTE_U);
  permissions(NAMES("wp1-user-writable"));
  /* The directory entry's bits are ANDed with the page's. */
  u32 old = page_directory[PAGE >> 22];
  page_directory[PAGE >> 22] = old & ~PTE_U;
  flush_tlb();
  permissions(NAMES("directory-system"));
  page_directory[PAGE >> 22] = old & ~PTE_W;
  flush_tlb();
  permissions(NAMES("directory-readonly"));
  page_directory[PAGE >> 22] = old;
  flush_tlb();
}

static u32 bits(u32 entry) { return entry & (PTE_A | PTE_D); }

static void accessed_and_dirty(void)
{
  volatile u32 *entry = page_entry(PAGE);
  volatile u32 *directory = &page_directory[PAGE >> 22];
  *directory &= ~PTE_A;
  remap(PAGE, FRAME(0), PTE_P | PTE_W);
  print("ok bits-untouched pte=%x pde=%x\n", bits(*entry), bits(*directory) & PTE_A);
  flush_tlb();
  (void)*(volatile u32 *)PAGE;
  print("ok bits-after-read pte=%x pde=%x\n", bits(*entry), bits(*directory));
  *(volatile u32 *)PAGE = 1;
  print("ok bits-after-write pte=%x pde=%x\n", bits(*entry), bits(*directory));
  remap(PAGE, FRAME(0), PTE_P | PTE_W);
  *(volatile u32 *)PAGE = 1;
  print("ok bits-after-first-write pte=%x\n", bits(*entry));
  remap(PAGE, FRAME(0), PTE_P | PTE_W);
  __asm__ volatile("addl $0, 0x40000000" : : : "memory", "cc");
  print("ok bits-after-modify pte=%x\n", bits(*entry));
  /* The dirty bit is wanted even where the translation is known as clean. */
  remap(PAGE, FRAME(0), PTE_P | PTE_W | PTE_A);
  (void)*(volatile u32 *)PAGE;
  print("ok bits-read-of-accessed pte=%x\n", bits(*entry));
  *(volatile u32 *)PAGE = 1;
  print("ok bits-write-of-accessed pte=%x\n", bits(*entry));
  /* A write that is refused does not make the page dirty. */
  remap(PAGE, FRAME(0), PTE_P);
  TRY(AT "movl %eax, 0x40000000");
  print("ok bits-refused-write pte=%x\n", bits(*entry) & PTE_D);
  remap(PAGE, FRAME(0), PTE_P | PTE_W);
  *(volatile u8 *)FRAME(0) = 0xc3;
  __asm__ volatile("movl $0x40000000, %%eax\n call *%%eax" : : : "eax", "memory");
  print("ok bits-after-fetch pte=%x\n", bits(*entry));
}

/* Accesses over a border between a present and an absent page: nothing is written, CR2 is the first absent byte. */
static void straddling(void)
{
  remap(PAGE, FRAME(0), PTE_P | PTE_W);
  remap(NEXT, 0, 0);
  *(volatile u32 *)(FRAME(0) + 0xffc) = 0xaabbccdd;
  TRY("movl $-1, %eax\n" AT "movl %eax, 0x40000ffe");
  report("straddle-write");
  print("ok straddle-write-left %x\n", *(volatile u32 *)(FRAME(0) + 0xffc));
  TRY(AT "movl 0x40000ffd, %eax");
  report("straddle-read");
  TRY(AT "addw $1, 0x40000fff");
  report("straddle-modify");
  TRY_USER(AT "movl %eax, 0x40000ffe");
  report("straddle-user-both");
  /* The first page is the one that is missing. */
  remap(PAGE, 0, 0);
  remap(NEXT, FRAME(1), PTE_P | PTE_W);
  *(volatile u32 *)FRAME(1) = 0x11223344;
  TRY("movl $-1, %eax\n" AT "movl %eax, 0x40000ffe");
  report("straddle-first-absent");
  print("ok straddle-first-left %x\n", *(volatile u32 *)FRAME(1));
  /* Two frames that are far apart. */
  remap(PAGE, FRAME(5), PTE_P | PTE_W);
  *(volatile u32 *)0x40000ffe = 0x8badf00d;
  print("ok straddle-frames %04x %04x\n", (u32) * (volatile u16 *)(FRAME(5) + 0xffe), (u32) * (volatile u16 *)FRAME(1));
  print("ok straddle-read-back %x\n", *(volatile u32 *)0x40000ffe);
  /* An instruction over the border: b8 imm32 in the last two bytes. */
  remap(NEXT, 0, 0);
  *(volatile u16 *)(FRAME(5) + 0xffe) = 0x00b8;
  TRY("movl $0x40000ffe, fault_expected_eip\n movl $0x40000ffe, %ecx\n jmp *%ecx");
  report("straddle-fetch");
}

/* A push that faults leaves ESP as it was; the handler has the stack of ring 0. */
static void stack_faults(void)
{
  remap(PAGE, 0, 0);
  remap(NEXT, FRAME(1), PTE_P | PTE_W | PTE_U);
  TRY_USER("movl $0x40001000, %esp\n" AT "pushl %eax");
  report("push-absent");
  print("ok push-absent-esp %x\n", fault.frame.user_esp);
  TRY_USER("movl $0x40001002, %esp\n" AT "pushl %eax");
  report("push-straddle");
  print("ok push-straddle-esp %x\n", fault.frame.user_esp);
  TRY_USER("movl $0x40001004, %esp\n movl $0x40000004, %eax\n" AT "popl (%eax)");
  report("pop-to-absent");
  print("ok pop-to-absent-esp %x\n", fault.frame.user_esp);
  TRY_USER("movl $0x40001010, %esp\n" AT "pushal");
  report("pushal-straddle");
  print("ok pushal-straddle-esp %x\n", fault.frame.user_esp);
  TRY_USER("movl $0x40001000, %esp\n" AT "call 4f\n 4:");
  report("call-absent");
  TRY_USER("movl $0x40001008, %esp\n movl $0x40000010, %ebp\n" AT "leave");
  report("leave-absent");
  print("ok leave-absent esp=%x ebp=%x\n", fault.frame.user_esp, fault.frame.ebp);
}

static void big_pages(void)
{
  volatile u32 *directory = &page_directory[BIG >> 22];
  volatile u32 *low = (u32 *)BIG_FRAME, *high = (u32 *)(BIG_FRAME + 0x3ffffc);
  *low = 0x10101010;
  *high = 0x20202020;
  *directory = BIG_FRAME | PTE_P | PTE_W | PTE_PS;
  write_cr4(read_cr4() | CR4_PSE);
  flush_tlb();
  u32 first = *(volatile u32 *)BIG, last = *(volatile u32 *)(BIG + 0x3ffffc);
  print("ok big-read %x %x pde=%x\n", first, last, bits(*directory));
  *(volatile u32 *)(BIG + 0x123454) = 0x30303030;
  print("ok big-write %x pde=%x\n", *(volatile u32 *)(BIG_FRAME + 0x123454), bits(*directory));
  *directory = BIG_FRAME | PTE_P | PTE_PS;
  flush_tlb();
  TRY(AT "movl %eax, 0x503ffffc");
  report("big-readonly-write");
  TRY_USER(AT "movl 0x50000010, %eax");
  report("big-system-user-read");
  *directory = BIG_FRAME | PTE_P | PTE_PS | PTE_U;
  flush_tlb();
  TRY_USER(AT "movl 0x50000000, %eax");
  report("big-user-read");
  TRY_USER(AT "movl %eax, 0x50000000");
  report("big-user-write");
  /* With CR4.PSE clear the bit is ignored: the entry points to a page table. */
  u32 *table = (u32 *)FRAME(8);
  memset(table, 0, 4096);
  table[0] = FRAME(9) | PTE_P | PTE_W;
  *(volatile u32 *)FRAME(9) = 0x40404040;
  *directory = (u32)table | PTE_P | PTE_W | PTE_PS;
  write_cr4(read_cr4() & ~CR4_PSE);
  flush_tlb();
  print("ok big-without-pse %x\n", *(volatile u32 *)BIG);
  *directory = 0;
  flush_tlb();
}

void test_main(void)
{
  paging_on();
  map_page(PAGE, 0, 0);
  map_page(NEXT, 0, 0);
  open_image_to_user();
  absent_pages();
  write_protection();
  accessed_and_dirty();
  straddling();
  stack_faults();
  big_pages();
}
