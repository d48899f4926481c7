/* Ways back from the kernel by VMI's IRET and SYSEXIT where there is a ROM, by the processor's own where there is none: what flags, stacks and
   segments are then, and where an interrupt comes that has waited. SDM vol. 2, IRET and SYSEXIT; vol. 3, 6.8.1 and 20.2. */
#include "virtual.h"
#include "vmi.h"

#define WAITING 0x60
#define FROM_VIRTUAL 0x61
#define SYSENTER_CS 0x174
#define SYSENTER_ESP 0x175
#define SYSENTER_EIP 0x176
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ICR_LOW 0x300
#define SEND_SELF 0x44000u
#define STATUS (EFLAGS_CF | EFLAGS_ZF | EFLAGS_OF | EFLAGS_DF)
#define ROUNDS 1000u

static void write_msr(u32 index, u32 value) { __asm__ volatile("wrmsr" : : "c"(index), "a"(value), "d"(0)); }

/* ---- What interrupts: a message to itself that waits while interrupts are off. */
static u32 waited, waited_cs, waited_eip, waited_eflags, waited_ebx;
static void on_waiting(struct frame *frame)
{
  waited++;
  waited_cs = frame->cs, waited_eip = frame->eip, waited_eflags = frame->eflags, waited_ebx = frame->ebx;
  vmi.apic_write(APIC_EOI, 0);
}
static void make_wait(void)
{
  waited = 0;
  vmi.apic_write(APIC_ICR_LOW, SEND_SELF | WAITING);
}

/* ---- SYSENTER and back. The kernel's side keeps flags, and says what they were. */
u32 entered, entered_eflags, entered_cs, entered_ss, entered_esp;
void fast_entry(void);
__asm__("fast_entry:\n"
        " movl %esp, entered_esp\n movl $kernel_stack_top - 8192, %esp\n pushfl\n popl entered_eflags\n"
        " movw %cs, entered_cs\n movw %ss, entered_ss\n"
        " pushfl\n incl entered\n popfl\n jmp vmi_site_sysexit\n");
/* In ring 3: with carry, zero, overflow and direction set, and a loop of round trips. */
void fast_user(void), fast_loop(void), fast_once(void), fast_back(void);
__asm__("fast_user:\n"
        " movl $5f, %edx\n leal -64(%esp), %ecx\n pushl $0xc43\n popfl\n sysenter\n"
        "5: movl %esp, %ebp\n pushfl\n popl %edi\n cld\n movl %cs, %eax\n movl %ss, %esi\n int $0x80\n"
        "fast_loop:\n"
        " movl $1000, %ebx\n"
        "6: movl $7f, %edx\n movl %esp, %ecx\n sysenter\n"
        "7: decl %ebx\n jnz 6b\n int $0x80\n"
        "fast_once:\n"
        " xorl %ebx, %ebx\n movl $fast_back, %edx\n movl %esp, %ecx\n sysenter\n"
        "fast_back: incl %ebx\n incl %ebx\n int $0x80\n");
/* The kernel's side has an interrupt come that waits. */
void fast_entry_waiting(void), make_wait_once(void);
void make_wait_once(void) { make_wait(); }
__asm__("fast_entry_waiting:\n"
        " movl $kernel_stack_top - 8192, %esp\n pushl %ecx\n pushl %edx\n pushl %ebx\n"
        " movl $0x10, %eax\n movl %eax, %ds\n movl %eax, %es\n call make_wait_once\n"
        " movl $0x23, %eax\n movl %eax, %ds\n movl %eax, %es\n"
        " popl %ebx\n popl %edx\n popl %ecx\n jmp vmi_site_sysexit\n");
static void fast_calls(void)
{
  write_msr(SYSENTER_CS, KERNEL_CS);
  write_msr(SYSENTER_ESP, 0x01802000);
  write_msr(SYSENTER_EIP, (u32)fast_entry);
  run_user_at((u32)fast_user, EFLAGS_IF);
  print("ok fast in cs=%x ss=%x esp=%x if=%x status=%x\n", entered_cs, entered_ss, entered_esp, entered_eflags & EFLAGS_IF,
        entered_eflags & STATUS);
  print("ok fast out vector=%u cs=%x ss=%x if=%x status=%x esp-below-top=%x\n", fault.frame.vector, fault.frame.eax, fault.frame.esi,
        fault.frame.edi & EFLAGS_IF, fault.frame.edi & STATUS, USER_STACK_TOP - fault.frame.ebp);
  entered = 0;
  run_user_at((u32)fast_loop, EFLAGS_IF);
  print("ok fast rounds %u left %u vector=%u\n", entered, fault.frame.ebx, fault.frame.vector);
  /* SYSEXIT is behind STI: what waits comes when ring 3 is reached, before its first instruction. */
  write_msr(SYSENTER_EIP, (u32)fast_entry_waiting);
  run_user_at((u32)fast_once, EFLAGS_IF);
  print("ok fast interrupted %u cs=%x at-return=%u if=%x ran-before=%u ran-in-all=%u\n", waited, waited_cs, waited_eip == (u32)fast_back,
        waited_eflags & EFLAGS_IF, waited_ebx, fault.frame.ebx);
}

/* ---- IRET to ring 0 and to ring 3, while an interrupt waits, and with TF. */
static void returns(void)
{
  make_wait();
  TRY("xorl %ebx, %ebx\n pushl $0x202\n pushl $0x08\n pushl $5f\n jmp vmi_site_iret\n 5: incl %ebx\n cli\n movl %ebx, %eax");
  print("ok ring 0 interrupted %u cs=%x ran-before=%u if=%x\n", waited, waited_cs, waited_ebx, waited_eflags & EFLAGS_IF);
  make_wait();
  TRY("xorl %ebx, %ebx\n pushl $2\n pushl $0x08\n pushl $5f\n jmp vmi_site_iret\n 5: incl %ebx");
  u32 not_yet = waited;
  TRY("xorl %ebx, %ebx\n pushl $0x23\n pushl $user_stack + 8192\n pushl $0x202\n pushl $0x1b\n pushl $5f\n"
      " movl $0x23, %eax\n movl %eax, %ds\n jmp vmi_site_iret\n 5: incl %ebx\n int $0x80");
  print("ok ring 3 interrupted %u before %u cs=%x ran-before=%u ran-in-all=%u vector=%u\n", waited, not_yet, waited_cs, waited_ebx,
        fault.frame.ebx, fault.frame.vector);
  TRY("xorl %ebx, %ebx\n pushl $0x23\n pushl $user_stack + 8192\n pushl $0x102\n pushl $0x1b\n pushl $5f\n"
      " movl $0x23, %eax\n movl %eax, %ds\n jmp vmi_site_iret\n 5: incl %ebx\n incl %ebx\n int $0x80");
  print("ok ring 3 traced vector=%u ran=%u\n", fault.frame.vector, fault.frame.ebx);
}

/* ---- Virtual-8086 mode. */
#define CASE(name, eflags, text)                                                                   \
  VIRTUAL(eflags, text);                                                                           \
  virtual_report(name)
#define SYSTEM_FLAGS (EFLAGS_VIF | EFLAGS_VIP | EFLAGS_IF | EFLAGS_IOPL(3))
static void flags(const char *name) { print("ok %s eflags=%x\n", name, fault.frame.eflags & SYSTEM_FLAGS); }
/* A call of the kernel, by INT with IOPL 3, from virtual-8086 mode: it goes back there by the site. */
static u32 calls, call_eflags, call_segments[6];
void vmi_system_call(struct vmi_frame *frame)
{
  const u32 *tail = (const u32 *)(frame + 1);
  calls++;
  call_eflags = frame->eflags;
  call_segments[0] = frame->cs, call_segments[1] = frame->ss;
  for (int i = 0; i < 4; i++) call_segments[2 + i] = tail[i];
  frame->eax += 0x1234;
}
static void virtual_mode(const char *kind)
{
  print("ok virtual-8086 %s\n", kind);
  VIRTUAL(EFLAGS_IOPL(3), "4: pushw %ss\n popw %ax\n movw %ds, %bx\n movw %es, %cx\n movw %fs, %dx\n movw %gs, %si\n movw %sp, %bp\n movw %cs, %di");
  virtual_report("segments");
  print("ok segments %x %x %x %x %x sp=%x cs=%x\n", fault.frame.eax, fault.frame.ebx, fault.frame.ecx, fault.frame.edx, fault.frame.esi,
        fault.frame.ebp, fault.frame.edi);
  CASE("flags", EFLAGS_IOPL(3) | EFLAGS_CF | EFLAGS_ZF | EFLAGS_OF, "4: pushfw\n popw %ax");
  print("ok flags %x\n", fault.frame.eax);
  /* A call and back, twice. */
  calls = 0;
  CASE("call", EFLAGS_IOPL(3) | EFLAGS_IF, "xorw %ax, %ax\n 4: .byte 0xcd, 0x61\n .byte 0xcd, 0x61");
  print("ok call %u eax=%x vm=%u segments %x %x %x %x %x %x\n", calls, fault.frame.eax, (call_eflags & EFLAGS_VM) != 0, call_segments[0],
        call_segments[1], call_segments[2], call_segments[3], call_segments[4], call_segments[5]);
  /* IF in the frame lets in what waits, at the first instruction; without, it waits on. */
  make_wait();
  CASE("no-interrupt", EFLAGS_IOPL(3), "4: incw %bx");
  u32 not_yet = waited;
  CASE("interrupted", EFLAGS_IOPL(3) | EFLAGS_IF, "4: incw %bx");
  print("ok interrupted %u before %u vm=%u ip=%x ran-before=%u ran-in-all=%u\n", waited, not_yet, (waited_eflags & EFLAGS_VM) != 0,
        waited_eip, waited_ebx, fault.frame.ebx);
  /* Virtual interrupts. */
  CASE("virtual-if", EFLAGS_VIF | EFLAGS_IF, "4: pushfw");
  flags("virtual-if");
  CASE("virtual-if-off", EFLAGS_IF, "4: sti");
  flags("virtual-if-off");
  CASE("virtual-pending", EFLAGS_VIP | EFLAGS_IF, "4: sti");
  flags("virtual-pending");
  CASE("virtual-both", EFLAGS_VIP | EFLAGS_VIF | EFLAGS_IF, "4: nop");
  flags("virtual-both");
  CASE("traced", EFLAGS_IOPL(3) | EFLAGS_TF, "incw %bx\n 4: incw %bx");
}
/* The frame asks for an instruction behind the segment: IRET itself is at fault, which is the site's. */
static void beyond(void)
{
  TRY("pushl $0\n pushl $0\n pushl $0x5000\n pushl $0x5100\n pushl $0x3000\n pushl $0x8000\n pushl $0x23002\n pushl $0x900\n pushl $0x10000\n"
      " jmp vmi_site_iret");
  u32 site = *(u8 *)vmi_site_iret == 0xe8 ? (u32)vmi_site_iret : (u32)vmi_native_iret;
  print("ok virtual beyond its segment vector=%u at-site=%u vm=%u\n", fault.frame.vector, fault.frame.eip == site,
        (fault.frame.eflags & EFLAGS_VM) != 0);
}

void test_main(void)
{
  vmi_activate();
  vmi.apic_write(APIC_SVR, 0x1ff);
  vector_handlers[WAITING] = on_waiting;
  idt[FROM_VIRTUAL] = gate_descriptor(KERNEL_CS, (u32)vmi_entry_system_call, GATE_INT32 | DPL(3), 0);
  fast_calls();
  returns();
  virtual_return = vmi_site_iret;
  virtual_mode("without extensions");
  write_cr4(read_cr4() | CR4_VME);
  virtual_mode("with extensions");
  beyond();
}
