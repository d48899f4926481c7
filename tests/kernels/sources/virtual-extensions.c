/* Virtual-8086 mode extensions and protected-mode virtual interrupts: CR4.VME, CR4.PVI (SDM vol. 3, 20.3.3.4, 20.3.4, 20.4). */
#include "virtual.h"

#define IOPL0 0
#define IOPL3 EFLAGS_IOPL(3)
#define CASE(name, eflags, text)                                                                   \
  VIRTUAL(eflags, text);                                                                           \
  virtual_report(name)
#define SYSTEM_FLAGS (EFLAGS_VIF | EFLAGS_VIP | EFLAGS_IF | EFLAGS_IOPL(3))

/* The bitmap of software interrupts lies in the 32 bytes below the I/O bitmap: there is room for it here. */
static u8 *const redirection = tss.io_map + 64;
static u8 saved_vectors[0x400];

static void flags(const char *name) { print("ok %s eflags=%x\n", name, fault.frame.eflags & SYSTEM_FLAGS); }

static void interrupt_flag(void)
{
  CASE("cli", IOPL0 | EFLAGS_IF | EFLAGS_VIF, "4: cli");
  flags("cli");
  CASE("sti", IOPL0, "4: sti");
  flags("sti");
  CASE("sti-pending", IOPL0 | EFLAGS_VIP, "4: sti");
  flags("sti-pending");
  CASE("cli-pending", IOPL0 | EFLAGS_VIP, "4: cli");
  flags("cli-pending");
  /* Both at once, by IRET: #GP before anything else happens. */
  CASE("set-and-pending", IOPL0 | EFLAGS_VIP | EFLAGS_VIF, "4: nop");
  flags("set-and-pending");
  CASE("cli-iopl3", IOPL3 | EFLAGS_IF | EFLAGS_VIF, "4: cli");
  flags("cli-iopl3");
  CASE("sti-iopl3-pending", IOPL3 | EFLAGS_VIP, "4: sti");
  flags("sti-iopl3-pending");
}

static void flags_on_the_stack(void)
{
  CASE("pushf", IOPL0 | EFLAGS_VIF | EFLAGS_NT, "4: pushfw\n popw %ax");
  print("ok pushf %x\n", fault.frame.eax);
  CASE("pushf-off", IOPL0 | EFLAGS_IF, "4: pushfw\n popw %ax");
  print("ok pushf-off %x\n", fault.frame.eax);
  CASE("pushf-iopl3", IOPL3 | EFLAGS_IF, "4: pushfw\n popw %ax");
  print("ok pushf-iopl3 %x\n", fault.frame.eax);
  CASE("pushfl", IOPL0, "4: pushfl");
  CASE("pushfl-iopl3", IOPL3 | EFLAGS_VIP, "4: pushfl\n popl %eax");
  print("ok pushfl-iopl3 %x\n", fault.frame.eax);
  CASE("popf", IOPL0, "pushw $0x4ed7\n andw $0xfeff, (%esp)\n 4: popfw\n pushfw\n popw %ax");
  print("ok popf %x\n", fault.frame.eax);
  flags("popf");
  CASE("popf-off", IOPL0 | EFLAGS_VIF | EFLAGS_IF, "pushw $0x3002\n 4: popfw");
  flags("popf-off");
  CASE("popf-pending", IOPL0 | EFLAGS_VIP, "pushw $0x0202\n 4: popfw");
  flags("popf-pending");
  CASE("popf-off-pending", IOPL0 | EFLAGS_VIP, "pushw $2\n 4: popfw");
  flags("popf-off-pending");
  CASE("popf-tf", IOPL0, "pushw $0x0102\n 4: popfw");
  CASE("popfl", IOPL0, "pushl $2\n 4: popfl");
  CASE("popf-iopl3", IOPL3 | EFLAGS_VIF, "pushw $0x0202\n 4: popfw");
  flags("popf-iopl3");
  CASE("iret", IOPL0, "pushw $0x0a03\n pushw $0x8ff\n pushw $(5f - 2b) + 16\n 4: iretw\n 5: pushfw\n popw %ax\n movw %cs, %bx\n .byte 0xcd, 0x80");
  print("ok iret %x cs=%x\n", fault.frame.eax, fault.frame.ebx);
  flags("iret");
  CASE("iret-pending", IOPL0 | EFLAGS_VIP, "pushw $0x0202\n pushw $0x900\n pushw $5f - 2b\n 4: iretw\n 5:");
  CASE("iret-off-pending", IOPL0 | EFLAGS_VIP, "pushw $2\n pushw $0x900\n pushw $5f - 2b\n 4: iretw\n 5:");
  CASE("iret-tf", IOPL0, "pushw $0x0102\n pushw $0x900\n pushw $5f - 2b\n 4: iretw\n 5:");
  CASE("iretl", IOPL0, "pushl $2\n pushl $0x900\n pushl $5f - 2b\n 4: iretl\n 5:");
  CASE("iret-iopl3", IOPL3 | EFLAGS_VIF, "pushw $0x0202\n pushw $0x900\n pushw $5f - 2b\n 4: iretw\n 5:");
  flags("iret-iopl3");
}

static void software_interrupts(void)
{
  /* Vector 0x60 of the virtual machine: its stack in BX, DX and SI, flags within in AX. */
  static const u8 handler[] = {0x5b, 0x5a, 0x5e, 0x56, 0x52, 0x53, 0x9c, 0x58, 0xcc}; /* pop bx, dx, si; push back; pushf; pop ax; int3 */
  memcpy((void *)0x7010, handler, sizeof handler);
  for (int i = 0; i < 256; i++) ((volatile u32 *)0)[i] = 0x07000010;
  tss.io_map_base = (u16)((u32)redirection + 32 - (u32)&tss);
  memset(redirection, 0, 32);
#define INTERRUPT(name, eflags)                                                                    \
  VIRTUAL(eflags, "4: int $0x60");                                                                 \
  print("ok " name " vector=%u cs=%x ip=%x return=%x:%x pushed=%x within=%x\n", fault.frame.vector, fault.frame.cs & 0xffff,       \
        fault.frame.eip, fault.frame.edx & 0xffff, fault.frame.ebx - (snippet_at - snippet_from), fault.frame.esi & 0xffff, fault.frame.eax & 0xffff); \
  flags(name)
  INTERRUPT("int", IOPL0 | EFLAGS_IF | EFLAGS_VIF | EFLAGS_CF);
  INTERRUPT("int-off", IOPL0 | EFLAGS_IF);
  INTERRUPT("int-iopl3", IOPL3 | EFLAGS_IF | EFLAGS_NT | EFLAGS_VIF);
  CASE("int-3", IOPL0, "4: .byte 0xcd, 3");
  print("ok int-3 cs=%x\n", fault.frame.cs);
  CASE("int3", IOPL0, "4: int3");
  print("ok int3 cs=%x\n", fault.frame.cs);
  /* Fault back to who runs the virtual machine: by #GP, or through the gate with IOPL 3. */
  memset(redirection, 0xff, 32);
  CASE("int-intercepted", IOPL0, "4: int $0x60");
  set_idt_gate(0x60, gate_descriptor(KERNEL_CS, vector_entry(0x60), GATE_INT32 | DPL(3), 0));
  CASE("int-intercepted-iopl3", IOPL3, "4: int $0x60");
  memset(redirection, 0, 32);
  redirection[0x60 / 8] = 1;
  CASE("int-one-intercepted", IOPL0, "4: int $0x60");
  CASE("int-next", IOPL0, "4: int $0x61");
  print("ok int-next cs=%x\n", fault.frame.cs);
  /* The bitmap must lie within the TSS. */
  load_tss((u32)redirection - (u32)&tss + 0x60 / 8 - 1);
  CASE("int-beyond-tss", IOPL0, "4: int $0x61");
  CASE("int-beyond-tss-iopl3", IOPL3, "4: int $0x61");
  load_tss((u32)redirection - (u32)&tss + 0x60 / 8);
  CASE("int-end-of-tss", IOPL0, "4: int $0x61");
  load_tss(sizeof tss - 1);
  CASE("int-stack", IOPL0, "movw $4, %sp\n 4: int $0x61");
  tss.io_map_base = sizeof tss;
}

static void protected_mode(void)
{
  TRY_USER_FLAGS(EFLAGS_VIF, AT "cli");
  report("pvi-off-cli");
  write_cr4(read_cr4() | CR4_PVI);
#define USER(name, eflags, text)                                                                   \
  TRY_USER_FLAGS(eflags, AT text);                                                                 \
  report(name);                                                                                    \
  flags(name)
  USER("pvi-cli", EFLAGS_VIF | EFLAGS_IF, "cli");
  USER("pvi-sti", 0, "sti");
  USER("pvi-sti-pending", EFLAGS_VIP, "sti");
  USER("pvi-set-and-pending", EFLAGS_VIP | EFLAGS_VIF, "nop");
  USER("pvi-iopl3", EFLAGS_IOPL(3) | EFLAGS_VIF, "sti");
  USER("pvi-pushf", EFLAGS_VIF, "pushfl\n popl %eax");
  USER("pvi-popf", EFLAGS_VIF, "pushl $0x202\n popfl");
  TRY_USER("int $0x60\n" AT "nop");
  report("pvi-int");
  /* Rings 1 and 2 have no share in it, and ring 0 none to need. */
  set_spare(1, segment_descriptor(0, 0xfffff, SEG_CODE_XR | DPL(1), SEG_G | SEG_32), 0);
  set_spare(2, segment_descriptor(0, 0xfffff, SEG_DATA_RW | DPL(1), SEG_G | SEG_32), 0);
  TRY("movl %esp, %eax\n pushl $0x51\n pushl %eax\n pushl $2\n pushl $0x49\n pushl $5f\n movl $4f, fault_expected_eip\n iretl\n 5: nop\n 4: cli\n int $0x80");
  report("pvi-ring1");
  write_cr4(read_cr4() & ~CR4_PVI);
}

void test_main(void)
{
  memcpy(saved_vectors, (void *)0, sizeof saved_vectors);
  u32 leaf[4];
  cpuid(1, leaf);
  print("ok cpuid %u\n", leaf[3] >> 1 & 1);
  CASE("off-cli", IOPL0, "4: cli");
  write_cr4(read_cr4() | CR4_VME);
  print("ok cr4 %x\n", read_cr4() & (CR4_VME | CR4_PVI));
  interrupt_flag();
  flags_on_the_stack();
  software_interrupts();
  write_cr4(read_cr4() & ~CR4_VME);
  protected_mode();
  /* IRET of ring 0 loads both bits; POPF of ring 0 leaves them alone. */
  TRY("pushl $0x00180002\n popfl\n pushfl\n popl %ebx\n pushl $0x00180002\n pushl $0x08\n pushl $5f\n iretl\n 5: pushfl\n popl %eax\n pushl $2\n pushl $0x08\n pushl $6f\n iretl\n 6: int $0x80");
  print("ok ring0 popf=%x iret=%x\n", fault.frame.ebx & SYSTEM_FLAGS, fault.frame.eax & SYSTEM_FLAGS);
  memcpy((void *)0, saved_vectors, sizeof saved_vectors);
}
