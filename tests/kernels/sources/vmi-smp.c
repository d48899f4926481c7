/* A kernel for several processors that uses VMI 3.0 as Linux 2.6.21 to 2.6.36 does where there is a ROM, and the processors alone where
   there is none; what comes out is the same, but for lines that have VMI:. Processes in address spaces of their own, without PAE and with it,
   fault pages in, go from processor to processor by system calls of both kinds, and sleep on the timer of the one that they are on.
   Threads share an address space, whose pages change under them. Processors send each other messages, and are stopped and started again. */
#include "smp.h"

#define USER_CODE 0x40000000u
#define USER_DATA 0x40001000u
#define USER_HEAP 0x40010000u
#define WINDOW 0x40020000u
#define APIC_PAGE 0xfee00000u
#define HEAP_PAGES 8
#define MOST_PROCESSES (2 * PROCESSORS_MAX)
#define PTE_MINE (PTE_P | PTE_W | PTE_U)
#define CR4_PAE 0x20u
#define SYSCALL 0x80
#define LOCAL_TIMER 0x41
#define RESCHEDULE 0x50
#define SHOOT 0x51
#define COUNTED 0x52
#define SLEEP_CYCLES 300000u
#define SYSENTER_CS_MSR 0x174
#define SYSENTER_ESP_MSR 0x175
#define SYSENTER_EIP_MSR 0x176
#define THREAD_ROUNDS 500u

/* A process: each time a page of its heap is new, and it is on another processor. Every other time it calls by SYSENTER. */
extern u8 user_begin[], user_end[], thread_begin[], thread_end[];
__asm__("user_begin:\n"
        " movl $0x40001000, %ebx\n xorl %esi, %esi\n"
        "1: incl (%ebx)\n movl %esi, %edi\n shll $12, %edi\n addl $0x40010000, %edi\n"
        " movl (%ebx), %eax\n movl %eax, (%edi)\n"
        " movl $1, %eax\n testl $1, %esi\n jnz 2f\n int $0x80\n jmp 4f\n"
        "2: movl %esp, %ecx\n call 3f\n"
        "3: popl %edx\n addl $4f - 3b, %edx\n movl %esp, %ecx\n sysenter\n"
        "4: incl %esi\n cmpl $8, %esi\n jne 1b\n"
        " movl $2, %eax\n int $0x80\n"
        " xorl %edx, %edx\n xorl %esi, %esi\n"
        "5: movl %esi, %edi\n shll $12, %edi\n addl $0x40010000, %edi\n addl (%edi), %edx\n"
        " incl %esi\n cmpl $8, %esi\n jne 5b\n"
        " movl $3, %eax\n int $0x80\n"
        "user_end:\n"
        /* A thread: counts with the others, and waits until it sees another page in the window. */
        "thread_begin:\n"
        " movl $0x40001000, %ebx\n movl $500, %ecx\n"
        "1: lock incl (%ebx)\n decl %ecx\n jnz 1b\n"
        " lock incl 4(%ebx)\n"
        "2: pause\n movl 0x40020000, %edx\n cmpl $2, %edx\n jne 2b\n"
        " movl $3, %eax\n int $0x80\n"
        "thread_end:\n");

enum { UNUSED, READY, RUNNING, SLEEPING, ENDED, IDLE };
struct process {
  u32 root, table, esp, stack_top, result, faults, visited, ended_on;
  volatile u32 state, home;
};
struct on_processor {
  struct process idle, *current;
  volatile u32 ticks, counted;
  u32 sysenters;
};
static struct process processes[MOST_PROCESSES];
static struct on_processor own[PROCESSORS_MAX];
static u8 process_stacks[MOST_PROCESSES][STACK_SIZE] __attribute__((aligned(STACK_SIZE)));
static u8 pool[MOST_PROCESSES * (HEAP_PAGES + 5) + 8][4096] __attribute__((aligned(4096)));
static volatile u32 lock, sending, online, shot, alive;
static u32 pool_used, count;
static int pae;
static u32 pae_root[8] __attribute__((aligned(32)));
static u64 pae_kernel[512] __attribute__((aligned(4096))), pae_devices[512] __attribute__((aligned(4096)));
/* What every processor does that idles: one at a time. */
static void (*volatile job)(u32 id);
static volatile u32 job_number, job_done;

/* Every stack has the number of the processor that is on it as its first word. */
__attribute__((noinline)) static u32 self(void)
{
  u32 esp;
  __asm__ volatile("movl %%esp, %0" : "=r"(esp));
  return *(volatile u32 *)(esp & ~(STACK_SIZE - 1));
}

/* ---- Page tables, of either size. */
static u32 new_page(void)
{
  acquire(&lock);
  if (pool_used == COUNT(pool)) {
    print("FAIL out of pages\n");
    leave(2);
  }
  u8 *page = pool[pool_used++];
  release(&lock);
  memset(page, 0, 4096);
  return (u32)page;
}
static void set_entry(u32 table, u32 index, u32 value, u32 flags)
{
  if (pae) vmi.set_long_entry(value, 0, (u32 *)(table + 8 * index), flags);
  else vmi.set_entry(value, (u32 *)(table + 4 * index), flags);
}
static void map_user(struct process *p, u32 linear, u32 physical)
{
  set_entry(p->table, linear >> 12 & (pae ? 511 : 1023), physical | PTE_MINE, VMI_PT | VMI_CURRENT | (linear & 0xfffff000u));
}
static void make_space(struct process *p)
{
  u32 extra = pae ? VMI_PAE : 0;
  p->root = new_page();
  p->table = new_page();
  vmi.allocate_page(p->table >> 12, VMI_PT | VMI_ZEROED | extra, 0, 0, 0);
  if (pae) {
    u32 directory = new_page();
    memcpy((void *)p->root, pae_root, sizeof pae_root);
    vmi.allocate_page(p->root >> 12, VMI_PD | VMI_ZEROED | VMI_CLONE | extra, (u32)pae_root >> 12, 0, 4);
    vmi.allocate_page(directory >> 12, VMI_PD | VMI_ZEROED | extra, 0, 0, 0);
    vmi.set_long_entry(directory | PTE_P, 0, (u32 *)(p->root + 8), VMI_PDP);
    set_entry(directory, 0, p->table | PTE_MINE, VMI_PD);
  } else {
    memcpy((void *)p->root, page_directory, 4096);
    vmi.allocate_page(p->root >> 12, VMI_PD | VMI_ZEROED | VMI_CLONE, (u32)page_directory >> 12, 0, 1024);
    set_entry(p->root, USER_CODE >> 22, p->table | PTE_MINE, VMI_PD);
  }
}
static void give_up_space(struct process *p)
{
  u32 index = pae ? 511 : 1023;
  vmi.set_lazy_mode(VMI_LAZY_MMU);
  for (u32 i = 0; i <= index; i++) set_entry(p->table, i, 0, VMI_PT);
  vmi.set_lazy_mode(VMI_LAZY_NONE);
  vmi.release_page(p->table >> 12, VMI_PT);
  vmi.release_page(p->root >> 12, VMI_PD);
}
static u32 kernel_root(void)
{
  return pae ? (u32)pae_root : (u32)page_directory;
}

/* ---- Scheduling. The kernel runs with interrupts off, but where it halts and where it waits for messages. */
void switch_stacks(u32 *save, u32 load);
void begin_process(void);
__asm__("switch_stacks:\n movl 4(%esp), %eax\n movl 8(%esp), %edx\n pushl %ebp\n pushl %ebx\n pushl %esi\n pushl %edi\n"
        " movl %esp, (%eax)\n movl %edx, %esp\n popl %edi\n popl %esi\n popl %ebx\n popl %ebp\n ret\n"
        "begin_process:\n movl $0, lock\n jmp vmi_first_return\n");

static struct process *ready_on(u32 id)
{
  for (u32 i = 0; i < MOST_PROCESSES; i++)
    if (processes[i].state == READY && processes[i].home == id) return &processes[i];
  return NULL;
}
static void tell(u32 id)
{
  if (id != self()) send_message(id, ICR_ASSERT | RESCHEDULE);
}
/* Whoever runs goes on in a state, on a processor. The lock is taken, and left by whoever is switched to: nobody takes up a process
   before it has left its stack. */
static void leave_for(u32 state, u32 home)
{
  acquire(&lock);
  u32 id = self();
  struct on_processor *o = &own[id];
  struct process *before = o->current, *next;
  if (before != &o->idle) {
    before->state = state;
    before->home = home;
    if (state == READY) tell(home);
  }
  next = ready_on(id);
  if (next == NULL && before->state == RUNNING) next = before;
  if (next == NULL) next = &o->idle;
  if (next != before) {
    if (before->state == RUNNING) before->state = READY;
    if (next != &o->idle) next->state = RUNNING, next->visited |= 1u << id;
    o->current = next;
    *(u32 *)(next->stack_top - STACK_SIZE) = id;
    vmi.set_lazy_mode(VMI_LAZY_CPU);
    processors[id].tss[1] = next->stack_top;
    vmi.update_kernel_stack(KERNEL_DS, next->stack_top);
    vmi.set_cr3(next->root);
    vmi.set_lazy_mode(VMI_LAZY_NONE);
    /* Whoever waits for the last one may use its pages for something else. */
    if (before->state == ENDED && --alive == 0) tell(0);
    switch_stacks(&before->esp, next->esp);
  } else if (before != &o->idle) before->state = RUNNING;
  release(&lock);
}
static void schedule(void) { leave_for(RUNNING, self()); }
/* Runs what there is to run, and does jobs, until all processes have ended. */
static void idle(u32 until_none)
{
  u32 id = self(), seen = job_number;
  for (;;) {
    schedule();
    if (until_none && alive == 0) return;
    if (id != 0 && seen != job_number) {
      seen++;
      job(id);
      increment(&job_done);
    }
    vmi_site_disable();
    /* Messages come for all that changes here. */
    if (ready_on(id) == NULL && seen == job_number && !(until_none && alive == 0)) vmi.halt();
    vmi_site_disable();
  }
}
static void everywhere(void (*what)(u32 id))
{
  job_done = 0;
  job = what;
  job_number++;
  if (count > 1) send_message(0, ICR_OTHERS | ICR_ASSERT | RESCHEDULE);
  what(0);
  while (job_done != count - 1) pause();
}
static void start(u32 n, u32 home, u32 root, u32 table)
{
  struct process *p = &processes[n];
  u32 *top = (u32 *)(process_stacks[n] + STACK_SIZE);
  *p = (struct process){.root = root, .table = table, .stack_top = (u32)top, .home = home};
  *--top = USER_DS;
  *--top = USER_DATA + 4096;
  *--top = EFLAGS_IF | 2;
  *--top = USER_CS;
  *--top = USER_CODE;
  *--top = (u32)begin_process;
  for (int i = 0; i < 4; i++) *--top = 0;
  p->esp = (u32)top;
}

/* ---- What comes in: see vmi-sites.S. */
void vmi_system_call(struct vmi_frame *frame)
{
  u32 id = self();
  struct process *p = own[id].current;
  if (frame->eax == 1) {
    own[id].sysenters += frame->eip != 0 && *(u16 *)(frame->eip - 2) == 0x340f;
    leave_for(READY, (id + 1) % count);
  }
  if (frame->eax == 2) {
    vmi.start_local_alarm(SLEEP_CYCLES);
    leave_for(SLEEPING, id);
  }
  if (frame->eax == 3) {
    p->result = frame->edx;
    p->ended_on = id;
    leave_for(ENDED, id);
  }
}
void vmi_page_fault(struct vmi_frame *frame)
{
  u32 address = vmi.get_cr2();
  struct process *p = own[self()].current;
  if (address < USER_HEAP || address >= USER_HEAP + HEAP_PAGES * 4096 || (frame->error & 5) != 4) {
    print("FAIL fault on %u at %x error %x eip %x\n", self(), address, frame->error, frame->eip);
    leave(2);
  }
  p->faults++;
  map_user(p, address, new_page());
  vmi.inval_page(address);
}
static void preempt(struct vmi_frame *frame)
{
  if ((frame->cs & 3) == 3) schedule();
}
void vmi_local_timer(struct vmi_frame *frame)
{
  u32 id = self();
  own[id].ticks++;
  vmi.apic_write(APIC_EOI, 0);
  for (u32 i = 0; i < MOST_PROCESSES; i++)
    if (processes[i].state == SLEEPING && processes[i].home == id) processes[i].state = READY;
  preempt(frame);
}
void vmi_reschedule(struct vmi_frame *frame)
{
  vmi.apic_write(APIC_EOI, 0);
  preempt(frame);
}
void vmi_shoot(struct vmi_frame *frame)
{
  (void)frame;
  vmi.inval_page(WINDOW);
  increment(&shot);
  vmi.apic_write(APIC_EOI, 0);
}
void vmi_count(struct vmi_frame *frame)
{
  (void)frame;
  increment(&own[self()].counted);
  vmi.apic_write(APIC_EOI, 0);
}
static void set_gate(int vector, void (*entry)(void), u8 access)
{
  u64 gate = gate_descriptor(KERNEL_CS, (u32)entry, access, 0);
  vmi.write_idt_entry(idt, vector, (u32)gate, (u32)(gate >> 32));
}

/* ---- Processors. */
static void write_msr(u32 msr, u32 value) { __asm__ volatile("wrmsr" : : "c"(msr), "a"(value), "d"(0)); }
/* What each does first. */
static void set_up(u32 id)
{
  struct processor *p = &processors[id];
  struct on_processor *o = &own[id];
  /* Its task state segment may be busy from before. */
  vmi.write_gdt_entry(p->gdt, TSS_SELECTOR / 8, (u32)segment_descriptor((u32)p->tss, sizeof p->tss - 1, SEG_TSS32, 0),
                      (u32)(segment_descriptor((u32)p->tss, sizeof p->tss - 1, SEG_TSS32, 0) >> 32));
  vmi.set_tr(TSS_SELECTOR);
  vmi.set_ldt(0);
  vmi.set_linear_mapping(0, 0, 8192, 0);
  o->idle = (struct process){.root = kernel_root(), .stack_top = (u32)p->stack + STACK_SIZE, .state = IDLE};
  o->current = &o->idle;
  p->tss[1] = o->idle.stack_top;
  write_msr(SYSENTER_CS_MSR, KERNEL_CS);
  /* There it finds the stack pointer of whoever runs. */
  write_msr(SYSENTER_ESP_MSR, (u32)&p->tss[1]);
  write_msr(SYSENTER_EIP_MSR, (u32)vmi_entry_sysenter);
  vmi.apic_write(APIC_SVR, 0x1ff);
  vmi.apic_write(APIC_LVT_TIMER, LOCAL_TIMER);
}
void processor_main(void)
{
  u32 id, base = 0, shown;
  __asm__ volatile("movl %%fs:0, %0" : "=r"(id));
  struct {
    u16 limit;
    u32 base;
  } __attribute__((packed)) table, interrupts;
  vmi.get_gdt(&table);
  vmi.get_idt(&interrupts);
  base = table.base;
  *(u32 *)processors[id].stack = id;
  shown = vmi.apic_read(APIC_ID) >> 24;
  if (shown != id || base != (u32)processors[id].gdt || interrupts.base != (u32)idt || vmi.get_cr0() != read_cr0()) {
    print("FAIL processor %u has identifier %u and tables at %x and %x\n", id, shown, base, interrupts.base);
    leave(2);
  }
  set_up(id);
  set_bits(&online, 1u << id);
  idle(0);
}
static void start_all(void)
{
  online = 1;
  for (u32 id = 1; id < count; id++) {
    struct vmi_ap_state state;
    describe_start(id, &state, start_secondary);
    start_processor(id, &state);
    while ((online & 1u << id) == 0) pause();
  }
  print("ok %s started %x\n", pae ? "PAE" : "plain", online);
}

/* ---- The processes. */
static void run(const char *name)
{
  u32 n = 2 * count, faults = 0, wrong = 0, visited = ~0u, sysenters = 0, ticks = 0;
  pool_used = 0;
  alive = n;
  for (u32 id = 0; id < count; id++) own[id].sysenters = own[id].ticks = 0;
  for (u32 i = 0; i < n; i++) {
    struct process space;
    make_space(&space);
    u32 code = new_page(), data = new_page();
    memcpy((void *)code, user_begin, (u32)(user_end - user_begin));
    *(u32 *)data = 1000 * (i + 1);
    start(i, i % count, space.root, space.table);
    map_user(&processes[i], USER_CODE, code);
    map_user(&processes[i], USER_DATA, data);
  }
  for (u32 i = 0; i < n; i++) {
    processes[i].state = READY;
    tell(processes[i].home);
  }
  idle(1);
  for (u32 i = 0; i < n; i++) {
    faults += processes[i].faults;
    wrong += processes[i].result != 8000 * (i + 1) + 36;
    visited &= processes[i].visited;
    give_up_space(&processes[i]);
    processes[i].state = UNUSED;
  }
  u32 slept = 0;
  for (u32 id = 0; id < count; id++) {
    sysenters += own[id].sysenters;
    ticks += own[id].ticks;
    slept += own[id].ticks > 0;
  }
  print("ok %s processes %u wrong %u faults %u everywhere %u\n", name, n, wrong, faults, visited == (1u << count) - 1);
  print("ok %s sysenters %u\n", name, sysenters);
  /* Two processes are on each processor when they sleep, and may wake by the same alarm. */
  print("ok %s slept on %u timers %s\n", name, slept, ticks >= count && ticks <= n ? "as often as asked" : "too often");
}

/* ---- Threads of one address space. */
static void threads(const char *name)
{
  u32 n = count - 1;
  struct process space;
  pool_used = 0;
  make_space(&space);
  u32 code = new_page(), data = new_page(), first = new_page(), second = new_page();
  memcpy((void *)code, thread_begin, (u32)(thread_end - thread_begin));
  *(u32 *)first = 1;
  *(u32 *)second = 2;
  map_user(&space, USER_CODE, code);
  map_user(&space, USER_DATA, data);
  map_user(&space, WINDOW, first);
  alive = n;
  for (u32 i = 0; i < n; i++) {
    start(i, i + 1, space.root, space.table);
    processes[i].state = READY;
    tell(i + 1);
  }
  volatile u32 *arrived = (volatile u32 *)(data + 4);
  while (*arrived != n) pause();
  /* All of them look at the first page now; none of them hears of the other one by itself. */
  shot = 0;
  map_user(&space, WINDOW, second);
  if (count > 1) send_message(0, ICR_OTHERS | ICR_ASSERT | SHOOT);
  while (shot != n) pause();
  idle(1);
  u32 sum = 0;
  for (u32 i = 0; i < n; i++) {
    sum += processes[i].result;
    processes[i].state = UNUSED;
  }
  check("threads", *(u32 *)data == THREAD_ROUNDS * n && sum == 2 * n);
  give_up_space(&space);
  print("ok %s threads %u counted %u\n", name, n, *(u32 *)data);
}

/* ---- Messages. */
static void wait_counted(u32 id, u32 expected)
{
  while (own[id].counted < expected) {
    vmi_site_disable();
    if (own[id].counted < expected) vmi.halt();
  }
  vmi_site_disable();
}
static void send_to_all(u32 id)
{
  vmi_site_enable();
  for (u32 to = 0; to < count; to++)
    if (to != id) {
      /* Two that are not yet served would be one: the next one waits. */
      acquire(&sending);
      u32 before = own[to].counted;
      send_message(to, ICR_ASSERT | COUNTED);
      while (own[to].counted == before) pause();
      release(&sending);
    }
  vmi_site_disable();
  wait_counted(id, count - 1);
}
static void messages(void)
{
  for (u32 id = 0; id < count; id++) own[id].counted = 0;
  everywhere(send_to_all);
  print("ok messages");
  for (u32 id = 0; id < count; id++) print(" %u", own[id].counted);
  send_message(0, ICR_SELF | ICR_ASSERT | COUNTED);
  wait_counted(0, count);
  if (count > 1) send_message(0, ICR_OTHERS | ICR_ASSERT | COUNTED);
  for (u32 id = 1; id < count; id++)
    while (own[id].counted != count) pause();
  print(" and");
  for (u32 id = 0; id < count; id++) print(" %u", own[id].counted);
  print("\n");
}

/* ---- What only VMI has. */
static volatile u32 clock_wrong;
static volatile u64 last_seen;
static void keep_time(u32 id)
{
  /* Nobody sees time that another one has not come to yet. */
  for (u32 i = 0; i < 200; i++) {
    acquire(&lock);
    u64 now = vmi_counter(0);
    if (now < last_seen) increment(&clock_wrong);
    last_seen = now;
    release(&lock);
  }
  if (vmi_counter(1) > vmi_counter(0)) increment(&clock_wrong);
  /* Each has alarms of its own. */
  own[id].ticks = 0;
  vmi_set_alarm(0x10101, vmi_counter(1), 100000 * (id + 1));
  while (own[id].ticks < 3) {
    vmi_site_disable();
    if (own[id].ticks < 3) vmi.halt();
  }
  vmi_site_disable();
  if (vmi_cancel_alarm(0x10001) != 1 || vmi_cancel_alarm(0x10001) != 0 || vmi_cancel_alarm(0x10000) != 0)
    increment(&clock_wrong);
}
static void one_alarm(u32 id)
{
  own[id].ticks = 0;
  if (id == count - 1) vmi_set_alarm(0x10000, vmi_counter(0) + 1000000, 0);
}
static void clocks(void)
{
  last_seen = clock_wrong = 0;
  everywhere(keep_time);
  check("VMI: clocks", clock_wrong == 0);
  everywhere(one_alarm);
  while (own[count - 1].ticks == 0) {
    vmi_site_enable();
    pause();
    vmi_site_disable();
  }
  u32 others = 0;
  for (u32 id = 0; id + 1 < count; id++) others += own[id].ticks;
  check("VMI: alarm of one", others == 0 && own[count - 1].ticks == 1);
}

static u32 not_started(const struct vmi_ap_state *state)
{
  u32 id = count - 1;
  online &= ~(1u << id);
  start_processor(id, state);
  short_delay(500);
  return (online & 1u << id) == 0;
}
/* States that no processor can start in. One of them is changed from a right one each time. */
static void wrong_states(void)
{
  static const char *const names[] = {
      "without PE", "without PG", "reserved CR4", "EFER.LME", "VM", "null CS", "CS of data", "CS beyond its table", "CS of ring 3",
      "CS not present", "EIP beyond CS", "null SS", "SS of code", "SS of ring 3", "DS of the system", "ES beyond its table",
      "FS not present", "LDT of data", "LDT in itself", "tables nowhere", "CR3 nowhere", "NW without CD", "no table",
  };
  u32 id = count - 1, refused = 0;
  struct vmi_ap_state right;
  for (u32 n = 0; n < COUNT(names); n++) {
    struct vmi_ap_state s;
    describe_start(id, &s, start_secondary);
    u64 *table = processors[id].gdt;
    switch (n) {
    case 0: s.cr0 &= ~1u; break;
    case 1: s.cr0 &= ~CR0_PG; break;
    case 2: s.cr4 |= 1u << 31; break;
    case 3: s.efer = 0x100; break;
    case 4: s.eflags = 0x20000; break;
    case 5: s.cs = 0; break;
    case 6: s.cs = KERNEL_DS; break;
    case 7: s.cs = 0x1000; break;
    case 8: s.cs = USER_CS; break;
    case 9: table[SPARE(9) / 8] = segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_CODE_XR), SEG_G | SEG_32), s.cs = SPARE(9); break;
    case 10: table[SPARE(9) / 8] = segment_descriptor(0, 1, SEG_CODE_XR, SEG_G | SEG_32), s.cs = SPARE(9); break;
    case 11: s.ss = 0; break;
    case 12: s.ss = KERNEL_CS; break;
    case 13: s.ss = USER_DS; break;
    case 14: s.ds = TSS_SELECTOR; break;
    case 15: s.es = 0x1008; break;
    case 16: table[SPARE(9) / 8] = segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_DATA_RW), SEG_G | SEG_32), s.fs = SPARE(9); break;
    case 17: s.ldtr = KERNEL_DS; break;
    case 18: s.ldtr = OWN_LDT | 4; break;
    case 19: s.gdtr_base = 0x70000000; break;
    case 20: s.cr3 = 0xfffff000; break;
    case 21: s.cr0 = (s.cr0 | 0x20000000u) & ~0x40000000u; break;
    case 22: s.gdtr_limit = 0; break;
    }
    if (not_started(&s)) refused++;
    else print("FAIL VMI: state %s\n", names[n]);
  }
  print("VMI: refused states %u of %u\n", refused, (u32)COUNT(names));
  /* Processors that there are not, and the one that runs. */
  describe_start(id, &right, start_secondary);
  right.eip = 0;
  vmi.set_initial_ap_state(&right, count);
  vmi.set_initial_ap_state(&right, 0xff);
  vmi.set_initial_ap_state(&right, 0xffffffff);
  vmi.set_initial_ap_state(&right, 0);
  /* A right one, with something in each register. */
  describe_start(id, &right, start_secondary);
  right.eax = 0x11111111, right.ebx = 0x22222222, right.ecx = 0x33333333, right.edx = 0x44444444;
  right.ebp = 0x55555555, right.esi = 0x66666666, right.edi = 0x77777777, right.eflags = 0x8d5;
  right.ldtr = OWN_LDT, right.gs = USER_DS, right.cr2 = 0x12345678;
  check("VMI: right state", !not_started(&right));
  u32 found = 0;
  for (u32 i = 0; i < 7; i++) found += start_registers[i] == 0x11111111 * (i + 1);
  check("VMI: registers", found == 7 && start_registers[7] == 0x8d7);
}

/* Everything, with page tables of one kind. */
static void round(const char *name)
{
  start_all();
  run(name);
  threads(name);
  messages();
  if (vmi_present()) clocks();
  if (vmi.set_initial_ap_state != NULL && count > 1) wrong_states();
}
static void stop_others(void)
{
  for (u32 id = 1; id < count; id++) send_message(id, ICR_INIT);
  short_delay(200);
}
static void on_own_stack(void)
{
  *(u32 *)processors[0].stack = 0;
  set_up(0);
  round("plain");
  stop_others();
  paging_off();
  pae = 1;
  for (u32 i = 0; i < 16; i++) pae_kernel[i] = (u64)(i << 21) | PTE_P | PTE_W | PTE_PS;
  pae_devices[APIC_PAGE >> 21 & 511] = (u64)(APIC_PAGE & ~0x1fffffu) | PTE_P | PTE_W | PTE_PS;
  *(u64 *)pae_root = (u32)pae_kernel | PTE_P;
  *(u64 *)(pae_root + 6) = (u32)pae_devices | PTE_P;
  vmi.set_cr4(vmi.get_cr4() | CR4_PAE);
  vmi.set_cr3((u32)pae_root);
  vmi.set_cr0(vmi.get_cr0() | CR0_PG);
  vmi.allocate_page((u32)pae_root >> 12, VMI_PD | VMI_PAE, 0, 0, 0);
  own[0].idle.root = kernel_root();
  round("PAE");
  leave(0);
}

void test_main(void)
{
  struct vmi_ap_state state;
  count = count_processors();
  print("ok processors %u\n", count);
  paging_on();
  map_page(APIC_PAGE, APIC_PAGE, PTE_P | PTE_W);
  vmi_activate();
  set_gate(SYSCALL, vmi_entry_system_call, 0xee);
  set_gate(14, vmi_entry_page_fault, 0x8e);
  set_gate(LOCAL_TIMER, vmi_entry_local_timer, 0x8e);
  set_gate(RESCHEDULE, vmi_entry_reschedule, 0x8e);
  set_gate(SHOOT, vmi_entry_shoot, 0x8e);
  set_gate(COUNTED, vmi_entry_count, 0x8e);
  vmi.allocate_page((u32)page_directory >> 12, VMI_PD | VMI_ZEROED, 0, 0, 0);
  describe_start(0, &state, start_secondary);
  vmi.set_gdt(&state.gdtr_limit);
  __asm__ volatile("movl %0, %%esp\n call *%1" : : "r"(state.esp), "r"(on_own_stack) : "memory");
}
