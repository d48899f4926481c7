/* The way into virtual-8086 mode and back. */
#include "virtual.h"

u32 snippet_from, snippet_to, snippet_at;

void enter_virtual(u32 eflags) __attribute__((noreturn));
/* IRET takes EIP CS EFLAGS ESP SS ES DS FS GS. */
__asm__(".globl enter_virtual\n"
        "enter_virtual:\n movl 4(%esp), %eax\n"
        "pushl $0x5300\n pushl $0x5200\n pushl $0x5000\n pushl $0x5100\n pushl $0x3000\n pushl $0x8000\n"
        "pushl %eax\n pushl $0x900\n pushl $0\n"
        "xorl %eax, %eax\n xorl %ebx, %ebx\n xorl %ecx, %ecx\n xorl %edx, %edx\n"
        "xorl %esi, %esi\n xorl %edi, %edi\n xorl %ebp, %ebp\n jmp *virtual_return\n"
        "plain_return:\n iretl");
void plain_return(void);
void (*virtual_return)(void) = plain_return;

static int catching_breakpoints;

void run_virtual(u32 from, u32 to, u32 eflags)
{
  if (!catching_breakpoints) {
    /* INT3 leaves by the IDT whatever IOPL says, if the gate lets it. */
    set_idt_gate(3, gate_descriptor(KERNEL_CS, vector_entry(3), GATE_INT32 | DPL(3), 0));
    catching_breakpoints = 1;
  }
  memcpy((void *)(VIRTUAL_CS * 16), (const void *)from, to - from);
  run_virtual_at(eflags | EFLAGS_VM);
}

void virtual_report(const char *name)
{
  u32 end = snippet_to - snippet_from, at = snippet_at - snippet_from;
  const struct frame *f = &fault.frame;
  print("ok %s ", name);
  if (f->vector == 3 && f->eip == end) {
    print("exit\n");
    return;
  }
  print("vector=%u", f->vector);
  if (f->vector == 8 || (f->vector >= 10 && f->vector <= 14) || f->vector == 17) print("(%04x)", f->error);
  if (f->vector == 14) print(" cr2=%08x", fault.cr2);
  if (f->eip == at) print(" ip=exact");
  else print(" ip=+%x", (f->eip - at) & 0xffff);
  print(" vm=%u\n", (f->eflags & EFLAGS_VM) != 0);
}
