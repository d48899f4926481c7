/* Data and stack segments: limits, types, privilege of loading, the accessed bit (SDM vol. 3, 5.3 to 5.6; 3.4.5.1). */
#include "lib.h"

/* Where the segments lie: memory that nothing else uses, so that a missing check does no harm. */
#define AREA 0x01800000u

u32 selector;

static u8 *const area = (u8 *)AREA;

static void segment(u32 base, u32 limit, u8 access, u8 flags, int rpl)
{
  selector = set_spare(0, segment_descriptor(base, limit, access, flags), rpl);
}

/* Accesses through FS after loading it. */
#define THROUGH_FS(name, text)                                                                     \
  TRY("movw selector, %ax\n movw %ax, %fs\n" AT text);                                             \
  report(name)
/* The load itself is what may fault. */
#define LOAD(name, reg)                                                                            \
  TRY("movw selector, %ax\n" AT "movw %ax, %" reg);                                                \
  report(name)

static void limits(void)
{
  segment(AREA, 0xfff, SEG_DATA_RW, SEG_32, 0);
  THROUGH_FS("byte-at-limit", "movb %fs:0xfff, %al");
  THROUGH_FS("byte-over-limit", "movb %fs:0x1000, %al");
  THROUGH_FS("dword-to-limit", "movl %fs:0xffc, %eax");
  THROUGH_FS("dword-over-limit", "movl %fs:0xffd, %eax");
  THROUGH_FS("write-over-limit", "movl %eax, %fs:0xffd");
  THROUGH_FS("modify-over-limit", "incl %fs:0xffd");
  THROUGH_FS("negative-offset", "movl %fs:-4, %eax");
  segment(AREA, 0xffff, SEG_DATA_RW, SEG_32, 0);
  THROUGH_FS("64k-byte-at-limit", "movb %fs:0xffff, %al");
  THROUGH_FS("64k-word-over-limit", "movw %fs:0xffff, %ax");
  THROUGH_FS("64k-byte-over-limit", "movb %fs:0x10000, %al");
  segment(AREA, 0xf, SEG_DATA_RW, SEG_32 | SEG_G, 0);
  THROUGH_FS("pages-byte-at-limit", "movb %fs:0xffff, %al");
  THROUGH_FS("pages-byte-over-limit", "movb %fs:0x10000, %al");
  segment(AREA, 0, SEG_DATA_RW, SEG_32, 0);
  THROUGH_FS("one-byte-segment", "movb %fs:0, %al");
  THROUGH_FS("one-byte-segment-word", "movw %fs:0, %ax");
  /* One page short of 4 GiB; the offset wraps around in the linear address. */
  segment(AREA + 0x2000, 0xffffe, SEG_DATA_RW, SEG_32 | SEG_G, 0);
  THROUGH_FS("4g-byte-at-limit", "movb %fs:0xffffefff, %al");
  THROUGH_FS("4g-byte-over-limit", "movb %fs:0xfffff000, %al");
  THROUGH_FS("4g-dword-over-limit", "movl %fs:0xffffeffd, %eax");
}

static void expand_down(void)
{
  segment(AREA, 0xfff, SEG_DATA_RW_DOWN, SEG_32, 0);
  THROUGH_FS("down-at-limit", "movb %fs:0xfff, %al");
  THROUGH_FS("down-above-limit", "movb %fs:0x1000, %al");
  THROUGH_FS("down-across-limit", "movl %fs:0xffe, %eax");
  THROUGH_FS("down-beyond-64k", "movb %fs:0x10000, %al");
  segment(AREA, 0xfff, SEG_DATA_RW_DOWN, 0, 0);
  THROUGH_FS("down16-last", "movb %fs:0xffff, %al");
  THROUGH_FS("down16-beyond-64k", "movb %fs:0x10000, %al");
  THROUGH_FS("down16-across-64k", "movw %fs:0xffff, %ax");
  segment(AREA, 0, SEG_DATA_RW_DOWN, SEG_32 | SEG_G, 0);
  THROUGH_FS("down-pages-at-limit", "movb %fs:0xfff, %al");
  THROUGH_FS("down-pages-above-limit", "movb %fs:0x1000, %al");
}

static void types(void)
{
  segment(AREA, 0xfff, SEG_DATA_RO, SEG_32, 0);
  THROUGH_FS("readonly-read", "movb %fs:0, %al");
  THROUGH_FS("readonly-write", "movb %al, %fs:0");
  THROUGH_FS("readonly-modify", "orb $0, %fs:0");
  segment(AREA, 0xfff, SEG_CODE_XR, SEG_32, 0);
  THROUGH_FS("code-read", "movb %fs:0, %al");
  THROUGH_FS("code-write", "movb %al, %fs:0");
  TRY(AT "movb %al, %cs:0x01800000");
  report("cs-write");
  TRY(AT "movb %cs:0x01800000, %al");
  report("cs-read");
  segment(AREA, 0xfff, SEG_CODE_XO, SEG_32, 0);
  LOAD("load-execute-only", "fs");
  segment(AREA, 0xfff, SEG_LDT, 0, 0);
  LOAD("load-system-descriptor", "fs");
  segment(AREA, 0xfff, NOT_PRESENT(SEG_DATA_RW), SEG_32, 3);
  LOAD("load-not-present", "fs");
  segment(AREA, 0xfff, NOT_PRESENT(SEG_CODE_XO), SEG_32, 0);
  LOAD("load-not-present-execute-only", "fs");
}

static void null_selectors(void)
{
  for (selector = 0; selector < 4; selector++) {
    LOAD("load-null", "fs");
    TRY("movw selector, %ax\n movw %ax, %fs\n" AT "movb %fs:0x01800000, %al");
    report("read-through-null");
  }
  selector = 0;
  THROUGH_FS("write-through-null", "movb %al, %fs:0x01800000");
  TRY("xorl %eax, %eax\n movw %ax, %es\n movl $0x01800000, %edi\n cld\n" AT "stosb");
  report("stos-through-null");
  TRY("xorl %eax, %eax\n movw %ax, %es\n movl $0x01800000, %edi\n xorl %ecx, %ecx\n" AT "rep stosb");
  report("stos-nothing-through-null");
  /* LEA does not access memory. */
  TRY("xorl %eax, %eax\n movw %ax, %fs\n" AT ".byte 0x64\n leal 4(%eax), %eax");
  report("lea-through-null");
}

static void loading(void)
{
  selector = GDT_ENTRIES * 8;
  LOAD("load-beyond-table", "fs");
  /* After reset the LDTR has base 0 and limit 0xffff; only loading a null selector makes it unusable. */
  __asm__ volatile("lldt %w0" : : "r"(0));
  selector = 0x7c;
  LOAD("load-from-absent-ldt", "fs");
  segment(AREA, 0xfff, SEG_DATA_RW, SEG_32, 3);
  LOAD("load-dpl0-rpl3", "fs");
  segment(AREA, 0xfff, SEG_DATA_RW | DPL(3), SEG_32, 3);
  LOAD("load-dpl3-rpl3", "fs");
  segment(AREA, 0xfff, SEG_DATA_RW | DPL(1), SEG_32, 1);
  LOAD("load-dpl1-rpl1", "fs");
  segment(AREA, 0xfff, SEG_DATA_RW | DPL(1), SEG_32, 2);
  LOAD("load-dpl1-rpl2", "fs");
  segment(AREA, 0xfff, SEG_CODE_XR, SEG_32, 3);
  LOAD("load-code-dpl0-rpl3", "fs");
  segment(AREA, 0xfff, SEG_CODE_XR_CONFORMING, SEG_32, 3);
  LOAD("load-conforming-dpl0-rpl3", "fs");
  segment(AREA, 0xfff, SEG_DATA_RW, SEG_32, 0);
  TRY_USER("movw selector, %ax\n" AT "movw %ax, %es");
  report("user-load-dpl0");
  segment(AREA, 0xfff, SEG_DATA_RW | DPL(3), SEG_32, 0);
  TRY_USER("movw selector, %ax\n" AT "movw %ax, %es\n xorl %eax, %eax");
  report("user-load-dpl3");
  TRY(AT ".byte 0x8e, 0xc8");
  report("mov-to-cs");
  TRY(AT ".byte 0x8e, 0xf0");
  report("mov-to-segment-6");
  TRY(AT ".byte 0x8c, 0xf8");
  report("mov-from-segment-7");
}

static void stack_segment(void)
{
  selector = 0;
  LOAD("ss-null", "ss");
  segment(0, 0xfffff, SEG_DATA_RW, SEG_32 | SEG_G, 3);
  LOAD("ss-rpl3", "ss");
  segment(0, 0xfffff, SEG_DATA_RW | DPL(3), SEG_32 | SEG_G, 0);
  LOAD("ss-dpl3", "ss");
  segment(0, 0xfffff, SEG_DATA_RO, SEG_32 | SEG_G, 0);
  LOAD("ss-readonly", "ss");
  segment(0, 0xfffff, SEG_CODE_XR, SEG_32 | SEG_G, 0);
  LOAD("ss-code", "ss");
  segment(0, 0xfffff, NOT_PRESENT(SEG_DATA_RW), SEG_32 | SEG_G, 0);
  LOAD("ss-not-present", "ss");
  selector = GDT_ENTRIES * 8;
  LOAD("ss-beyond-table", "ss");
  TRY_USER("xorl %eax, %eax\n" AT "movw %ax, %ss");
  report("user-ss-null");
  TRY_USER("movl $0x10, %eax\n" AT "movw %ax, %ss");
  report("user-ss-dpl0");
}

/* Stack accesses are tried in ring 3, where the handler has a sound stack. */
#define ON_STACK(name, text)                                                                       \
  TRY_USER("movw selector, %ax\n movw %ax, %ss\n" text);                                           \
  report(name)

static void stack_limits(void)
{
  segment(AREA, 0xfff, SEG_DATA_RW | DPL(3), SEG_32, 3);
  ON_STACK("push-in-limit", "movl $0x1000, %esp\n" AT "pushl %eax\n xorl %eax, %eax");
  ON_STACK("push-over-limit", "movl $0x1001, %esp\n" AT "pushl %eax");
  ON_STACK("push-wrapping", "movl $0, %esp\n" AT "pushl %eax");
  ON_STACK("pop-over-limit", "movl $0xffd, %esp\n" AT "popl %eax");
  ON_STACK("ebp-over-limit", "movl $0xffe, %ebp\n" AT "movl (%ebp), %eax");
  ON_STACK("ss-override-over-limit", AT "movl %ss:0x1000, %eax");
  ON_STACK("ds-override-of-ebp", "movl $0x01800000, %ebp\n" AT "movl %ds:(%ebp), %eax\n xorl %eax, %eax");
  ON_STACK("enter-over-limit", "movl $8, %esp\n" AT "enter $16, $0\n pushl %eax\n xorl %eax, %eax");
  segment(AREA, 0xfff, SEG_DATA_RW_DOWN | DPL(3), SEG_32, 3);
  ON_STACK("down-push-above", "movl $0x1004, %esp\n" AT "pushl %eax\n xorl %eax, %eax");
  ON_STACK("down-push-at-limit", "movl $0x1003, %esp\n" AT "pushl %eax");
  /* A 16-bit stack segment: SP wraps and the upper half of ESP stays. */
  segment(AREA, 0xffff, SEG_DATA_RW | DPL(3), 0, 3);
  memset(area + 0xfff0, 0, 16);
  ON_STACK("sp16-push-wraps", "movl $0x12340000, %esp\n movl $0xcafe, %eax\n pushl %eax\n movl %esp, %eax");
  print("ok sp16-stored %x\n", *(u32 *)(area + 0xfffc));
  ON_STACK("sp16-pop-wraps", "movl $0x1234fffc, %esp\n popl %eax\n movl %esp, %eax");
  ON_STACK("sp16-push-odd", "movl $0x12340001, %esp\n" AT "pushl %eax");
}

static u8 access_byte(void) { return (u8)(gdt[SPARE(0) / 8] >> 40); }

static void accessed_bit(void)
{
  segment(AREA, 0xfff, SEG_DATA_RW, SEG_32, 0);
  u32 limit;
  __asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(selector));
  print("ok accessed-after-lsl %02x\n", access_byte());
  LOAD("accessed-load", "fs");
  print("ok accessed-after-load %02x\n", access_byte());
  segment(AREA, 0xfff, SEG_DATA_RW, SEG_32, 3);
  LOAD("accessed-refused-load", "fs");
  print("ok accessed-after-refused-load %02x\n", access_byte());
  /* A descriptor is read when the register is loaded, not when it is used. */
  segment(AREA, 0xfff, SEG_DATA_RW, SEG_32, 0);
  TRY("movw selector, %ax\n movw %ax, %fs\n movl $0, gdt + 0x44\n" AT "movl %fs:0x10, %eax");
  report("cached-descriptor");
}

/* The segment half is loaded before the register is written, so a refused LFS leaves it alone. */
static void far_pointers(void)
{
  segment(AREA, 0xfff, SEG_DATA_RW, SEG_32, 3);
  *(u32 *)area = 0x55;
  *(u16 *)(area + 4) = (u16)selector;
  TRY("movl $0x77, %ebx\n" AT "lfs 0x01800000, %ebx");
  report("lfs-refused");
  print("ok lfs-refused-ebx %x\n", fault.frame.ebx);
  TRY("pushl $0x43\n" AT "popl %fs");
  report("pop-fs-refused");
  *(u16 *)(area + 4) = 0x43;
  segment(AREA, 3, SEG_DATA_RW, SEG_32, 0);
  TRY("movw selector, %ax\n movw %ax, %es\n" AT "lfs %es:0, %ebx");
  report("lfs-operand-over-limit");
}

void test_main(void)
{
  limits();
  expand_down();
  types();
  null_selectors();
  loading();
  stack_segment();
  stack_limits();
  accessed_bit();
  far_pointers();
}
