/* Real-address mode (SDM vol. 3, chapter 20; 9.9.2): the vector table, limits, segments that stay large, what is undefined. */
#include "lib.h"

/* Low memory: where the pieces lie. The stack of the tests has 64 KiB of its own. */
#define SNIPPET 0x9000u
#define STACK_SEGMENT 0x3000u
#define STACK (STACK_SEGMENT * 16)
#define AREA_SEGMENT 0x5000u
#define AREA (AREA_SEGMENT * 16)

/* The shuttle between the modes, copied to 0x8000, and what it leaves behind. Its layout is known to the assembly. */
struct results {
  u32 esp;                  /* 8500: ESP of the caller */
  u16 happened, vector;     /* 8504 */
  u16 ip, cs, flags, sp;    /* 8508: as pushed, and SP behind them */
  u32 eax, ebx, ecx, edx, esi, edi, ebp, eflags; /* 8510 */
  u16 idt_limit;            /* 8530 */
  u32 idt_base;
  u16 flat_data;            /* 8536: the selector that DS and ES hold when protected mode is left */
} __attribute__((packed));
#define RESULTS ((volatile struct results *)0x8500)
void real_enter(void);
extern u8 shuttle[], shuttle_end[];

/* 32 vector entries of 4 bytes lie at 8600h; each calls the common end. */
__asm__(
  ".globl real_enter\n"
  "real_enter: pushal\n movl %esp, 0x8500\n"
  "movw 0x8536, %ax\n movw %ax, %ds\n movw %ax, %es\n movw %ax, %fs\n movw %ax, %gs\n"
  "movw $0x50, %ax\n movw %ax, %ss\n ljmp $0x48, $0x8000\n"
  "real_back: movw $0x10, %ax\n movw %ax, %ds\n movw %ax, %es\n movw %ax, %fs\n movw %ax, %gs\n movw %ax, %ss\n"
  "movl 0x8500, %esp\n popal\n ret\n"
  ".globl shuttle\n"
  "shuttle: .code16\n"
  "movl %cr0, %eax\n andb $0xfe, %al\n movl %eax, %cr0\n ljmp $0, $0x8000 + (5f - shuttle)\n"
  "5: movw $0x3000, %ax\n movw %ax, %ss\n xorl %esp, %esp\n xorw %ax, %ax\n"
  "cmpw $0x10, %cs:0x8536\n je 6f\n movw %ax, %ds\n movw %ax, %es\n movw %ax, %fs\n movw %ax, %gs\n"
  "6: lidtl %cs:0x8530\n pushl $0\n popfl\n xorl %ecx, %ecx\n xorl %edx, %edx\n xorl %esi, %esi\n xorl %edi, %edi\n xorl %ebp, %ebp\n xorl %ebx, %ebx\n xorl %eax, %eax\n"
  "movw $0x9000, %bp\n call *%bp\n jmp 7f\n"
  ".org shuttle + 0x100\n"
  "7: pushfl\n popl %cs:0x852c\n jmp 8f\n"
  /* A vector: what it pushed, and away. */
  ".org shuttle + 0x140\n"
  "9: popw %cs:0x8506\n popw %cs:0x8508\n popw %cs:0x850a\n popw %cs:0x850c\n movw %sp, %cs:0x850e\n"
  "movw $1, %cs:0x8504\n pushfl\n popl %cs:0x852c\n"
  "8: movl %eax, %cs:0x8510\n movl %ebx, %cs:0x8514\n movl %ecx, %cs:0x8518\n movl %edx, %cs:0x851c\n"
  "movl %esi, %cs:0x8520\n movl %edi, %cs:0x8524\n movl %ebp, %cs:0x8528\n"
  "cli\n cld\n movl %cr0, %eax\n orb $1, %al\n movl %eax, %cr0\n ljmpl $0x08, $real_back\n"
  ".code32\n"
  "shuttle_end:");

static u8 saved_vectors[0x400];
static u16 idt_limit;
static u32 idt_base;

static void vector(u32 n, u16 cs, u16 ip) { ((volatile u16 *)idt_base)[2 * n] = ip, ((volatile u16 *)idt_base)[2 * n + 1] = cs; }

static void prepare(void)
{
  idt_limit = 0x3ff;
  idt_base = 0;
  for (u32 i = 0; i < 64; i++) {
    u8 *entry = (u8 *)0x8600 + 4 * i;
    entry[0] = 0xe8; /* call 0x8140 */
    *(u16 *)(entry + 1) = (u16)(0x8140 - (0x8600 + 4 * i + 3));
    vector(i, 0, (u16)(0x8600 + 4 * i));
  }
  RESULTS->flat_data = 0x50;
}

static void run(u32 from, u32 to)
{
  struct { u16 limit; u32 base; } __attribute__((packed)) idtr;
  __asm__ volatile("sidt %0" : "=m"(idtr));
  memcpy((void *)SNIPPET, (void *)from, to - from);
  RESULTS->happened = 0;
  RESULTS->idt_limit = idt_limit;
  RESULTS->idt_base = idt_base;
  real_enter();
  __asm__ volatile("lidt %0\n clts" : : "m"(idtr));
}

/* Code that runs in real mode at 0:9000 with SS:SP = 3000:FFFE and other registers 0; it ends with a near return. */
u32 real_from, real_to, real_at;
#define REAL(text)                                                                                                     \
  do {                                                                                                                 \
    __asm__("movl $2f, real_from\n movl $3f, real_to\n movl $0, real_at\n jmp 3f\n 2: .code16\n"                                  \
            text "\n ret\n .code32\n 3:");                                                                             \
    run(real_from, real_to);                                                                                     \
  } while (0)
/* The same with the label 4: before the instruction that is to fault. */
#define REAL_AT(text)                                                                                                  \
  do {                                                                                                                 \
    __asm__("movl $2f, real_from\n movl $3f, real_to\n movl $4f, real_at\n jmp 3f\n 2: .code16\n"                                 \
            text "\n ret\n .code32\n 3:");                                                                             \
    run(real_from, real_to);                                                                                     \
  } while (0)

static void outcome(const char *name)
{
  if (!RESULTS->happened) {
    print("ok %s none\n", name);
    return;
  }
  print("ok %s vector=%u", name, (RESULTS->vector - 0x8603u) / 4);
  if (real_at != 0) {
    u32 at = SNIPPET + real_at - real_from;
    if (RESULTS->ip == at) print(" ip=exact");
    else print(" ip=%x", RESULTS->ip - at);
  }
  print("\n");
}

static void interrupts(void)
{
  REAL_AT("movb $0, %bl\n 4: divb %bl");
  outcome("divide");
  REAL_AT("4: ud2");
  outcome("ud2");
  REAL_AT("4: int3");
  outcome("int3");
  REAL_AT("movb $0x7f, %al\n addb $1, %al\n 4: into");
  outcome("into");
  REAL_AT("movw $0x6000, %bx\n movl $0x00020001, (%bx)\n 4: boundw %ax, (%bx)");
  outcome("bound");
  REAL_AT("4: int $0x21");
  outcome("int");
  print("ok int flags=%x sp=%x cs=%x\n", RESULTS->flags & 0xfd7, RESULTS->sp, RESULTS->cs);
  /* IF and TF go away within, and come back by IRET; CF and what the handler set do as it says. */
  REAL("movw $0x9000 + (5f - 2b), 4 * 0x22\n sti\n stc\n int $0x22\n pushfw\n popw %bx\n jmp 6f\n"
       "5: pushfw\n popw %cx\n clc\n iretw\n 6: cli");
  print("ok int-iret inside=%x after=%x\n", RESULTS->ecx & 0x301, RESULTS->ebx & 0x301);
  prepare();
  /* Beyond the limit of the table: #GP, with its own entry within the limit. */
  idt_limit = 4 * 0x20 + 3;
  REAL_AT("4: int $0x20");
  outcome("int-last-of-table");
  REAL_AT("4: int $0x21");
  outcome("int-beyond-table");
  idt_limit = 4 * 0x21 + 2;
  REAL_AT("4: int $0x21");
  outcome("int-cut-by-table");
  idt_limit = 0x3ff;
  /* The table elsewhere. */
  memcpy((void *)0x7000, (void *)0, 0x100);
  idt_base = 0x7000;
  vector(0x21, 0, 0x8600 + 4 * 0x31);
  REAL_AT("4: int $0x21");
  outcome("int-table-moved");
  prepare();
  /* The 32-bit forms. */
  REAL("pushl $0x00254a03\n pushl $0\n pushl $0x9000 + (5f - 2b)\n iretl\n 5: pushfl\n popl %ebx\n pushl $2\n popfl");
  print("ok iretl flags=%x\n", RESULTS->ebx & 0x3ffeff);
  REAL("pushl $0x00257ed7\n popfl\n pushfl\n popl %ebx\n pushl $2\n popfl");
  print("ok popfl flags=%x\n", RESULTS->ebx & 0x3ffeff);
  REAL("pushw $0x7ed7\n popfw\n pushfw\n popw %bx\n pushw $2\n popfw");
  print("ok popfw flags=%x\n", RESULTS->ebx & 0xffff);
}

static void limits(void)
{
  REAL_AT("movw $0xffff, %bx\n 4: movw (%bx), %ax");
  outcome("word-over-limit");
  REAL_AT("movw $0xfffd, %bx\n 4: movl %eax, (%bx)");
  outcome("doubleword-over-limit");
  REAL_AT("movw $0xffff, %bx\n 4: movb (%bx), %al");
  outcome("last-byte");
  REAL_AT("movl $0x10000, %ebx\n 4: movb (%ebx), %al");
  outcome("beyond-limit");
  REAL_AT("movw $0xffff, %bp\n 4: movw (%bp), %ax");
  outcome("stack-over-limit");
  REAL_AT("movw $0xffff, %bx\n 4: movw %cs:(%bx), %ax");
  outcome("code-over-limit");
  REAL_AT("4: ljmpl $0, $0x10000");
  outcome("jump-beyond-limit");
  REAL_AT("pushl $0\n pushl $0x10000\n 4: lretl");
  outcome("return-beyond-limit");
  *(u16 *)0x12345 = 0x0b0f; /* UD2, for who gets there */
  REAL_AT("movl $0x12345, %eax\n 4: jmpl *%eax");
  outcome("near-jump-beyond-limit");
  /* Strings wrap within their segments. */
  REAL("movw $0x5000, %ax\n movw %ax, %es\n movw %ax, %ds\n movw $0xfffe, %di\n movw $4, %cx\n movb $0x5a, %al\n rep stosb");
  print("ok string-wrap di=%x %x %x\n", RESULTS->edi, *(u16 *)(AREA + 0xfffe), *(u16 *)AREA);
  /* Addresses wrap at 64 KiB, whatever base and displacement give. */
  REAL("movw $0x5000, %ax\n movw %ax, %ds\n movw $0xf000, %bx\n movw $0x1234, 0x2000(%bx)\n movw 0x1000, %ax");
  print("ok address-wrap %x\n", RESULTS->eax);
  /* The stack wraps from 0 to FFFE; ESP's upper half does not move. */
  REAL("popw %bp\n movl $0x12340000, %esp\n pushw $0x1111\n movl %esp, %ebx\n popw %ax\n movl %esp, %ecx\n movw $0xfffe, %sp\n movzwl %sp, %esp\n pushw %bp");
  print("ok stack-wrap %x %x %x\n", RESULTS->eax, RESULTS->ebx, RESULTS->ecx);
  REAL("movw %sp, %bx\n pushw %sp\n popw %ax\n enter $8, $0\n movw %sp, %cx\n leave\n pusha\n movw %sp, %dx\n popa\n movw %dx, %si");
  print("ok stack push-sp=%u enter=%u\n", (u16)RESULTS->eax == (u16)RESULTS->ebx, (u16)(RESULTS->ebx - RESULTS->ecx));
}

static void segments(void)
{
  REAL("movw $0x5123, %ax\n movw %ax, %fs\n movw $0x4567, %fs:0x89\n movw %fs, %bx\n movw $0xffff, %ax\n movw %ax, %gs\n movw %gs, %cx");
  print("ok load %x %x stored=%x\n", RESULTS->ebx, RESULTS->ecx, *(u16 *)(0x51230 + 0x89));
  REAL("movw $0x6000, %bx\n movl $0x50010002, (%bx)\n ldsw (%bx), %si\n movw %ds, %cx\n lssw %cs:(%bx), %di\n movw %ss, %dx\n movw $0x3000, %ax\n movw %ax, %ss\n movw $0xfffe, %sp");
  print("ok load-far %x:%x %x:%x\n", RESULTS->ecx, RESULTS->esi, RESULTS->edx, RESULTS->edi);
  REAL_AT("4: .byte 0x8e, 0xc8");
  outcome("mov-cs");
  /* Far calls of both sizes: what they push. */
  REAL("movw $0x5000, %ax\n movw %ax, %es\n movb $0xcb, %es:0x123\n lcall $0x5000, $0x123\n movw -4(%bp), %bx\n movw %sp, %bp\n movw -4(%bp), %bx\n movw -2(%bp), %cx\n subw $0x9000, %bx");
  print("ok call-far cs=%x\n", RESULTS->ecx);
  REAL("movw $0x5000, %ax\n movw %ax, %es\n movw $0xcb66, %es:0x123\n movl $0xffffffff, %ecx\n lcalll $0x5000, $0x123\n movw %sp, %bp\n movl -8(%bp), %ebx\n movw -4(%bp), %cx");
  print("ok call-far-32 ip-above=%x cs=%x\n", RESULTS->ebx >> 16, RESULTS->ecx & 0xffff);
  REAL("movw %sp, %bx\n pushw $1\n pushw $2\n pushw $0\n pushw $0x9000 + (5f - 2b)\n lretw $4\n 5: movw %sp, %cx");
  print("ok return-far-release %u\n", (u16)RESULTS->ebx == (u16)RESULTS->ecx);
  /* Limits of protected mode stay, also through loads in real mode. */
  *(u32 *)0x01000100 = 0x13572468;
  RESULTS->flat_data = 0x10;
  REAL_AT("movl $0x01000100, %ebx\n 4: addr32 movl (%ebx), %eax\n xorw %cx, %cx\n movw %cx, %ds\n addr32 movl (%ebx), %edx\n movw $0x10, %cx\n movw %cx, %ds\n addr32 movl -0x100(%ebx), %ecx\n xorw %si, %si\n movw %si, %ds");
  outcome("big-real");
  print("ok big-real %x %x\n", RESULTS->eax, RESULTS->edx);
  RESULTS->flat_data = 0x58;
  REAL_AT("movw $0x1111, %bx\n movb 0xfff, %cl\n 4: movb 0x1000, %al");
  outcome("small-real");
  RESULTS->flat_data = 0x50;
  /* CS may be written. */
  REAL("movw $0x7777, %cs:0x6010\n movw 0x6010, %ax");
  print("ok write-code %x\n", RESULTS->eax);
}

static void undefined(void)
{
#define UNDEFINED(name, text)                                                                                          \
  REAL_AT("movw $0x6000, %bx\n 4: " text);                                                                             \
  outcome(name)
  UNDEFINED("sldt", "sldt %ax");
  UNDEFINED("str", "str %ax");
  UNDEFINED("lldt", "lldt %ax");
  UNDEFINED("ltr", "ltr %ax");
  UNDEFINED("verr", "verr %ax");
  UNDEFINED("verw", "verw %ax");
  UNDEFINED("lar", "larw %ax, %cx");
  UNDEFINED("lsl", "lslw %ax, %cx");
  UNDEFINED("arpl", "arpl %ax, %cx");
  UNDEFINED("lock", ".byte 0xf0\n movw %ax, (%bx)");
  REAL_AT("movl $0x174, %ecx\n movl $8, %eax\n wrmsr\n 4: sysenter");
  outcome("sysenter");
  REAL_AT("4: sysexit");
  outcome("sysexit");
  REAL("smsww %bx\n andw $0xfff0, %bx\n orw $0xe, %bx\n lmsw %bx\n smsww %cx\n andw $0xf, %cx\n lmsw %ax\n smsww %dx\n andw $0xf, %dx");
  outcome("lmsw");
  print("ok lmsw %x %x\n", RESULTS->ecx, RESULTS->edx);
  REAL("movw $0x6000, %bx\n movw $0x1234, (%bx)\n movl $0xabcdef01, 2(%bx)\n sgdtl 0x10(%bx)\n lgdtw (%bx)\n sgdtl 8(%bx)\n lgdtl 0x10(%bx)\n movl 10(%bx), %eax\n movw 8(%bx), %cx");
  print("ok lgdt-16 base=%x limit=%x\n", RESULTS->eax, RESULTS->ecx);
  REAL("movl %cr0, %ebx\n movl %ebx, %cr0\n clts\n rdtsc\n xorl %edx, %edx\n xorl %eax, %eax\n wbinvd");
  outcome("privileged");
}

void test_main(void)
{
  memcpy(saved_vectors, (void *)0, sizeof saved_vectors);
  memcpy((void *)0x8000, shuttle, (u32)(shuttle_end - shuttle));
  gdt[9] = segment_descriptor(0, 0xffff, SEG_CODE_XR, 0);
  gdt[10] = segment_descriptor(0, 0xffff, SEG_DATA_RW, 0);
  gdt[11] = segment_descriptor(0, 0xfff, SEG_DATA_RW, 0);
  prepare();
  interrupts();
  limits();
  segments();
  undefined();
  memcpy((void *)0, saved_vectors, sizeof saved_vectors);
}
