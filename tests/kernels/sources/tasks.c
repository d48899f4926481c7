/* Tasks switched in hardware: calls, jumps, gates, nesting, and what is checked when (SDM vol. 3, chapter 8; 7 in older editions). */
#include "task.h"

#define AREA TASK_AREA

static void calls(void)
{
  prepare(task_entry);
  TRY("movl $0xabcd, %ebx\n" AT "lcall *target\n 4: movl %ebx, seen_registers+16\n pushfl\n popl seen_word");
  report("call");
  seen("call");
  registers("call");
  print("ok call saved eflags=%x ebx=%x cs=%x ss=%x gs=%x after-ebx=%x after-nt=%x\n", tss.eflags & ~0x8d5, tss.ebx, tss.cs & 0xffff,
        tss.ss & 0xffff, tss.gs & 0xffff, seen_registers[4], seen_word & EFLAGS_NT);
  print("ok call of-task eax=%x eflags=%x eip=%x\n", other.eax, other.eflags & ~0x8d5, other.eip - (u32)task_returns);
  /* It goes on behind its IRET. */
  TRY("lcall *target");
  report("call-again");
  print("ok call-again runs=%u eax=%x then=%x\n", seen_runs, seen_registers[0], other.eax);
  prepare(task_jumps);
  TRY("ljmp *target\n nop");
  report("jump");
  seen("jump");
  recover();
  prepare(task_entry);
  set_spare(1, gate_descriptor(TASK, 0xdead, GATE_TASK, 0), 0);
  TRY("lcall $0x48, $0");
  report("call-gate");
  seen("call-gate");
  prepare(task_jumps);
  TRY("ljmp $0x48, $0");
  report("jump-gate");
  seen("jump-gate");
  recover();
  /* From ring 3, through a gate that is open to it. */
  prepare(task_entry);
  set_spare(1, gate_descriptor(TASK, 0xdead, GATE_TASK | DPL(3), 0), 0);
  TRY_USER("lcall $0x4b, $0");
  report("user-call-gate");
  seen("user-call-gate");
  print("ok user-call-gate saved cs=%x ss=%x\n", tss.cs & 0xffff, tss.ss & 0xffff);
  prepare(task_entry);
  describe(SEG_TSS32 | DPL(3), 103, 3);
  TRY_USER("lcall *target");
  report("user-call");
  seen("user-call");
}

static void interrupts(void)
{
  prepare(task_entry);
  set_idt_gate(0x40, gate_descriptor(TASK, 0, GATE_TASK | DPL(3), 0));
  TRY("sti\n int $0x40\n cli");
  report("int");
  seen("int");
  print("ok int if=%u saved=%x\n", seen_flags >> 9 & 1, tss.eflags & (EFLAGS_IF | EFLAGS_NT));
  prepare(task_entry);
  TRY_USER("int $0x40");
  report("user-int");
  seen("user-int");
  set_idt_gate(0x41, gate_descriptor(TASK, 0, GATE_TASK, 0));
  TRY_USER(AT "int $0x41");
  report("user-int-dpl0");
  set_idt_gate(0x41, gate_descriptor(TASK, 0, NOT_PRESENT(GATE_TASK), 0));
  TRY(AT "int $0x41");
  report("int-not-present");
  set_idt_gate(0x41, gate_descriptor(TASK | 4, 0, GATE_TASK, 0));
  TRY(AT "int $0x41");
  report("int-local");
  set_idt_gate(0x41, gate_descriptor(KERNEL_DS, 0, GATE_TASK, 0));
  TRY(AT "int $0x41");
  report("int-to-data");
  set_idt_gate(0x41, gate_descriptor(TSS_SELECTOR, 0, GATE_TASK, 0));
  TRY(AT "int $0x41");
  report("int-to-busy");
  /* An exception: RF in the image of the task that faulted, the error code on the stack of the one that handles. */
  u64 general = idt[13];
  prepare(task_handles);
  set_idt_gate(13, gate_descriptor(TASK, 0, GATE_TASK, 0));
  TRY("movl $0x7f8, %eax\n movl $4f, fault_expected_eip\n 4: .byte 0x8e, 0xe0\n movl $77, seen_registers+16");
  print("ok fault error=%x rf=%u esp-below-top=%x eip=%s after=%u\n", seen_word, tss.eflags >> 16 & 1, TASK_STACK_TOP - seen_esp,
        tss.eip == fault_expected_eip + 2 ? "exact" : "elsewhere", seen_registers[4]);
  seen("fault");
  /* Twice the same: the second is a double fault, for its task is busy. */
  set_idt_gate(13, gate_descriptor(TSS_SELECTOR, 0, GATE_TASK, 0));
  TRY("movl $0x7f8, %eax\n" AT "movw %ax, %fs");
  report("fault-to-busy");
  set_idt_gate(13, general);
  /* A double fault by a task gate. */
  u64 segment = idt[11], twice = idt[8];
  prepare(task_handles);
  set_idt_gate(8, gate_descriptor(TASK, 0, GATE_TASK, 0));
  set_idt_gate(11, gate_descriptor(KERNEL_DS, 0, GATE_INT32, 0));
  set_spare(3, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_DATA_RW), SEG_32), 0);
  TRY("movl $0x58, %eax\n .byte 0x8e, 0xe0\n movl $78, seen_registers+16");
  report("double");
  print("ok double error=%x after=%u\n", seen_word, seen_registers[4]);
  set_idt_gate(11, segment);
  set_idt_gate(8, twice);
  set_idt_gate(0x40, 0);
}

#define CALL(name) \
  TRY(AT "lcall *target"); \
  report(name); \
  print("ok %s tr=%x runs=%u busy=%u\n", name, task_register(), seen_runs, BUSY(TASK))

static void refusals(void)
{
  prepare(task_entry);
  target.selector = TSS_SELECTOR;
  CALL("to-itself");
  TRY(AT "ljmp *target");
  report("jump-to-itself");
  prepare(task_entry);
  describe(NOT_PRESENT(SEG_TSS32), 103, 0);
  CALL("not-present");
  describe(SEG_TSS32, 102, 0);
  CALL("short");
  describe(SEG_TSS32, 103, 3);
  CALL("rpl");
  describe(SEG_TSS32, 103, 3);
  TRY_USER(AT "lcall *target");
  report("user-dpl0");
  describe(SEG_TSS32 | 2, 103, 0);
  CALL("busy");
  /* A descriptor of the LDT is none of a task. */
  set_spare(4, segment_descriptor((u32)&gdt[TASK / 8], 7, SEG_LDT, 0), 0);
  __asm__ volatile("lldt %w0" : : "r"(SPARE(4)));
  describe(SEG_TSS32, 103, 0);
  target.selector = 4;
  CALL("local");
  __asm__ volatile("lldt %w0" : : "r"(0));
  target.selector = SPARE(1);
  set_spare(1, gate_descriptor(TASK, 0, NOT_PRESENT(GATE_TASK), 0), 0);
  CALL("gate-not-present");
  set_spare(1, gate_descriptor(TASK | 4, 0, GATE_TASK, 0), 0);
  CALL("gate-local");
  set_spare(1, gate_descriptor(KERNEL_CS, 0, GATE_TASK, 0), 0);
  CALL("gate-to-code");
  set_spare(1, gate_descriptor(0, 0, GATE_TASK, 0), 0);
  CALL("gate-to-null");
  set_spare(1, gate_descriptor(GDT_ENTRIES * 8, 0, GATE_TASK, 0), 0);
  CALL("gate-beyond-table");
  set_spare(1, gate_descriptor(TASK, 0, GATE_TASK, 0), 0);
  describe(NOT_PRESENT(SEG_TSS32), 103, 0);
  target.selector = SPARE(1);
  CALL("gate-to-not-present");
  set_spare(1, gate_descriptor(TASK, 0, GATE_TASK, 0), 0);
  TRY_USER(AT "lcall $0x4b, $0");
  report("user-gate-dpl0");
  /* The TSS of the task that leaves must have room. */
  prepare(task_entry);
  load_tss(94);
  TRY("lcall *target");
  report("from-short");
  print("ok from-short tr=%x runs=%u\n", task_register(), seen_runs);
  recover();
  /* IRET with NT: what the link names. */
#define RETURN(name, value)                                                                        \
  tss.link = (value);                                                                              \
  TRY("pushl $0x4002\n popfl\n" AT "iretl");                                                       \
  report(name);                                                                                    \
  recover()
  RETURN("return-null", 0);
  tss.link = TASK; /* Who goes there all the same is somewhere else. */
  fault_expected_eip = 0;
  TRY("pushl $0x4002\n popfl\n iretl");
  report("return-to-available");
  recover();
  prepare(task_entry);
  RETURN("return-to-data", KERNEL_DS);
  RETURN("return-beyond-table", GDT_ENTRIES * 8);
  describe(SEG_TSS32 | 2, 103, 0);
  RETURN("return-local", TASK | 4);
  describe(NOT_PRESENT(SEG_TSS32 | 2), 103, 0);
  RETURN("return-not-present", TASK);
  describe(SEG_TSS32 | 2, 102, 0);
  RETURN("return-short", TASK);
  tss.link = 0;
}

static void more(void)
{
  /* T: a debug exception before the first instruction; local breakpoints end. */
  prepare(task_entry);
  other.trap = 1;
  __asm__ volatile("movl %0, %%db6\n movl %1, %%db7" : : "r"(0), "r"(0x455));
  TRY("lcall *target");
  u32 dr6, dr7;
  __asm__ volatile("movl %%db6, %0\n movl %%db7, %1" : "=r"(dr6), "=r"(dr7));
  fault_expected_eip = (u32)task_entry;
  report("trap");
  print("ok trap dr6=%x dr7=%x runs=%u\n", dr6 & 0xe00f, dr7 & 0x5ff, seen_runs);
  recover();
  /* A task in virtual-8086 mode. */
  prepare((u8 *)0x10);
  *(u8 *)0x9010 = 0xcc;
  other.eflags = 0x20002;
  other.cs = 0x900;
  other.ss = 0x3000;
  other.ds = 0x1234;
  other.esp = 0x8000;
  set_idt_gate(3, gate_descriptor(KERNEL_CS, vector_entry(3), GATE_INT32 | DPL(3), 0));
  fault_expected_eip = 0;
  TRY("lcall *target");
  report("virtual");
  print("ok virtual cs=%x eflags=%x esp=%x ss=%x ds=%x tr=%x\n", fault.frame.cs & 0xffff, fault.frame.eflags, fault.frame.user_esp,
        fault.frame.user_ss & 0xffff, ((u32 *)fault.frame_address)[6] & 0xffff, task_register());
  recover();
  /* An address space of its own. */
  paging_on();
  map_page(0x40000000, AREA, PTE_P | PTE_W);
  prepare(task_entry);
  tss.cr3 = read_cr3();
  u32 *directory = (u32 *)(AREA + 0x10000), *table = (u32 *)(AREA + 0x11000);
  memcpy(directory, page_directory, 4096);
  memset(table, 0, 4096);
  directory[0x40000000u >> 22] = (u32)table | PTE_P | PTE_W;
  table[0] = (AREA + 0x2000) | PTE_P | PTE_W;
  *(u32 *)AREA = 0xaaaa;
  *(u32 *)(AREA + 0x2000) = 0xbbbb;
  other.cr3 = (u32)directory;
  seen_at = (u32 *)0x40000000;
  TRY("movl 0x40000000, %eax\n movl %eax, seen_registers+16\n lcall *target\n movl 0x40000000, %eax\n addl %eax, seen_registers+16");
  report("space");
  print("ok space task=%x home=%x cr3=%u\n", seen_word, seen_registers[4], read_cr3() == (u32)page_directory);
  seen_at = &seen_word;
  /* A TSS that is not there: a page fault before anything has changed. */
  prepare(task_entry);
  set_spare(0, segment_descriptor(0x40001000, 103, SEG_TSS32, 0), 0);
  TRY(AT "lcall *target");
  fault.cr2 &= ~0xfffu; /* The order is the processor's own. */
  report("absent-tss");
  print("ok absent-tss tr=%x runs=%u\n", task_register(), seen_runs);
  paging_off();
}

void test_main(void)
{
  calls();
  interrupts();
  refusals();
  more();
}
