/* What protected mode keeps of the 80286: 16-bit gates, 16-bit TSSs as tasks and for stacks (SDM vol. 3, 5.8.3, 6.11, 8.6, 22). */
#include "lib.h"

#define GATE_CALL16 0x84
#define GATE_INT16 0x86
#define GATE_TRAP16 0x87
#define GATE_TASK 0x85
#define SEG_TSS16 0x81
#define TASK SPARE(0)
#define CODE16 SPARE(8)

struct tss16 {
  u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
} __attribute__((packed));
struct tss16 narrow __attribute__((aligned(64))), narrow_home __attribute__((aligned(64)));
/* Segments of 64 KiB that 16-bit code and stacks need; the stack's base is the array's. */
static u8 narrow_stack[4096] __attribute__((aligned(16)));
u32 seen[12], seen_esp, seen_ss, seen_cs, seen_flags, seen_tr, seen_registers[8];

/* 32-bit handlers reached through 16-bit gates: words on the stack. They lie below 64 KiB of CODE16's base. */
extern u8 handlers[], stop_entry[], call_entry[], call_entry_8[], interrupt_entry[], task_entry[], stack_entry[];
#define SEE                                                                                        \
  "movl %esp, %ss:seen_esp\n movw %ss, %ss:seen_ss\n movw %cs, %ss:seen_cs\n pushfl\n popl %ss:seen_flags\n"   \
  "pushl %eax\n pushl %ecx\n xorl %ecx, %ecx\n"                                                     \
  "5: movzwl %ss:8(%esp,%ecx,2), %eax\n movl %eax, %ss:seen(,%ecx,4)\n incl %ecx\n cmpl $12, %ecx\n jb 5b\n"      \
  "popl %ecx\n popl %eax\n"
__asm__("handlers:\n"
        "stop_entry: " SEE "int $0x80\n"
        "call_entry: " SEE "data16 lret\n"
        "call_entry_8: " SEE "data16 lret $8\n"
        "interrupt_entry: " SEE "iretw\n"
        /* On a stack that is not flat, which C could not use. */
        "stack_entry: movw $0x10, %ax\n movl %esp, %ecx\n movw %ss, %dx\n movw %ax, %ss\n movl $user_stack + 4096, %esp\n int $0x80\n"
        /* The task: flat 32-bit code, entered with IP, which is why it is near the base. */
        "task_entry: movl %eax, seen_registers\n movl %ecx, seen_registers+4\n movl %edx, seen_registers+8\n"
        "movl %ebx, seen_registers+12\n movl %esp, seen_registers+16\n movl %ebp, seen_registers+20\n movl %esi, seen_registers+24\n"
        "movl %edi, seen_registers+28\n str %ax\n movzwl %ax, %eax\n movl %eax, seen_tr\n"
        "movw %fs, %ax\n shll $16, %eax\n movw %gs, %ax\n movl %eax, seen\n"
        "movw $0x10, %ax\n movw %ax, %ss\n movl $user_stack + 8192, %esp\n pushfl\n popl seen_flags\n"
        "movl $0xaaaa1234, %eax\n movl $0xbbbb5678, %ecx\n iretl");

#define OFFSET(entry) ((u32)(entry) - (u32)handlers)

struct far_pointer {
  u32 offset;
  u16 selector;
} __attribute__((packed));
struct far_pointer target;

static void gate(u64 descriptor, int rpl)
{
  memset(seen, 0, sizeof seen);
  target.selector = set_spare(1, descriptor, rpl);
  target.offset = 0xdeadbeef;
}

static void call_gates(void)
{
  gate(gate_descriptor(CODE16, OFFSET(stop_entry), GATE_CALL16, 0), 0);
  TRY("pushl $0x12345678\n lcall *target");
  print("ok call vector=%u cs=%x return-cs=%x behind=%x%x\n", fault.frame.vector, seen_cs, seen[1], seen[3], seen[2]);
  gate(gate_descriptor(CODE16, OFFSET(stop_entry), GATE_CALL16 | DPL(3), 4), 3);
  TRY_USER("pushw $4\n pushw $3\n pushw $2\n pushw $1\n lcall *target");
  print("ok call-parameters vector=%u esp-below-top=%x return-cs=%x %x %x %x %x sp-below-top=%x ss=%x\n", fault.frame.vector,
        tss.esp0 - seen_esp, seen[1], seen[2], seen[3], seen[4], seen[5], (USER_STACK_TOP - seen[6]) & 0xffff, seen[7]);
  /* There and back needs code whose EIP is a word. */
  static const u8 code[] = {0x66, 0x68, 0xcd, 0xab, 0xff, 0x1d, 0, 0x91, 0, 0, 0x66, 0x58, 0xc3}; /* pushw $0xabcd; lcall *0x9100; popw %ax; ret */
  memcpy((void *)0x9000, code, sizeof code);
  gate(gate_descriptor(CODE16, OFFSET(call_entry), GATE_CALL16, 0), 0);
  memcpy((void *)0x9100, &target, 6);
  TRY("xorl %eax, %eax\n movl $0x9000, %ecx\n call *%ecx\n movl %eax, seen_registers");
  report("call-return");
  print("ok call-return ip=%x ax=%x\n", seen[0], seen_registers[0]);
  static const u8 user[] = {0x66, 0x6a, 1, 0x66, 0x6a, 2, 0x66, 0x6a, 3, 0x66, 0x6a, 4, 0xff, 0x1d, 0, 0x91, 0, 0, 0x89, 0xe0, 0xcd, 0x80}; /* ...; movl %esp, %eax; int $0x80 */
  memcpy((void *)0x9000, user, sizeof user);
  gate(gate_descriptor(CODE16, OFFSET(call_entry_8), GATE_CALL16 | DPL(3), 4), 3);
  memcpy((void *)0x9100, &target, 6);
  /* SP comes back as a word, so the stack is a low one. */
  TRY_USER("movl $0xa000, %esp\n movl $0x9000, %ecx\n jmp *%ecx");
  report("user-call-return");
  /* Jumps through it as well; the upper half of the offset is not looked at. */
  gate(gate_descriptor(CODE16, OFFSET(stop_entry), GATE_CALL16, 0), 0);
  TRY("pushw %cs\n pushw $0\n" AT "ljmp *target");
  fault_expected_eip = 0;
  print("ok jump vector=%u cs=%x return-cs=%x\n", fault.frame.vector, seen_cs, seen[1]);
}

static void interrupt_gates(void)
{
  set_idt_gate(0x40, gate_descriptor(CODE16, OFFSET(interrupt_entry), GATE_INT16 | DPL(3), 0));
  set_idt_gate(0x41, gate_descriptor(CODE16, OFFSET(interrupt_entry), GATE_TRAP16 | DPL(3), 0));
  memset(seen, 0, sizeof seen);
  /* IRET pops IP alone, so the way back is to a copy of the code that lies low. */
  u8 *low = (u8 *)0x9000;
  static const u8 code[] = {0xcd, 0x40, 0xc3, 0xcd, 0x41, 0xc3}; /* int $0x40; ret; int $0x41; ret */
  memcpy(low, code, sizeof code);
  TRY("stc\n sti\n movl $0x9000, %eax\n call *%eax\n pushfl\n popl seen_registers\n cli");
  report("int");
  print("ok int ip=%x cs=%x flags=%x if-within=%u after=%x\n", seen[0], seen[1], seen[2] & 0x201, seen_flags >> 9 & 1, seen_registers[0] & 0x201);
  TRY("sti\n movl $0x9003, %eax\n call *%eax\n cli");
  report("trap-gate");
  print("ok trap-gate ip=%x if-within=%u\n", seen[0], seen_flags >> 9 & 1);
  set_idt_gate(0x40, gate_descriptor(CODE16, OFFSET(stop_entry), GATE_INT16 | DPL(3), 0));
  TRY_USER_FLAGS(EFLAGS_IF, "movl $0x9000, %eax\n call *%eax");
  print("ok user-int esp-below-top=%x ip=%x cs=%x flags=%x sp-below-top=%x ss=%x\n", tss.esp0 - seen_esp, seen[0], seen[1], seen[2] & 0x200,
        (USER_STACK_TOP - seen[3]) & 0xffff, seen[4]);
  /* An error code is a word as well. */
  u64 general = idt[13];
  set_idt_gate(13, gate_descriptor(CODE16, OFFSET(stop_entry), GATE_INT16, 0));
  memset(seen, 0, sizeof seen);
  TRY("movl $0x7f8, %eax\n movw %ax, %fs");
  set_idt_gate(13, general);
  print("ok error-code %x cs=%x\n", seen[0], seen[2]);
}

static void stacks(void)
{
  /* The task register holds a 16-bit TSS: SP and SS of ring 0 are words. */
  narrow_home.sp0 = 0x0f00;
  narrow_home.ss0 = set_spare(3, segment_descriptor((u32)narrow_stack, 0xfff, SEG_DATA_RW, 0), 0);
  set_spare(2, segment_descriptor((u32)&narrow_home, 43, SEG_TSS16, 0), 0);
  set_idt_gate(0x42, gate_descriptor(KERNEL_CS, (u32)stack_entry, GATE_INT32 | DPL(3), 0));
  __asm__ volatile("ltr %w0" : : "r"(SPARE(2)) : "memory");
  print("ok ltr access=%x\n", (u32)(gdt[SPARE(2) / 8] >> 40) & 0xff);
  TRY_USER("int $0x42");
  /* The upper half of ESP is what it was. */
  print("ok stack-of-tss16 vector=%u sp=%x ss=%x cs=%x old-ss=%x sp-below-top=%x\n", fault.frame.vector, fault.frame.ecx & 0xffff,
        fault.frame.edx & 0xffff, *(u32 *)(narrow_stack + 0xf00 - 16) & 0xffff, *(u32 *)(narrow_stack + 0xf00 - 4) & 0xffff,
        USER_STACK_TOP - *(u32 *)(narrow_stack + 0xf00 - 8));
  load_tss(sizeof tss - 1);
}

static void prepare(u8 access, u32 limit)
{
  memset(&narrow, 0, sizeof narrow);
  memset(seen_registers, 0, sizeof seen_registers);
  seen_tr = seen_flags = 0;
  seen[0] = 0xffffffff;
  narrow.ip = (u16)OFFSET(task_entry);
  narrow.flags = 2;
  narrow.ax = 0x1111, narrow.cx = 0x2222, narrow.dx = 0x3333, narrow.bx = 0x4444;
  narrow.sp = 0x0f00, narrow.bp = 0x5555, narrow.si = 0x6666, narrow.di = 0x7777;
  narrow.cs = CODE16;
  narrow.ss = narrow.ds = narrow.es = KERNEL_DS;
  target.selector = set_spare(0, segment_descriptor((u32)&narrow, limit, access, 0), 0);
}

static void tasks(void)
{
  prepare(SEG_TSS16, 43);
  TRY("movw $0x10, %ax\n movw %ax, %fs\n movw %ax, %gs\n" AT "lcall *target");
  report("task");
  print("ok task eax=%x ecx=%x edx=%x ebx=%x esp=%x ebp=%x esi=%x edi=%x\n", seen_registers[0] & 0xffff, seen_registers[1] & 0xffff,
        seen_registers[2] & 0xffff, seen_registers[3] & 0xffff, seen_registers[4] & 0xffff, seen_registers[5] & 0xffff,
        seen_registers[6] & 0xffff, seen_registers[7] & 0xffff);
  print("ok task tr=%x nt=%u fs:gs=%x link=%x\n", seen_tr, seen_flags >> 14 & 1, seen[0], narrow.link);
  print("ok task saved ax=%x cx=%x cs=%x ss=%x flags=%x busy=%x\n", narrow.ax, narrow.cx, narrow.cs, narrow.ss, narrow.flags & 0x4000,
        (u32)(gdt[TASK / 8] >> 40) & 0xff);
  /* The 32-bit task that called was saved as such. */
  print("ok task home fs=%x gs=%x\n", tss.fs & 0xffff, tss.gs & 0xffff);
  prepare(SEG_TSS16, 42);
  TRY(AT "lcall *target");
  report("task-short");
  prepare(SEG_TSS16, 43);
  set_idt_gate(0x44, gate_descriptor(TASK, 0, GATE_TASK, 0));
  TRY("int $0x44");
  report("task-int");
  print("ok task-int tr=%x nt=%u link=%x\n", seen_tr, seen_flags >> 14 & 1, narrow.link);
  prepare(SEG_TSS16 | 2, 43);
  TRY(AT "lcall *target");
  report("task-busy");
}

void test_main(void)
{
  gdt[CODE16 / 8] = segment_descriptor((u32)handlers, 0xffff, SEG_CODE_XR, SEG_32);
  call_gates();
  interrupt_gates();
  stacks();
  tasks();
}
