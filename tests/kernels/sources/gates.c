/* Call gates, interrupt and trap gates, the stack switch through the TSS, double faults (SDM vol. 3, 5.8.3, 6.12, 6.15). */
#include "lib.h"

#define AREA 0x01800000u

/* What an entry point saw: the stack as it was, from ESP up. */
u32 seen[16], seen_esp, seen_ss, seen_cs, seen_eflags;

#define RECORD                                                                                     \
  "movl %esp, seen_esp\n movw %ss, seen_ss\n movw %cs, seen_cs\n pushfl\n popl seen_eflags\n"      \
  "pushl %eax\n pushl %ecx\n movl $0, %ecx\n"                                                      \
  "5: movl 8(%esp,%ecx,4), %eax\n movl %eax, seen(,%ecx,4)\n incl %ecx\n cmpl $16, %ecx\n jb 5b\n"  \
  "popl %ecx\n popl %eax\n"

void gate_return(void), gate_return_8(void), interrupt_return(void);
__asm__("gate_return:\n" RECORD "lretl\n"
        "gate_return_8:\n" RECORD "lretl $8\n"
        "interrupt_return:\n" RECORD "iretl\n");

struct far_pointer {
  u32 offset;
  u16 selector;
} __attribute__((packed));
struct far_pointer target;

static void gate(u64 descriptor, int rpl)
{
  memset(seen, 0, sizeof seen);
  seen_esp = 0;
  target.selector = set_spare(0, descriptor, rpl);
  target.offset = 0xdeadbeef; /* ignored through a gate */
}

#define CALL(name) \
  TRY(AT "lcall *target"); \
  report(name)
#define USER_CALL(name) \
  TRY_USER(AT "lcall *target\n movl %esp, %eax\n subl $user_stack + 8192, %eax"); \
  report(name)

static void call_gates(void)
{
  u32 entry = (u32)gate_return;
  gate(gate_descriptor(KERNEL_CS, entry, GATE_CALL32, 0), 0);
  CALL("gate-same-ring");
  print("ok gate-same-ring cs=%x return-cs=%x\n", seen_cs, seen[1] & 0xffff);
  gate(gate_descriptor(KERNEL_CS | 3, entry, GATE_CALL32 | DPL(3), 0), 3);
  USER_CALL("gate-to-ring0");
  print("ok gate-to-ring0 cs=%x ss=%x esp-below-top=%x return-cs=%x old-ss=%x old-esp-below-top=%x\n", seen_cs, seen_ss,
        tss.esp0 - seen_esp, seen[1] & 0xffff, seen[3] & 0xffff, USER_STACK_TOP - seen[2]);
  gate(gate_descriptor(KERNEL_CS, (u32)gate_return_8, GATE_CALL32 | DPL(3), 2), 3);
  TRY_USER("pushl $0x22222222\n pushl $0x11111111\n" AT "lcall *target\n movl %esp, %eax\n subl $user_stack + 8192, %eax");
  report("gate-parameters");
  print("ok gate-parameters esp-below-top=%x %x %x old-ss=%x\n", tss.esp0 - seen_esp, seen[2], seen[3], seen[5] & 0xffff);
  gate(gate_descriptor(KERNEL_CS, entry, GATE_CALL32 | DPL(2), 0), 3);
  USER_CALL("gate-dpl-below-cpl");
  gate(gate_descriptor(KERNEL_CS, entry, GATE_CALL32, 0), 3);
  CALL("gate-dpl-below-rpl");
  gate(gate_descriptor(KERNEL_CS, entry, NOT_PRESENT(GATE_CALL32 | DPL(3)), 0), 3);
  USER_CALL("gate-not-present");
  gate(gate_descriptor(0, entry, GATE_CALL32 | DPL(3), 0), 3);
  USER_CALL("gate-to-null");
  gate(gate_descriptor(KERNEL_DS, entry, GATE_CALL32 | DPL(3), 0), 3);
  USER_CALL("gate-to-data");
  gate(gate_descriptor(USER_CS, entry, GATE_CALL32, 0), 0);
  CALL("gate-to-outer-ring");
  set_spare(1, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_CODE_XR), SEG_G | SEG_32), 0);
  gate(gate_descriptor(SPARE(1), entry, GATE_CALL32 | DPL(3), 0), 3);
  USER_CALL("gate-to-not-present");
  set_spare(1, segment_descriptor(0, 0xfff, SEG_CODE_XR, SEG_32), 0);
  gate(gate_descriptor(SPARE(1), entry, GATE_CALL32 | DPL(3), 0), 3);
  USER_CALL("gate-over-limit");
  set_spare(1, segment_descriptor(0, 0xfffff, SEG_CODE_XR_CONFORMING, SEG_G | SEG_32), 0);
  gate(gate_descriptor(SPARE(1), entry, GATE_CALL32 | DPL(3), 0), 3);
  USER_CALL("gate-to-conforming");
  print("ok gate-to-conforming cs=%x ss=%x\n", seen_cs, seen_ss);
  gate(gate_descriptor(KERNEL_CS, entry, GATE_CALL32 | DPL(3), 0), 3);
  TRY_USER(AT "ljmp *target");
  report("gate-jump-to-inner-ring");
}

/* The stack that the TSS names is checked before anything is pushed. */
static void stack_switch_faults(void)
{
  gate(gate_descriptor(KERNEL_CS | 1, (u32)gate_return, GATE_CALL32 | DPL(3), 0), 3);
  set_spare(1, segment_descriptor(0, 0xfffff, SEG_CODE_XR | DPL(1), SEG_G | SEG_32), 0);
  gdt[target.selector / 8] = gate_descriptor(SPARE(1), (u32)gate_return, GATE_CALL32 | DPL(3), 0);
  tss.esp1 = AREA + 0x2000;
  tss.ss1 = 0;
  USER_CALL("inner-stack-null");
  tss.ss1 = KERNEL_DS;
  USER_CALL("inner-stack-rpl");
  tss.ss1 = set_spare(2, segment_descriptor(0, 0xfffff, SEG_DATA_RW, SEG_G | SEG_32), 1);
  USER_CALL("inner-stack-dpl");
  tss.ss1 = set_spare(2, segment_descriptor(0, 0xfffff, SEG_DATA_RO | DPL(1), SEG_G | SEG_32), 1);
  USER_CALL("inner-stack-readonly");
  tss.ss1 = set_spare(2, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_DATA_RW | DPL(1)), SEG_G | SEG_32), 1);
  USER_CALL("inner-stack-not-present");
  tss.ss1 = GDT_ENTRIES * 8 + 1;
  USER_CALL("inner-stack-beyond-table");
  tss.ss1 = set_spare(2, segment_descriptor(AREA, 0xfff, SEG_DATA_RW | DPL(1), SEG_32), 1);
  tss.esp1 = 8;
  USER_CALL("inner-stack-too-small");
  tss.ss1 = set_spare(2, segment_descriptor(0, 0xfffff, SEG_DATA_RW | DPL(1), SEG_G | SEG_32), 1);
  tss.esp1 = AREA + 0x2000;
  USER_CALL("inner-stack-ring1");
  print("ok inner-stack-ring1 cs=%x ss=%x esp=%x\n", seen_cs, seen_ss, seen_esp);
  load_tss(0x0b);
  USER_CALL("inner-stack-beyond-tss");
  load_tss(sizeof tss - 1);
}

static void interrupt_gates(void)
{
  memset(seen, 0, sizeof seen);
  set_idt_gate(0x40, gate_descriptor(KERNEL_CS, (u32)interrupt_return, GATE_INT32 | DPL(3), 0));
  set_idt_gate(0x41, gate_descriptor(KERNEL_CS, (u32)interrupt_return, GATE_TRAP32 | DPL(3), 0));
  set_idt_gate(0x42, gate_descriptor(KERNEL_CS, (u32)interrupt_return, GATE_INT32, 0));
  set_idt_gate(0x43, gate_descriptor(KERNEL_CS, (u32)interrupt_return, NOT_PRESENT(GATE_INT32 | DPL(3)), 0));
  set_idt_gate(0x44, gate_descriptor(KERNEL_CS, (u32)interrupt_return, GATE_CALL32 | DPL(3), 0));
  set_idt_gate(0x45, gate_descriptor(0, (u32)interrupt_return, GATE_INT32 | DPL(3), 0));
  set_idt_gate(0x46, gate_descriptor(KERNEL_DS, (u32)interrupt_return, GATE_INT32 | DPL(3), 0));
  set_spare(1, segment_descriptor(0, 0xfffff, SEG_CODE_XR_CONFORMING, SEG_G | SEG_32), 0);
  set_idt_gate(0x47, gate_descriptor(SPARE(1), (u32)interrupt_return, GATE_INT32 | DPL(3), 0));
  TRY("sti\n int $0x40\n cli");
  print("ok int-gate-if %x saved=%x\n", seen_eflags & EFLAGS_IF, seen[2] & EFLAGS_IF);
  TRY("sti\n int $0x41\n cli");
  print("ok trap-gate-if %x saved=%x\n", seen_eflags & EFLAGS_IF, seen[2] & EFLAGS_IF);
  TRY_USER_FLAGS(EFLAGS_IF, "stc\n int $0x40\n pushfl\n popl %eax\n andl $0x201, %eax");
  report("int-from-ring3");
  print("ok int-from-ring3 cs=%x ss=%x esp-below-top=%x return-cs=%x flags=%x old-esp-below-top=%x old-ss=%x\n", seen_cs, seen_ss,
        tss.esp0 - seen_esp, seen[1] & 0xffff, seen[2], USER_STACK_TOP - seen[3], seen[4] & 0xffff);
  TRY_USER(AT "int $0x42");
  report("int-dpl0-from-ring3");
  TRY(AT "int $0x42");
  report("int-dpl0-from-ring0");
  TRY_USER(AT "int $0x0d");
  report("int-13-from-ring3");
  TRY(AT "int $0x43");
  report("int-not-present");
  TRY(AT "int $0x44");
  report("int-call-gate");
  TRY(AT "int $0x45");
  report("int-to-null");
  TRY(AT "int $0x46");
  report("int-to-data");
  TRY_USER(AT "int $0x47\n xorl %eax, %eax");
  report("int-to-conforming");
  print("ok int-to-conforming cs=%x ss=%x\n", seen_cs, seen_ss);
  /* TF is cleared on the way in, and NT, RF and VM as well. */
  TRY("pushl $0x4002\n popfl\n int $0x41\n pushl $2\n popfl");
  print("ok int-clears-nt entry=%x\n", seen_eflags & EFLAGS_NT);
}

/* A fault whose own gate cannot be used becomes a double fault: vector 8, error code 0. */
static void double_faults(void)
{
  u64 general = idt[13], segment = idt[11];
  set_idt_gate(13, gate_descriptor(KERNEL_CS, vector_entry(13), NOT_PRESENT(GATE_INT32), 0));
  TRY("movl $0x7f8, %eax\n" AT "movw %ax, %fs");
  report("double-gp-np");
  /* A #UD is benign: a #NP while it is delivered is a plain #NP, error code with IDT and EXT bits. */
  u64 invalid = idt[6];
  set_idt_gate(6, gate_descriptor(KERNEL_CS, vector_entry(6), NOT_PRESENT(GATE_INT32), 0));
  TRY(AT "ud2");
  report("ud-np");
  set_idt_gate(6, invalid);
  set_idt_gate(13, general);
  set_idt_gate(11, gate_descriptor(KERNEL_DS, vector_entry(11), GATE_INT32, 0));
  set_spare(3, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_DATA_RW), SEG_32), 0);
  TRY("movl $0x58, %eax\n" AT "movw %ax, %fs");
  report("double-np-gp");
  set_idt_gate(11, segment);
  /* #DE is contributory as well. */
  u64 divide = idt[0];
  set_idt_gate(0, gate_descriptor(0, vector_entry(0), GATE_INT32, 0));
  TRY("xorl %ecx, %ecx\n" AT "divl %ecx");
  report("double-de-gp");
  set_idt_gate(0, divide);
  /* A software interrupt is benign. */
  set_idt_gate(0x43, gate_descriptor(KERNEL_DS, 0, GATE_INT32, 0));
  TRY(AT "int $0x43");
  report("int-gp");
}

static void page_fault_doubles(void)
{
  paging_on();
  map_page(0x40000000, 0, 0);
  u64 page = idt[14];
  set_idt_gate(14, gate_descriptor(KERNEL_CS, vector_entry(14), NOT_PRESENT(GATE_INT32), 0));
  TRY(AT "movl 0x40000000, %eax");
  report("double-pf-np");
  set_idt_gate(14, page);
  paging_off();
}

void test_main(void)
{
  call_gates();
  stack_switch_faults();
  interrupt_gates();
  double_faults();
  page_fault_doubles();
}
