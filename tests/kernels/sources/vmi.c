/* A kernel that uses VMI 3.0 as Linux 2.6.21 to 2.6.36 does, where there is a VMI ROM, and the processor alone where there is none; what
   comes out is the same. Lines that have VMI: tell which it was. Two processes with address spaces of their own, without PAE and
   with it: they fault pages in, switch, sleep on the timer, and end. Entries of address spaces that are left are changed in every way. */
#include "lib.h"
#include "vmi.h"

#define USER_CODE 0x40000000u
#define USER_DATA 0x40001000u
#define USER_HEAP 0x40010000u
#define PROBE 0x40020000u
#define HEAP_PAGES 8
#define PROCESSES 2
#define PTE_MINE (PTE_P | PTE_W | PTE_U)
#define SYSCALL 0x80
#define TIMER_VECTOR 0x20
#define SLEEP_CYCLES 3000000u

extern u8 user_begin[], user_end[];
__asm__("user_begin:\n"
        " movl $0x40001000, %ebx\n xorl %esi, %esi\n"
        "1: incl (%ebx)\n movl %esi, %edi\n shll $12, %edi\n addl $0x40010000, %edi\n"
        " movl (%ebx), %eax\n movl %eax, (%edi)\n"
        " movl $1, %eax\n int $0x80\n"
        " incl %esi\n cmpl $8, %esi\n jne 1b\n"
        " movl $2, %eax\n int $0x80\n"
        " xorl %edx, %edx\n xorl %esi, %esi\n"
        "2: movl %esi, %edi\n shll $12, %edi\n addl $0x40010000, %edi\n addl (%edi), %edx\n"
        " incl %esi\n cmpl $8, %esi\n jne 2b\n"
        " movl $3, %eax\n int $0x80\n"
        "user_end:\n");

struct process {
  u32 root, table, esp, stack_top, result, faults, ended;
};
static struct process processes[PROCESSES];
static u32 current, boot_esp, switches, sleeps;
static volatile u32 ticks;
static int pae;
static u8 kernel_stacks[PROCESSES][4096] __attribute__((aligned(4096)));
static u8 pool[64][4096] __attribute__((aligned(4096)));
static u32 pool_used;
static u32 pae_root[8] __attribute__((aligned(32)));
static u64 pae_kernel[512] __attribute__((aligned(4096)));

static u32 new_page(void)
{
  u8 *page = pool[pool_used++];
  memset(page, 0, 4096);
  return (u32)page;
}

/* ---- Entries of page tables, of either size. */
static void set_entry(u32 table, u32 index, u32 value, u32 flags)
{
  if (pae) vmi.set_long_entry(value, 0, (u32 *)(table + 8 * index), flags);
  else vmi.set_entry(value, (u32 *)(table + 4 * index), flags);
}
static void map_user(struct process *p, u32 linear, u32 physical)
{
  u32 index = linear >> 12 & (pae ? 511 : 1023);
  set_entry(p->table, index, physical | PTE_MINE, VMI_PT | VMI_CURRENT | (linear & 0xfffff000u));
}
static void make_space(struct process *p)
{
  u32 extra = pae ? VMI_PAE : 0;
  p->root = new_page();
  p->table = new_page();
  vmi.allocate_page(p->table >> 12, VMI_PT | VMI_ZEROED | extra, 0, 0, 0);
  if (pae) {
    u32 directory = new_page();
    *(u64 *)p->root = (u32)pae_kernel | PTE_P;
    vmi.allocate_page(p->root >> 12, VMI_PD | VMI_ZEROED | VMI_CLONE | extra, (u32)pae_root >> 12, 0, 1);
    vmi.allocate_page(directory >> 12, VMI_PD | VMI_ZEROED | extra, 0, 0, 0);
    vmi.set_long_entry(directory | PTE_P, 0, (u32 *)(p->root + 8), VMI_PDP);
    set_entry(directory, 0, p->table | PTE_MINE, VMI_PD);
  } else {
    for (int i = 0; i < 8; i++) ((u32 *)p->root)[i] = page_directory[i];
    vmi.allocate_page(p->root >> 12, VMI_PD | VMI_ZEROED | VMI_CLONE, (u32)page_directory >> 12, 0, 8);
    set_entry(p->root, USER_CODE >> 22, p->table | PTE_MINE, VMI_PD);
  }
}

static u32 kernel_root(void)
{
  return pae ? (u32)pae_root : (u32)page_directory;
}

/* ---- Entries that change while their address space is left, and while it is in use. */
static void change(struct process *p, u32 way, u32 to, u32 flags)
{
  u32 index = PROBE >> 12 & (pae ? 511 : 1023);
  u32 *entry = (u32 *)(p->table + index * (pae ? 8 : 4));
  if (way == 0) set_entry(p->table, index, to, VMI_PT | flags);
  else *(volatile u32 *)entry = to;
  if (way == 1 && pae) vmi.update_long_entry(entry, VMI_PT | flags);
  if (way == 1 && !pae) vmi.update_entry(entry, VMI_PT | flags);
}
/* The page that the space has at PROBE, by its mark. */
static u32 seen_in(struct process *p)
{
  vmi.set_cr3(p->root);
  return *(volatile u32 *)PROBE;
}
static void changed_entries(const char *name)
{
  static const char *const ways[] = {"set", "updated", "untold"};
  struct process spaces[2], *a = &spaces[0], *b = &spaces[1];
  u32 frames[3];
  u64 gate = idt[14];
  pool_used = 0;
  idt[14] = gate_descriptor(KERNEL_CS, vector_entry(14), GATE_INT32, 0);
  for (u32 i = 0; i < 3; i++) *(u32 *)(frames[i] = new_page()) = i;
  for (u32 i = 0; i < 2; i++) {
    make_space(&spaces[i]);
    map_user(&spaces[i], PROBE, frames[i]);
  }
  for (u32 way = 0; way < COUNT(ways); way++)
    for (u32 lazy = 0; lazy < 2; lazy++) {
      int ok = seen_in(a) == 0 && seen_in(b) == 1 && seen_in(a) == 0 && seen_in(b) == 1;
      if (lazy) vmi.set_lazy_mode(VMI_LAZY_MMU);
      change(a, way, frames[2] | PTE_MINE, lazy ? VMI_DEFER : 0);
      if (lazy) vmi.set_lazy_mode(VMI_LAZY_NONE);
      ok &= *(volatile u32 *)PROBE == 1 && seen_in(a) == 2 && seen_in(b) == 1 && seen_in(a) == 2;
      change(a, way, frames[0] | PTE_MINE, VMI_CURRENT | PROBE);
      vmi.inval_page(PROBE);
      ok &= *(volatile u32 *)PROBE == 0;
      change(a, way, frames[2] | PTE_MINE, VMI_CURRENT | VMI_DEFER | PROBE);
      vmi.flush_tlb(1);
      ok &= *(volatile u32 *)PROBE == 2 && seen_in(b) == 1;
      change(a, way, frames[0] | PTE_MINE, 0);
      print("%s %s entries %s%s\n", ok ? "ok" : "FAIL", name, ways[way], lazy ? " lazily" : "");
    }
  /* Rights, by the kernel's own write: nothing remembers that the page was written to before. */
  vmi.set_cr0(vmi.get_cr0() | CR0_WP);
  vmi.set_cr3(a->root);
  *(volatile u32 *)(PROBE + 8) = 1;
  vmi.set_cr3(b->root);
  change(a, 0, frames[0] | PTE_P | PTE_U, 0);
  vmi.set_cr3(a->root);
  TRY("movl $7, 0x40020008");
  check("read-only behind a switch", fault.happened && fault.frame.vector == 14 && fault.frame.error == 3);
  vmi.set_cr0(vmi.get_cr0() & ~CR0_WP);
  /* Tables are given up while they are in use. They go on serving: the processor goes by memory. */
  vmi.release_page(a->table >> 12, VMI_PT);
  vmi.release_page(a->root >> 12, VMI_PD);
  check("released tables", *(volatile u32 *)PROBE == 0 && seen_in(b) == 1 && seen_in(a) == 0);
  vmi.set_cr3(kernel_root());
  idt[14] = gate;
}

/* ---- Processes. */
void switch_stacks(u32 *save, u32 load);
__asm__("switch_stacks:\n movl 4(%esp), %eax\n movl 8(%esp), %edx\n pushl %ebp\n pushl %ebx\n pushl %esi\n pushl %edi\n"
        " movl %esp, (%eax)\n movl %edx, %esp\n popl %edi\n popl %esi\n popl %ebx\n popl %ebp\n ret\n");

static void switch_to(u32 next)
{
  u32 before = current;
  vmi.set_lazy_mode(VMI_LAZY_CPU);
  tss.esp0 = processes[next].stack_top;
  vmi.update_kernel_stack(KERNEL_DS, processes[next].stack_top);
  vmi.set_cr3(processes[next].root);
  vmi.set_lazy_mode(VMI_LAZY_NONE);
  current = next;
  switches++;
  switch_stacks(before == PROCESSES ? &boot_esp : &processes[before].esp, processes[next].esp);
}
static void yield(void)
{
  for (u32 i = 1; i <= PROCESSES; i++) {
    u32 next = (current + i) % PROCESSES;
    if (processes[next].ended) continue;
    if (next != current) switch_to(next);
    return;
  }
  /* Nobody is left: back to where they were started. */
  vmi.set_cr3(kernel_root());
  switch_stacks(&processes[current].esp, boot_esp);
}
static void start(u32 n)
{
  struct process *p = &processes[n];
  u32 code = new_page(), data = new_page();
  *p = (struct process){.stack_top = (u32)kernel_stacks[n] + 4096};
  make_space(p);
  memcpy((void *)code, user_begin, (u32)(user_end - user_begin));
  *(u32 *)data = 1000 * (n + 1);
  map_user(p, USER_CODE, code);
  map_user(p, USER_DATA, data);
  u32 *top = (u32 *)p->stack_top;
  *--top = USER_DS;
  *--top = USER_DATA + 4096;
  *--top = EFLAGS_IF | 2;
  *--top = USER_CS;
  *--top = USER_CODE;
  *--top = (u32)vmi_first_return;
  for (int i = 0; i < 4; i++) *--top = 0;
  p->esp = (u32)top;
}

/* ---- What comes in: see vmi_entries in vmi-sites.S. */
void vmi_system_call(struct vmi_frame *frame)
{
  struct process *p = &processes[current];
  if (frame->eax == 1) yield();
  if (frame->eax == 2) {
    /* Nothing runs until the alarm has come. */
    u32 seen = ticks;
    sleeps++;
    vmi.start_alarm(SLEEP_CYCLES);
    while (ticks == seen) {
      vmi_site_disable();
      if (ticks == seen) vmi.halt();
    }
    vmi_site_disable();
  }
  if (frame->eax == 3) {
    p->result = frame->edx;
    p->ended = 1;
    u32 index = pae ? 511 : 1023;
    vmi.set_lazy_mode(VMI_LAZY_MMU);
    for (u32 i = 0; i <= index; i++) set_entry(p->table, i, 0, VMI_PT);
    vmi.set_lazy_mode(VMI_LAZY_NONE);
    vmi.flush_tlb(1);
    vmi.set_cr3(kernel_root());
    vmi.release_page(p->table >> 12, VMI_PT);
    vmi.release_page(p->root >> 12, VMI_PD);
    yield();
  }
}
void vmi_page_fault(struct vmi_frame *frame)
{
  u32 address = vmi.get_cr2();
  if (address < USER_HEAP || address >= USER_HEAP + HEAP_PAGES * 4096 || (frame->error & 5) != 4) {
    print("FAIL fault at %x error %x eip %x\n", address, frame->error, frame->eip);
    leave(2);
  }
  processes[current].faults++;
  map_user(&processes[current], address, new_page());
  vmi.inval_page(address);
}
void vmi_timer(struct vmi_frame *frame)
{
  ticks++;
  pic_eoi(0);
}

static void run(const char *name)
{
  pool_used = switches = sleeps = 0;
  current = PROCESSES;
  for (u32 i = 0; i < PROCESSES; i++) start(i);
  switch_to(0);
  u32 faults = 0;
  for (u32 i = 0; i < PROCESSES; i++) {
    faults += processes[i].faults;
    print("%s process %u: %u\n", name, i, processes[i].result);
  }
  print("%s faults %u switches %u sleeps %u\n", name, faults, switches, sleeps);
}
static void set_gate(int vector, void (*entry)(void), u8 access)
{
  u64 gate = gate_descriptor(KERNEL_CS, (u32)entry, access, 0);
  vmi.write_idt_entry(idt, vector, (u32)gate, (u32)(gate >> 32));
}

static void registers(void)
{
  struct {
    u16 limit;
    u32 base;
  } __attribute__((packed)) table;
  vmi.get_gdt(&table);
  check("GDT", table.base == (u32)gdt && table.limit >= 0x2f);
  vmi.set_gdt(&table);
  vmi.get_idt(&table);
  check("IDT", table.base == (u32)idt);
  vmi.set_idt(&table);
  check("TR", vmi.get_tr() == TSS_SELECTOR);
  vmi.set_ldt(0);
  check("CR0", vmi.get_cr0() == read_cr0());
  vmi.set_cr0(vmi.get_cr0() | CR0_TS);
  check("TS", (read_cr0() & CR0_TS) != 0);
  vmi.clts();
  check("CLTS", (read_cr0() & CR0_TS) == 0);
  vmi.set_cr2(0x12345678);
  check("CR2", vmi.get_cr2() == 0x12345678);
  vmi.set_cr4(vmi.get_cr4() | CR4_PGE);
  check("CR4", vmi.get_cr4() == read_cr4() && (read_cr4() & CR4_PGE) != 0);
  vmi.set_dr(3, 0xcafe0);
  check("DR3", vmi.get_dr(3) == 0xcafe0);
  vmi.set_dr(3, 0);
  vmi.write_gdt_entry(gdt, SPARE(3) / 8, 0x1234ffff, 0x00cf9200);
  check("WriteGDTEntry", gdt[SPARE(3) / 8] == 0x00cf92001234ffffull);
  vmi.update_kernel_stack(KERNEL_DS, 0x7654);
  tss.esp0 = vmi.keeps_stack ? tss.esp0 : 0x7654;
  check("UpdateKernelStack", tss.esp0 == 0x7654);
  vmi.set_iopl_mask(EFLAGS_IOPL(3));
  check("SetIOPLMask", (read_eflags() & EFLAGS_IOPL(3)) == EFLAGS_IOPL(3));
  vmi.set_iopl_mask(0);
  vmi.io_delay();
  vmi.wbinvd();
  vmi.flush_tlb(3);
  u64 entry = ~0ull;
  vmi.set_long_entry(0x11223344, 0x55667788, (u32 *)&entry, VMI_PT);
  check("SetPxELong", entry == 0x5566778811223344ull);
}
static void interrupt_flag(void)
{
  vmi_site_enable();
  check("enabled", (read_eflags() & EFLAGS_IF) != 0 && vmi_site_mask() == EFLAGS_IF);
  vmi_site_disable();
  check("disabled", (read_eflags() & EFLAGS_IF) == 0 && vmi_site_mask() == 0);
  vmi_site_set_mask(EFLAGS_IF);
  check("mask set", (read_eflags() & EFLAGS_IF) != 0);
  vmi_site_set_mask(0);
  check("mask cleared", (read_eflags() & EFLAGS_IF) == 0);
  check("registers kept", vmi_sites_keep_registers());
}

/* What IRET finds wrong is the fault of the site, which an exception table would know. */
static void bad_return(void)
{
  TRY("pushl $2\n pushl $0xfff3\n pushl $0x1234\n jmp vmi_site_iret");
  u32 site = *(u8 *)vmi_site_iret == 0xe8 ? (u32)vmi_site_iret : (u32)vmi_native_iret;
  u32 *frame = (u32 *)(fault.frame_address + 12);
  check("bad return", fault.happened && fault.frame.vector == 13 && fault.frame.error == 0xfff0);
  check("bad return at its site", fault.frame.eip == site);
  check("bad return keeps the frame", frame[0] == 0x1234 && frame[1] == 0xfff3 && frame[2] == 2);
}

/* Ring 3 may not reach the kernel's pages: that its first instruction faults there shows that it was left for. */
extern u8 beyond_sysexit[];
static void system_exit(void)
{
  __asm__ volatile("wrmsr" : : "c"(0x174), "a"(KERNEL_CS), "d"(0));
  TRY("movl $beyond_sysexit, %edx\n movl $user_stack + 4096, %ecx\n jmp vmi_site_sysexit\n"
      ".globl beyond_sysexit\n beyond_sysexit: hlt");
  check("SYSEXIT", fault.happened && fault.frame.vector == 14 && (fault.frame.error & 4) != 0 &&
                     fault.frame.cs == USER_CS && fault.frame.eip == (u32)beyond_sysexit);
  check("SYSEXIT enables", (fault.frame.eflags & EFLAGS_IF) != 0);
}

void test_main(void)
{
  paging_on();
  vmi_activate();
  pic_init();
  registers();
  interrupt_flag();
  bad_return();
  system_exit();
  vmi_rest();
  set_gate(SYSCALL, vmi_entry_system_call, 0xee);
  set_gate(14, vmi_entry_page_fault, 0x8e);
  set_gate(TIMER_VECTOR, vmi_entry_timer, 0x8e);
  pic_unmask(0);
  vmi.allocate_page((u32)page_directory >> 12, VMI_PD | VMI_ZEROED, 0, 0, 0);
  run("plain");
  changed_entries("plain");
  paging_off();
  pae = 1;
  for (u32 i = 0; i < 16; i++) pae_kernel[i] = (u64)(i << 21) | PTE_P | PTE_W | PTE_PS;
  *(u64 *)pae_root = (u32)pae_kernel | PTE_P;
  vmi.set_cr4(vmi.get_cr4() | 0x20);
  vmi.set_cr3((u32)pae_root);
  vmi.set_cr0(vmi.get_cr0() | CR0_PG);
  vmi.allocate_page((u32)pae_root >> 12, VMI_PD | VMI_PAE, 0, 0, 0);
  run("PAE");
  changed_entries("PAE");
  vmi_clock();
  leave(0);
}
