/* Virtual-8086 mode without its extensions (SDM vol. 3, 20.2, 20.3.1 to 20.3.3; vol. 2: CLI STI PUSHF POPF INT IRET). */
#include "virtual.h"

#define IOPL0 0
#define IOPL3 EFLAGS_IOPL(3)
#define AREA (VIRTUAL_DS * 16)

#define CASE(name, eflags, text)                                                                   \
  VIRTUAL(eflags, text);                                                                           \
  virtual_report(name)

static void entry_and_exit(void)
{
  CASE("enter", IOPL0,
       "4: movw %cs, %ax\n movw %ss, %bx\n movw %ds, %cx\n movw %es, %dx\n movw %fs, %si\n movw %gs, %di\n movl %esp, %ebp");
  print("ok enter cs=%x ss=%x ds=%x es=%x fs=%x gs=%x esp=%x\n", fault.frame.eax, fault.frame.ebx, fault.frame.ecx,
        fault.frame.edx, fault.frame.esi, fault.frame.edi, fault.frame.ebp);
  /* Nine doublewords on the stack of ring 0, whose data segments are null. */
  print("ok exit esp-below-top=%x cs=%x eflags=%x esp=%x ss=%x es=%x ds=%x fs=%x gs=%x\n", tss.esp0 - fault.frame_address,
        VIRTUAL_FRAME[1], VIRTUAL_FRAME[2], VIRTUAL_FRAME[3], VIRTUAL_FRAME[4] & 0xffff, VIRTUAL_FRAME[5] & 0xffff,
        VIRTUAL_FRAME[6] & 0xffff, VIRTUAL_FRAME[7] & 0xffff, VIRTUAL_FRAME[8] & 0xffff);
  print("ok exit ring0 ds=%x es=%x fs=%x gs=%x\n", fault.frame.ds, fault.frame.es, fault.frame.fs, fault.frame.gs);
  CASE("enter-iopl3-if", IOPL3 | EFLAGS_NT | EFLAGS_OF, "4: nop");
  print("ok enter-iopl3 eflags=%x\n", fault.frame.eflags);
}

static void sensitive(void)
{
  CASE("cli-iopl0", IOPL0, "4: cli");
  CASE("sti-iopl0", IOPL0, "4: sti");
  CASE("pushf-iopl0", IOPL0, "4: pushfw");
  CASE("popf-iopl0", IOPL0, "pushw $2\n 4: popfw");
  CASE("pushfl-iopl0", IOPL0, "4: pushfl");
  CASE("popfl-iopl0", IOPL0, "pushl $2\n 4: popfl");
  CASE("iret-iopl0", IOPL0, "4: iretw");
  CASE("iretl-iopl0", IOPL0, "4: iretl");
  CASE("int-iopl0", IOPL0, "4: int $0x40");
  CASE("int-3-iopl0", IOPL0, "4: .byte 0xcd, 3");
  CASE("cli-iopl2", EFLAGS_IOPL(2), "4: cli");
  CASE("int3", IOPL0, "4: int3");
  CASE("into", IOPL0, "movb $0x7f, %al\n addb $1, %al\n 4: into");
  CASE("bound", IOPL0, "movw $0x100, %bx\n movl $0x00020001, (%bx)\n 4: boundw %ax, (%bx)");
  CASE("icebp", IOPL0, "4: .byte 0xf1");

  CASE("cli-iopl3", IOPL3 | EFLAGS_IF, "4: cli");
  print("ok cli-iopl3 if=%x\n", fault.frame.eflags & EFLAGS_IF);
  CASE("sti-iopl3", IOPL3, "4: sti\n nop");
  print("ok sti-iopl3 if=%x\n", fault.frame.eflags & EFLAGS_IF);
  CASE("pushf-iopl3", IOPL3 | EFLAGS_NT, "4: pushfw\n popw %ax\n pushfl\n popl %ebx");
  print("ok pushf-iopl3 %x %x\n", fault.frame.eax, fault.frame.ebx);
  CASE("popf-iopl3", IOPL3, "4: pushw $0x4ed7\n popfw\n pushfw\n popw %ax\n cli");
  print("ok popf-iopl3 %x\n", fault.frame.eax);
  CASE("popfl-iopl3", IOPL3, "4: pushl $0x003c0ad7\n popfl\n pushfl\n popl %eax\n cli");
  print("ok popfl-iopl3 %x eflags=%x\n", fault.frame.eax & ~EFLAGS_VIF & ~EFLAGS_VIP, fault.frame.eflags & 0x1f0fff);
  CASE("iret-iopl3", IOPL3, "4: pushw $0x0ad7\n pushw $0x8ff\n pushw $(5f - 2b) + 16\n iretw\n 5: movw %cs, %bx\n pushfw\n popw %ax\n movw %sp, %cx\n cli\n .byte 0xcd, 0x80");
  print("ok iret-iopl3 cs=%x flags=%x sp=%x\n", fault.frame.ebx, fault.frame.eax, fault.frame.ecx);
  CASE("iretl-iopl3", IOPL3, "4: pushl $0x0000cad7\n pushl $0x900\n pushl $5f - 2b\n iretl\n 5: pushfl\n popl %eax\n cli");
  print("ok iretl-iopl3 flags=%x\n", fault.frame.eax);
  set_idt_gate(0x40, gate_descriptor(KERNEL_CS, vector_entry(0x40), GATE_INT32 | DPL(3), 0));
  CASE("int-iopl3", IOPL3, "4: int $0x40");
  CASE("int-dpl0-iopl3", IOPL3, "4: int $0x41");
}

static void privileged(void)
{
  CASE("hlt", IOPL3, "4: hlt");
  CASE("mov-cr0", IOPL3, "4: movl %cr0, %eax");
  CASE("mov-to-cr3", IOPL3, "4: movl %eax, %cr3");
  CASE("mov-dr7", IOPL3, "4: movl %db7, %eax");
  CASE("lmsw", IOPL3, "4: lmsw %ax");
  CASE("clts", IOPL3, "4: clts");
  CASE("lgdt", IOPL3, "4: lgdtl 0x100");
  CASE("lidt", IOPL3, "4: lidtl 0x100");
  CASE("invlpg", IOPL3, "4: invlpg 0x100");
  CASE("wbinvd", IOPL3, "4: wbinvd");
  CASE("rdmsr", IOPL3, "4: rdmsr");
  CASE("sysexit", IOPL3, "4: sysexit");
  CASE("smsw", IOPL0, "4: smsw %ax\n andw $1, %ax");
  print("ok smsw %x\n", fault.frame.eax);
  CASE("sgdt", IOPL0, "4: sgdtl 0x100");
  CASE("rdtsc", IOPL0, "4: rdtsc");
  CASE("cpuid", IOPL0, "4: cpuid");
  CASE("sldt", IOPL3, "4: sldt %ax");
  CASE("str", IOPL3, "4: str %ax");
  CASE("lldt", IOPL3, "4: lldt %ax");
  CASE("ltr", IOPL3, "4: ltr %ax");
  CASE("lar", IOPL3, "4: larw %ax, %cx");
  CASE("lsl", IOPL3, "4: lslw %ax, %cx");
  CASE("verr", IOPL3, "4: verr %ax");
  CASE("verw", IOPL3, "4: verw %ax");
  CASE("arpl", IOPL3, "4: arpl %ax, %cx");
  CASE("ud2", IOPL3, "4: ud2");
  CASE("divide", IOPL3, "4: divb %bl");
}

static void memory_and_transfers(void)
{
  CASE("load", IOPL0, "4: movw $0x5678, %ax\n movw %ax, %fs\n movw $0x1234, %fs:4\n movw $3, %ax\n movw %ax, %gs\n xorw %bx, %bx\n movw %bx, %ds\n movw %gs, %cx\n popw %si");
  print("ok load %x gs=%x ds=%x\n", *(u16 *)(0x56780 + 4), fault.frame.ecx, VIRTUAL_FRAME[6] & 0xffff);
  CASE("load-far", IOPL0, "4: movl $0x50010002, 0x100\n lesw 0x100, %si\n movw %es, %bx\n lssw 0x100, %sp\n movw %ss, %cx");
  print("ok load-far es=%x si=%x ss=%x esp=%x\n", fault.frame.ebx, fault.frame.esi, fault.frame.ecx, VIRTUAL_FRAME[3]);
  CASE("mov-cs", IOPL0, "4: .byte 0x8e, 0xc8");
  CASE("word-over-limit", IOPL0, "movw $0xffff, %bx\n 4: movw (%bx), %ax");
  CASE("beyond-limit", IOPL0, "movl $0x10000, %ebx\n 4: movb (%ebx), %al");
  CASE("stack-over-limit", IOPL0, "movw $0xffff, %bp\n 4: movw (%bp), %ax");
  CASE("push-over-limit", IOPL0, "movw $1, %sp\n 4: pushw %ax");
  CASE("stack-wrap", IOPL0, "movw $0, %sp\n 4: pushw $0x4321\n movzwl %sp, %eax");
  print("ok stack-wrap sp=%x %x\n", fault.frame.eax, *(u16 *)(VIRTUAL_SS * 16 + 0xfffe));
  CASE("jump-far", IOPL0, "4: ljmp $0x8ff, $5f - 2b + 16\n nop\n 5: movw %cs, %ax\n int3");
  print("ok jump-far cs=%x\n", fault.frame.eax);
  *(u16 *)0x10000 = 0x0b0f; /* UD2, for who gets there */
  CASE("jump-beyond-limit", IOPL0, "4: ljmpl $0, $0x10000");
  CASE("call-far", IOPL0, "4: lcall $0x900, $5f - 2b\n jmp 6f\n 5: movw %sp, %bp\n movw 2(%bp), %bx\n lretw\n 6:");
  print("ok call-far cs=%x\n", fault.frame.ebx);
  CASE("call-far-32", IOPL0, "4: movl $-1, %ecx\n lcalll $0x900, $5f - 2b\n jmp 6f\n 5: movw %sp, %bp\n movw 4(%bp), %bx\n lretl\n 6:");
  print("ok call-far-32 cs=%x\n", fault.frame.ebx);
  /* Selectors are no selectors: even those of gates and of nothing at all. */
  CASE("any-selector", IOPL0, "4: movw $0xfff8, %ax\n movw %ax, %ds\n movw %ax, %es\n movw %ax, %fs\n movw %ax, %gs");
  /* Linear addresses reach beyond 1 MiB. */
  *(u32 *)0x10ffec = 0x600dcafe;
  CASE("above-1m", IOPL0, "4: movw $0xffff, %ax\n movw %ax, %ds\n movl 0xfffc, %ebx");
  print("ok above-1m %u\n", fault.frame.ebx == *(u32 *)0x10ffec);
}

static void ports(void)
{
  tss.io_map_base = (u16)((u32)tss.io_map - (u32)&tss);
  tss.io_map[0x80 / 8] = 0xfe;
  CASE("out-allowed", IOPL0, "4: outb %al, $0x80");
  CASE("out-denied", IOPL0, "4: outb %al, $0x81");
  CASE("out-wide-denied", IOPL0, "4: outw %ax, $0x80");
  /* IOPL does not matter here. */
  CASE("out-denied-iopl3", IOPL3, "4: outb %al, $0x81");
  CASE("in-denied-iopl3", IOPL3, "movw $0x3f8, %dx\n 4: inb %dx, %al");
  CASE("outs-denied-iopl3", IOPL3, "movw $0x3f8, %dx\n 4: outsb");
  load_tss(0x67);
  CASE("out-no-map", IOPL3, "4: outb %al, $0x80");
  load_tss(sizeof tss - 1);
  tss.io_map[0x80 / 8] = 0xff;
  tss.io_map_base = sizeof tss;
}

/* What a handler may be, and a 16-bit gate. */
extern u16 narrow_frame[];
void narrow_entry(void);
u16 narrow_frame[12];
__asm__("narrow_entry: pushl %eax\n pushl %ecx\n movw $0x10, %ax\n movw %ax, %ds\n xorl %ecx, %ecx\n"
        "5: movw %ss:8(%esp,%ecx,2), %ax\n movw %ax, narrow_frame(,%ecx,2)\n incl %ecx\n cmpl $10, %ecx\n jb 5b\n"
        "popl %ecx\n popl %eax\n int $0x80");

static void gates(void)
{
  set_spare(1, segment_descriptor(0, 0xfffff, SEG_CODE_XR | DPL(3), SEG_G | SEG_32), 0);
  set_idt_gate(0x42, gate_descriptor(SPARE(1) | 3, vector_entry(0x42), GATE_INT32 | DPL(3), 0));
  CASE("gate-to-ring3", IOPL3, "4: int $0x42");
  set_spare(2, segment_descriptor(0, 0xfffff, SEG_CODE_XR_CONFORMING, SEG_G | SEG_32), 0);
  set_idt_gate(0x42, gate_descriptor(SPARE(2), vector_entry(0x42), GATE_INT32 | DPL(3), 0));
  CASE("gate-to-conforming", IOPL3, "4: int $0x42");
  set_spare(3, segment_descriptor(0, 0xfffff, SEG_CODE_XR | DPL(1), SEG_G | SEG_32), 0);
  set_idt_gate(0x42, gate_descriptor(SPARE(3) | 1, vector_entry(0x42), GATE_INT32 | DPL(3), 0));
  CASE("gate-to-ring1", IOPL3, "4: int $0x42");
  set_idt_gate(0x42, gate_descriptor(KERNEL_CS, vector_entry(0x42), NOT_PRESENT(GATE_INT32 | DPL(3)), 0));
  CASE("gate-not-present", IOPL3, "4: int $0x42");
  set_idt_gate(0x42, gate_descriptor(KERNEL_CS, vector_entry(0x42), GATE_CALL32 | DPL(3), 0));
  CASE("gate-call", IOPL3, "4: int $0x42");
  /* Code of 16-bit gates lies below 64 KiB of its segment. */
  set_spare(4, segment_descriptor((u32)narrow_entry, 0xfffff, SEG_CODE_XR, SEG_G | SEG_32), 0);
  set_idt_gate(0x42, gate_descriptor(SPARE(4), 0, 0x86 | DPL(3), 0));
  VIRTUAL(IOPL3 | EFLAGS_CF, "4: int $0x42");
  print("ok gate-16 ip=%x cs=%x flags=%x sp=%x ss=%x es=%x ds=%x fs=%x gs=%x\n", narrow_frame[0] - (snippet_at - snippet_from),
        narrow_frame[1], narrow_frame[2], narrow_frame[3], narrow_frame[4], narrow_frame[5], narrow_frame[6], narrow_frame[7],
        narrow_frame[8]);
}

static void pages(void)
{
  paging_on();
  for (u32 at = 0; at < 0x100000; at += 4096) map_page(at, at, PTE_P | PTE_W | PTE_U);
  page_directory[0] |= PTE_U;
  flush_tlb();
  CASE("paged", IOPL0, "4: movw %ax, 0x100");
  map_page(AREA, AREA, PTE_P | PTE_W);
  flush_tlb();
  CASE("supervisor-page", IOPL0, "4: movw 0x100, %ax");
  CASE("supervisor-page-write", IOPL0, "4: movw %ax, 0x100");
  map_page(AREA, 0, 0);
  flush_tlb();
  CASE("absent-page", IOPL0, "4: movw 0x100, %ax");
  paging_off();
}

void test_main(void)
{
  entry_and_exit();
  sensitive();
  privileged();
  memory_and_transfers();
  ports();
  gates();
  pages();
}
