/* Several processors (SDM vol. 3, 9.4 and 11.6): start, messages between local APICs, locks, TLBs and code that others change. */
#include "lib.h"

#define APIC(offset) (*(volatile u32 *)(0xfee00000u + (offset)))
#define APIC_ID 0x20
#define APIC_EOI 0xb0
#define APIC_LDR 0xd0
#define APIC_DFR 0xe0
#define APIC_SVR 0xf0
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_INITIAL_COUNT 0x380
#define APIC_DIVIDE 0x3e0
#define SVR_ENABLE 0x100u
#define DIVIDE_BY_16 3u
#define DFR_FLAT 0xffffffffu
#define DFR_CLUSTER 0x0fffffffu
#define ICR_FIXED 0x000u
#define ICR_LOWEST 0x100u
#define ICR_NMI 0x400u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define ICR_LOGICAL 0x800u
#define ICR_ASSERT 0x4000u
#define ICR_PENDING 0x1000u
#define ICR_SELF 0x40000u
#define ICR_ALL 0x80000u
#define ICR_OTHERS 0xc0000u
#define IOAPIC(offset) (*(volatile u32 *)(0xfec00000u + (offset)))

#define PROCESSORS 4u
#define VECTOR 0x60u
#define SHOOT 0x61u
#define TIMER 0x62u
#define LINE 0x63u
#define TRAMPOLINE 0x8000u
#define OTHER_TRAMPOLINE 0x9000u
#define WINDOW 0x40000000u

extern u8 trampoline[], trampoline_end[], trampoline_gdt[];
u8 ap_stacks[PROCESSORS * 4096] __attribute__((aligned(16)));
u32 ap_stack;
u8 ap_idt[6];

/* Code of real-address mode that enters protected mode, wherever it lies. */
__asm__("  .code16\n"
        "trampoline:\n"
        "  cli\n"
        "  movw %cs, %ax\n"
        "  movw %ax, %ds\n"
        "  lgdtl trampoline_gdt - trampoline\n"
        "  movl %cr0, %eax\n"
        "  orl $1, %eax\n"
        "  movl %eax, %cr0\n"
        "  ljmpl $0x08, $ap_entry\n"
        "  .align 4\n"
        "trampoline_gdt:\n"
        "  .word 0\n"
        "  .long 0\n"
        "trampoline_end:\n"
        "  .code32\n"
        "ap_entry:\n"
        "  movl $0x10, %eax\n"
        "  movl %eax, %ds\n"
        "  movl %eax, %es\n"
        "  movl %eax, %fs\n"
        "  movl %eax, %gs\n"
        "  movl %eax, %ss\n"
        "  lidtl ap_idt\n"
        "  movl $4096, %eax\n"
        "  lock xaddl %eax, ap_stack\n"
        "  leal ap_stacks + 4096(%eax), %esp\n"
        "  call ap_main\n");

static inline void pause(void) { __asm__ volatile("pause" : : : "memory"); }
static inline u32 exchange(volatile u32 *at, u32 value)
{
  __asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*at) : : "memory");
  return value;
}
static inline void increment(volatile u32 *at) { __asm__ volatile("lock incl %0" : "+m"(*at) : : "memory"); }
static u32 self(void) { return APIC(APIC_ID) >> 24; }

static volatile u32 started, present, done, job_number;
static void (*volatile job)(u32 id);
static volatile u32 interrupts[PROCESSORS], nmis[PROCESSORS], ticks[PROCESSORS], lines[PROCESSORS], shot;

static void delay(u32 times)
{
  while (times-- > 0) out8(0x80, 0);
}
static void wait_for(volatile u32 *what, u32 value)
{
  while (*what != value) pause();
}
static void send(u32 to, u32 command)
{
  APIC(APIC_ICR_HIGH) = to << 24;
  APIC(APIC_ICR_LOW) = command;
  while ((APIC(APIC_ICR_LOW) & ICR_PENDING) != 0) pause();
}

static void on_interrupt(struct frame *frame)
{
  (void)frame;
  increment(&interrupts[self()]);
  APIC(APIC_EOI) = 0;
}
static void on_nmi(struct frame *frame)
{
  (void)frame;
  increment(&nmis[self()]);
}
static void on_timer(struct frame *frame)
{
  (void)frame;
  increment(&ticks[self()]);
  APIC(APIC_EOI) = 0;
}
static void on_line(struct frame *frame)
{
  (void)frame;
  increment(&lines[self()]);
  APIC(APIC_EOI) = 0;
}
static void on_shoot(struct frame *frame)
{
  (void)frame;
  invlpg(WINDOW);
  increment(&shot);
  APIC(APIC_EOI) = 0;
}

void ap_main(void);
void ap_main(void)
{
  u32 id = self(), seen = job_number;
  APIC(APIC_SVR) = SVR_ENABLE | 0xff;
  __asm__ volatile("lock orl %1, %0" : "+m"(present) : "r"(1u << id) : "memory");
  increment(&started);
  __asm__ volatile("sti");
  for (;;) {
    while (job_number == seen) pause();
    seen++;
    job(id);
    increment(&done);
  }
}
/* Has the others do something, and this one too. */
static void everywhere(void (*what)(u32 id))
{
  done = 0;
  job = what;
  job_number++;
  what(0);
  wait_for(&done, PROCESSORS - 1);
}
static void install(u32 at)
{
  u8 *code = (u8 *)at;
  memcpy(code, trampoline, trampoline_end - trampoline);
  __asm__ volatile("sgdt %0" : "=m"(*(u8(*)[6])(code + (trampoline_gdt - trampoline))));
}

static volatile u32 lock, guarded, counted;
static volatile u64 wide;
static void count(u32 id)
{
  (void)id;
  for (u32 i = 0; i < 2000; i++) {
    while (exchange(&lock, 1) != 0) pause();
    guarded = guarded + 1;
    lock = 0;
    increment(&counted);
  }
  for (u32 i = 0; i < 500; i++) {
    u64 old = wide;
    u32 low = 0, high = 0, ok = 0;
    while (!ok) {
      low = (u32)(old + 0x80000001u), high = (u32)((old + 0x80000001u) >> 32);
      __asm__ volatile("lock cmpxchg8b %1\n sete %b2" : "+A"(old), "+m"(wide), "=q"(ok) : "b"(low), "c"(high) : "memory");
      ok &= 1;
    }
  }
}

static volatile u32 identities[PROCESSORS], bootstrap_flags;
static void identify(u32 id)
{
  u32 leaf[4], low, high;
  cpuid(1, leaf);
  identities[id] = leaf[1] >> 24;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0x1b));
  if (low & 0x100) __asm__ volatile("lock orl %1, %0" : "+m"(bootstrap_flags) : "r"(1u << id) : "memory");
}

static void address_flat(u32 id)
{
  APIC(APIC_DFR) = DFR_FLAT;
  APIC(APIC_LDR) = 1u << (24 + id);
}
static void address_clusters(u32 id)
{
  APIC(APIC_DFR) = DFR_CLUSTER;
  /* Two clusters of two. */
  APIC(APIC_LDR) = (id >> 1) << 28 | 1u << (24 + (id & 1));
}
static void forget(void)
{
  for (u32 i = 0; i < PROCESSORS; i++) interrupts[i] = nmis[i] = ticks[i] = lines[i] = 0;
}
static u32 sum(volatile u32 *counts)
{
  return counts[0] + counts[1] + counts[2] + counts[3];
}
/* Sends, waits for as many interrupts in all, and for those that are too many. */
static void try(const char *name, u32 to, u32 command, u32 expected)
{
  forget();
  send(to, command);
  __asm__ volatile("sti");
  while (sum(interrupts) < expected) pause();
  delay(200);
  __asm__ volatile("cli");
  print("ok %s %u %u %u %u\n", name, interrupts[0], interrupts[1], interrupts[2], interrupts[3]);
}

static volatile u32 seen_in_window[PROCESSORS];
static void page(u32 id)
{
  if (id == 0) return;
  write_cr3((u32)page_directory);
  write_cr0(read_cr0() | CR0_PG);
}
static void look(u32 id) { seen_in_window[id] = *(volatile u32 *)WINDOW; }
static u32 first_page[1024] __attribute__((aligned(4096))), second_page[1024] __attribute__((aligned(4096)));

static void tick(u32 id)
{
  APIC(APIC_DIVIDE) = DIVIDE_BY_16;
  APIC(APIC_LVT_TIMER) = TIMER;
  APIC(APIC_INITIAL_COUNT) = 10000 * (id + 1);
  while (ticks[id] == 0) __asm__ volatile("sti\n hlt\n cli" : : : "memory");
  __asm__ volatile("sti");
}

/* mov eax, imm32; ret */
static u8 patched[] __attribute__((aligned(64))) = {0xb8, 1, 0, 0, 0, 0xc3};
static volatile u32 version, answer;
static void run_patched(u32 id)
{
  if (id != 1) return;
  for (u32 n = 1; n <= 5; n++) {
    u32 leaf[4];
    wait_for(&version, n);
    /* Serializes. */
    cpuid(0, leaf);
    u32 now = 0;
    for (u32 i = 0; i < 3000; i++) now = ((u32(*)(void))patched)();
    answer = now;
  }
}

static volatile u32 spins;
static void spin(u32 id)
{
  if (id != 3) return;
  for (;;) spins++;
}

void test_main(void)
{
  vector_handlers[VECTOR] = on_interrupt;
  vector_handlers[SHOOT] = on_shoot;
  vector_handlers[TIMER] = on_timer;
  vector_handlers[LINE] = on_line;
  vector_handlers[2] = on_nmi;
  __asm__ volatile("sidt %0" : "=m"(ap_idt));
  APIC(APIC_SVR) = SVR_ENABLE | 0xff;
  install(TRAMPOLINE);
  present = 1u << self();
  send(0, ICR_OTHERS | ICR_INIT);
  delay(2000);
  print("ok before-startup %u\n", started);
  send(0, ICR_OTHERS | ICR_STARTUP | TRAMPOLINE >> 12);
  wait_for(&started, PROCESSORS - 1);
  print("ok started %x\n", present);
  /* Who runs hears no start-up message (SDM vol. 3, 9.4.3: it waits for one after INIT alone). */
  send(0, ICR_OTHERS | ICR_STARTUP | TRAMPOLINE >> 12);
  delay(2000);
  print("ok started-once %u\n", started);
  everywhere(identify);
  print("ok identities %u %u %u %u bootstrap=%x\n", identities[0], identities[1], identities[2], identities[3], bootstrap_flags);

  everywhere(count);
  print("ok locks %u %u %x%08x\n", guarded, counted, (u32)(wide >> 32), (u32)wide);

  try("physical", 2, ICR_ASSERT | ICR_FIXED | VECTOR, 1);
  try("self", 0, ICR_SELF | ICR_ASSERT | VECTOR, 1);
  try("all", 0, ICR_ALL | ICR_ASSERT | VECTOR, 4);
  try("others", 0, ICR_OTHERS | ICR_ASSERT | VECTOR, 3);
  try("broadcast", 0xff, ICR_ASSERT | VECTOR, 4);
  everywhere(address_flat);
  try("flat", 0x0a, ICR_LOGICAL | ICR_ASSERT | VECTOR, 2);
  forget();
  send(0x0c, ICR_LOGICAL | ICR_LOWEST | ICR_ASSERT | VECTOR);
  while (sum(interrupts) < 1) pause();
  delay(200);
  check("lowest-priority", interrupts[0] + interrupts[1] == 0 && interrupts[2] + interrupts[3] == 1);
  everywhere(address_clusters);
  try("cluster", 0x13, ICR_LOGICAL | ICR_ASSERT | VECTOR, 2);
  try("cluster-one", 0x12, ICR_LOGICAL | ICR_ASSERT | VECTOR, 1);
  everywhere(address_flat);

  forget();
  send(1, ICR_ASSERT | ICR_NMI);
  while (nmis[1] == 0) pause();
  print("ok nmi %u %u %u %u\n", nmis[0], nmis[1], nmis[2], nmis[3]);

  forget();
  everywhere(tick);
  print("ok timers %u %u %u %u\n", ticks[0], ticks[1], ticks[2], ticks[3]);
  __asm__ volatile("cli");

  /* The timer's line, at input 2, to processor 3. */
  IOAPIC(0) = 0x15;
  IOAPIC(0x10) = 3u << 24;
  IOAPIC(0) = 0x14;
  IOAPIC(0x10) = LINE;
  pit_start(0, 1000);
  while (sum(lines) == 0) pause();
  IOAPIC(0) = 0x14;
  IOAPIC(0x10) = 0x10000;
  print("ok line %u %u %u %u\n", lines[0], lines[1], lines[2], lines[3]);

  paging_on();
  map_page(0xfee00000, 0xfee00000, PTE_P | PTE_W);
  first_page[0] = 1;
  second_page[0] = 2;
  map_page(WINDOW, (u32)first_page, PTE_P | PTE_W);
  everywhere(page);
  everywhere(look);
  print("ok window %u %u %u %u\n", seen_in_window[0], seen_in_window[1], seen_in_window[2], seen_in_window[3]);
  map_page(WINDOW, (u32)second_page, PTE_P | PTE_W);
  invlpg(WINDOW);
  send(0, ICR_OTHERS | ICR_ASSERT | SHOOT);
  wait_for(&shot, PROCESSORS - 1);
  everywhere(look);
  print("ok shot-down %u %u %u %u\n", seen_in_window[0], seen_in_window[1], seen_in_window[2], seen_in_window[3]);

  /* Code that another processor runs is changed (SDM vol. 3, 9.1.3). */
  u32 heard = 0;
  done = 0;
  job = run_patched;
  job_number++;
  for (u32 n = 1; n <= 5; n++) {
    *(volatile u32 *)(patched + 1) = n;
    version = n;
    while (answer == n - 1) pause();
    heard += answer == n;
  }
  wait_for(&done, PROCESSORS - 1);
  print("ok patched %u\n", heard);

  /* INIT stops what runs, and start-up begins anew, elsewhere. */
  done = 0;
  job = spin;
  job_number++;
  while (spins < 1000) pause();
  send(3, ICR_INIT);
  delay(2000);
  u32 then = spins;
  delay(2000);
  check("stopped-by-init", then == spins);
  install(OTHER_TRAMPOLINE);
  send(3, ICR_STARTUP | OTHER_TRAMPOLINE >> 12);
  wait_for(&started, PROCESSORS);
  print("ok started-again %x\n", present);
}
