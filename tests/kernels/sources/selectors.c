/* Instructions that ask about descriptors, and the two system table registers (SDM vol. 2: LAR, LSL, VERR, ARPL, LLDT, LTR). */
#include "lib.h"

u32 selector;
u32 answer, flags;

static void segment(u32 base, u32 limit, u8 access, u8 size, int rpl)
{
  selector = set_spare(0, segment_descriptor(base, limit, access, size), rpl);
}

/* Each runs in ring 0 and in ring 3, with the destination holding a known value before. */
#define ASK(text) "movl $0x5a5a5a5a, %eax\n movl selector, %ecx\n" text "\n pushfl\n popl flags\n movl %eax, answer"
/* Bits 19..16 of what LAR answers are undefined. */
#define LAR_MASK "\n jnz 4f\n andl $0xfff0ffff, %eax\n 4:"
#define ASK_BOTH(name, text)                                                                       \
  do {                                                                                             \
    TRY(ASK(text));                                                                                \
    u32 answer0_ = answer, zero0_ = flags & EFLAGS_ZF;                                             \
    TRY_USER(ASK(text));                                                                           \
    print("ok %s cpl0=%x%s cpl3=%x%s\n", name, answer0_, zero0_ ? ",zf" : "", answer, flags & EFLAGS_ZF ? ",zf" : ""); \
  } while (0)

static void ask_all(const char *name)
{
  print("ok about %s\n", name);
  ASK_BOTH("lar", "larl %ecx, %eax\n pushfl" LAR_MASK "\n popfl");
  ASK_BOTH("lsl", "lsll %ecx, %eax");
  ASK_BOTH("lar16", "larw %cx, %ax");
  ASK_BOTH("lsl16", "lslw %cx, %ax");
  ASK_BOTH("verr", "verr %cx");
  ASK_BOTH("verw", "verw %cx");
}

static void questions(void)
{
  segment(0x12345678, 0xabcde, SEG_DATA_RW, SEG_32, 0);
  ask_all("data-dpl0");
  segment(0x12345678, 0xabcde, SEG_DATA_RO | DPL(3), SEG_G | 1, 3);
  ask_all("readonly-dpl3-pages-avl");
  segment(0, 0xfff, SEG_DATA_RW_DOWN | DPL(3), SEG_32, 0);
  ask_all("expand-down-dpl3");
  segment(0, 0xfff, SEG_DATA_RW, SEG_32, 3);
  ask_all("data-dpl0-rpl3");
  segment(0, 0xfff, SEG_CODE_XR, SEG_32, 0);
  ask_all("code-dpl0");
  segment(0, 0xfff, SEG_CODE_XO | DPL(3), SEG_32, 3);
  ask_all("execute-only-dpl3");
  segment(0, 0xfff, SEG_CODE_XR_CONFORMING, SEG_32, 3);
  ask_all("conforming-dpl0-rpl3");
  segment(0, 0xfff, NOT_PRESENT(SEG_DATA_RW | DPL(3)), SEG_32, 3);
  ask_all("not-present-dpl3");
  segment(0, 0xfff, SEG_LDT | DPL(3), 0, 3);
  ask_all("ldt-dpl3");
  segment(0, 0x67, SEG_TSS32 | DPL(3), 0, 3);
  ask_all("tss-dpl3");
  segment(0, 0x2b, 0x81 | DPL(3), 0, 3);
  ask_all("tss16-dpl3");
  selector = set_spare(0, gate_descriptor(KERNEL_CS, 0, GATE_CALL32 | DPL(3), 3), 3);
  ask_all("call-gate-dpl3");
  selector = set_spare(0, gate_descriptor(KERNEL_CS, 0, 0x84 | DPL(3), 3), 3);
  ask_all("call-gate16-dpl3");
  selector = set_spare(0, gate_descriptor(TSS_SELECTOR, 0, 0x85 | DPL(3), 0), 3);
  ask_all("task-gate-dpl3");
  selector = set_spare(0, gate_descriptor(KERNEL_CS, 0, GATE_INT32 | DPL(3), 0), 3);
  ask_all("interrupt-gate-dpl3");
  selector = set_spare(0, 0, 0);
  ask_all("empty-descriptor");
  selector = 0;
  ask_all("null");
  selector = 3;
  ask_all("null-rpl3");
  selector = GDT_ENTRIES * 8;
  ask_all("beyond-table");
  /* A memory operand is read as a word and may fault. */
  TRY("xorl %eax, %eax\n movw %ax, %fs\n" AT "lsll %fs:0, %eax");
  report("lsl-memory-fault");
}

static void arpl(void)
{
  static const u16 pairs[][2] = {{0x40, 0x43}, {0x43, 0x40}, {0x41, 0x41}, {0x0, 0x2}};
  for (u32 i = 0; i < COUNT(pairs); i++) {
    u32 to = 0xffff0000u | pairs[i][0], from = pairs[i][1];
    u8 zero;
    __asm__ volatile("arpl %w2, %w0\n setz %1" : "+r"(to), "=q"(zero) : "r"(from) : "cc");
    print("ok arpl %x,%x gives %x zf=%u\n", pairs[i][0], pairs[i][1], to, zero);
  }
}

#define LOAD(name, instruction)                                                                    \
  TRY("movl selector, %eax\n" AT instruction " %ax");                                              \
  report(name)

static void local_table(void)
{
  static u64 ldt[4];
  u32 value = 0xffffffff;
  ldt[1] = segment_descriptor(0x01800000, 0xf, SEG_DATA_RW, SEG_32);
  segment((u32)ldt, sizeof ldt - 1, SEG_LDT, 0, 0);
  LOAD("lldt", "lldt");
  __asm__("sldt %0" : "=r"(value));
  print("ok sldt %x\n", value & 0xffff);
  *(u32 *)0x0180000c = 0x600df00d;
  TRY("movl $0x0c, %eax\n movw %ax, %fs\n" AT "movl %fs:0xc, %eax\n movl %eax, answer");
  report("ldt-segment");
  print("ok ldt-segment-value %x\n", answer);
  TRY("movl $0x24, %eax\n" AT "movw %ax, %fs");
  report("ldt-beyond-limit");
  TRY("movl $0x04, %eax\n" AT "movw %ax, %fs");
  report("ldt-entry-0");
  selector = 0x0c;
  LOAD("lldt-from-ldt", "lldt");
  selector = KERNEL_DS;
  LOAD("lldt-data", "lldt");
  segment((u32)ldt, sizeof ldt - 1, NOT_PRESENT(SEG_LDT), 0, 0);
  LOAD("lldt-not-present", "lldt");
  selector = GDT_ENTRIES * 8;
  LOAD("lldt-beyond-table", "lldt");
  __asm__("sldt %0" : "=r"(value));
  print("ok sldt-unchanged %x\n", value & 0xffff);
  selector = 0;
  LOAD("lldt-null", "lldt");
  TRY("movl $0x0c, %eax\n" AT "movw %ax, %fs");
  report("ldt-gone");
  selector = 0;
  TRY_USER("movl selector, %eax\n" AT "lldt %ax");
  report("user-lldt");
  TRY_USER("xorl %eax, %eax\n" AT "sldt %eax");
  report("user-sldt");
}

static void task_register(void)
{
  u32 value = 0xffffffff;
  __asm__("str %0" : "=r"(value));
  print("ok str %x\n", value);
  print("ok tss-is-busy %02x\n", (u32)(gdt[TSS_SELECTOR / 8] >> 40) & 0xff);
  selector = TSS_SELECTOR;
  LOAD("ltr-busy", "ltr");
  selector = KERNEL_DS;
  LOAD("ltr-data", "ltr");
  segment(0, 0x67, NOT_PRESENT(SEG_TSS32), 0, 0);
  LOAD("ltr-not-present", "ltr");
  selector = 0x44;
  LOAD("ltr-from-ldt", "ltr");
  selector = TSS_SELECTOR;
  TRY_USER("movl selector, %eax\n" AT "ltr %ax");
  report("user-ltr");
  TRY_USER("xorl %eax, %eax\n" AT "str %eax");
  report("user-str");
}

static void tables(void)
{
  struct {
    u16 limit;
    u32 base;
    u16 beyond;
  } __attribute__((packed)) stored = {0, 0, 0x7777};
  __asm__ volatile("sgdt %0" : "=m"(stored));
  print("ok sgdt %x %s beyond=%x\n", stored.limit, stored.base == (u32)gdt ? "base" : "other", stored.beyond);
  __asm__ volatile("sidt %0" : "=m"(stored));
  print("ok sidt %x %s\n", stored.limit, stored.base == (u32)idt ? "base" : "other");
  TRY_USER(AT "sidt 0x01800000\n xorl %eax, %eax");
  report("user-sidt");
  TRY_USER(AT "lgdt 0x01800000");
  report("user-lgdt");
  TRY_USER(AT "lidt 0x01800000");
  report("user-lidt");
  TRY(AT ".byte 0x0f, 0x01, 0xd7");
  report("lgdt-register-form");
}

void test_main(void)
{
  questions();
  arpl();
  local_table();
  task_register();
  tables();
}
