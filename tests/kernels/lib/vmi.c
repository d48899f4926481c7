/* Native operations, the search for the ROM, and how its answers are used (Linux: arch/x86/kernel/vmi_32.c, vmiclock_32.c). */
#include "vmi.h"

#define ROM_FROM 0xc0000u
#define ROM_TO 0xe0000u
#define ROM_STEP 0x800u
#define NONE 0
#define CALL 1
#define JUMP 2
#define NOP 3

struct rom {
  u16 signature;
  u8 units, entry[4], pad;
  u32 vmi_signature;
  u8 minor, major, slots, reserved1;
  u32 virtual_top;
  u16 reserved2, licence, pcir, pnp;
  u32 reserved3;
  u8 headers[96], init[8], relocation[8];
} __attribute__((packed));
struct site {
  u8 *at;
  u32 length, number;
};
extern struct site vmi_sites[], vmi_sites_end[];
static struct rom *rom;
static u32 calls[74];

/* ---- Native operations. */
#define NATIVE(name, arguments, text, ...)                                                         \
  VMI_FASTCALL static void name arguments { __asm__ volatile(text : : __VA_ARGS__ : "memory"); }
NATIVE(native_set_gdt, (void *table), "lgdt (%0)", "r"(table))
NATIVE(native_set_idt, (void *table), "lidt (%0)", "r"(table))
NATIVE(native_get_gdt, (void *table), "sgdt (%0)", "r"(table))
NATIVE(native_get_idt, (void *table), "sidt (%0)", "r"(table))
NATIVE(native_set_ldt, (u32 selector), "lldt %w0", "r"(selector))
NATIVE(native_set_cr2, (u32 value), "movl %0, %%cr2", "r"(value))
NATIVE(native_clts, (void), "clts", "r"(0))
NATIVE(native_wbinvd, (void), "wbinvd", "r"(0))
NATIVE(native_halt, (void), "sti\n hlt", "r"(0))
NATIVE(native_io_delay, (void), "outb %%al, $0x80", "a"(0))
NATIVE(native_set_iopl_mask, (u32 mask),
       "pushfl\n andl $~0x3000, (%%esp)\n orl %0, (%%esp)\n popfl", "r"(mask))
VMI_FASTCALL static u32 native_get_tr(void)
{
  u32 selector;
  __asm__ volatile("str %0" : "=r"(selector));
  return selector;
}
VMI_FASTCALL static u32 native_get_cr0(void) { return read_cr0(); }
VMI_FASTCALL static u32 native_get_cr2(void) { return read_cr2(); }
VMI_FASTCALL static u32 native_get_cr4(void) { return read_cr4(); }
VMI_FASTCALL static void native_set_cr0(u32 value) { write_cr0(value); }
VMI_FASTCALL static void native_set_cr3(u32 value) { write_cr3(value); }
VMI_FASTCALL static void native_set_cr4(u32 value) { write_cr4(value); }
VMI_FASTCALL static void native_set_dr(int n, u32 value)
{
  if (n == 3) __asm__ volatile("movl %0, %%dr3" : : "r"(value));
}
VMI_FASTCALL static u32 native_get_dr(int n)
{
  u32 value = 0;
  if (n == 3) __asm__ volatile("movl %%dr3, %0" : "=r"(value));
  return value;
}
VMI_FASTCALL static void native_write_entry(void *table, int index, u32 low, u32 high)
{
  ((u32 *)table)[2 * index] = low;
  ((u32 *)table)[2 * index + 1] = high;
}
VMI_FASTCALL static void native_set_entry(u32 value, u32 *entry, u32 flags) { *(volatile u32 *)entry = value; }
VMI_FASTCALL static void native_set_long_entry(u32 low, u32 high, u32 *entry, u32 flags)
{
  volatile u32 *at = entry;
  at[0] = 0;
  at[1] = high;
  at[0] = low;
}
VMI_FASTCALL static void native_flush_tlb(u32 flags)
{
  u32 cr4 = read_cr4();
  if ((flags & 2) != 0 && (cr4 & CR4_PGE) != 0) {
    write_cr4(cr4 & ~CR4_PGE);
    write_cr4(cr4);
  } else flush_tlb();
}
VMI_FASTCALL static void native_inval_page(u32 linear) { invlpg(linear); }
VMI_FASTCALL static void nothing_2(u32 a, u32 b) {}
VMI_FASTCALL static void native_update_entry(u32 *entry, u32 flags) {}
VMI_FASTCALL static void nothing_1(u32 a) {}
VMI_FASTCALL static void nothing_5(u32 a, u32 b, u32 c, u32 d, u32 e) {}
#define APIC ((volatile u8 *)0xfee00000u)
VMI_FASTCALL static void native_set_tr(u32 selector) { __asm__ volatile("ltr %w0" : : "r"(selector) : "memory"); }
VMI_FASTCALL static void nothing_4(u32 a, u32 b, u32 c, u32 d) {}
VMI_FASTCALL static u32 native_apic_read(u32 offset) { return *(volatile u32 *)(APIC + offset); }
VMI_FASTCALL static void native_apic_write(u32 offset, u32 value) { *(volatile u32 *)(APIC + offset) = value; }
/* By the local APIC's own timer, which counts about a nanosecond. */
static void native_start_local_alarm(u32 cycles)
{
  native_apic_write(0x3e0, 0xb);
  native_apic_write(0x380, cycles);
}
static void vmi_start_local_alarm(u32 cycles);
static void native_start_alarm(u32 cycles)
{
  pit_start(0, (u16)(cycles / 1000 * 1193 / 1000));
}
static void vmi_start_alarm(u32 cycles);

struct vmi_ops vmi = {
  .set_gdt = native_set_gdt,
  .set_ldt = native_set_ldt,
  .set_idt = native_set_idt,
  .get_gdt = native_get_gdt,
  .get_idt = native_get_idt,
  .get_tr = native_get_tr,
  .write_gdt_entry = native_write_entry,
  .write_idt_entry = native_write_entry,
  .update_kernel_stack = nothing_2,
  .set_cr0 = native_set_cr0,
  .set_cr2 = native_set_cr2,
  .set_cr3 = native_set_cr3,
  .set_cr4 = native_set_cr4,
  .get_cr0 = native_get_cr0,
  .get_cr2 = native_get_cr2,
  .get_cr4 = native_get_cr4,
  .wbinvd = native_wbinvd,
  .set_dr = native_set_dr,
  .get_dr = native_get_dr,
  .clts = native_clts,
  .halt = native_halt,
  .set_entry = native_set_entry,
  .set_long_entry = native_set_long_entry,
  .update_entry = native_update_entry,
  .update_long_entry = native_update_entry,
  .allocate_page = nothing_5,
  .release_page = nothing_2,
  .inval_page = native_inval_page,
  .flush_tlb = native_flush_tlb,
  .set_iopl_mask = native_set_iopl_mask,
  .io_delay = native_io_delay,
  .set_lazy_mode = nothing_1,
  .start_alarm = native_start_alarm,
  .set_tr = native_set_tr,
  .set_linear_mapping = nothing_4,
  .apic_read = native_apic_read,
  .apic_write = native_apic_write,
  .start_local_alarm = native_start_local_alarm,
};
/* Which call stands for which operation. */
static const struct {
  u32 number;
  void *operation;
} fills[] = {
  {3, &vmi.set_gdt}, {4, &vmi.set_ldt}, {5, &vmi.set_idt}, {7, &vmi.get_gdt}, {9, &vmi.get_idt}, {10, &vmi.get_tr},
  {11, &vmi.write_gdt_entry}, {13, &vmi.write_idt_entry}, {14, &vmi.update_kernel_stack}, {15, &vmi.set_cr0},
  {16, &vmi.set_cr2}, {17, &vmi.set_cr3}, {18, &vmi.set_cr4}, {19, &vmi.get_cr0}, {20, &vmi.get_cr2},
  {22, &vmi.get_cr4}, {23, &vmi.wbinvd}, {24, &vmi.set_dr}, {25, &vmi.get_dr}, {28, &vmi.clts}, {35, &vmi.halt},
  {38, &vmi.set_entry}, {39, &vmi.set_long_entry}, {40, &vmi.update_entry},
  {41, &vmi.update_long_entry}, {44, &vmi.allocate_page}, {45, &vmi.release_page},
  {46, &vmi.inval_page}, {47, &vmi.flush_tlb}, {61, &vmi.set_iopl_mask}, {65, &vmi.io_delay},
  {73, &vmi.set_lazy_mode}, {6, &vmi.set_tr}, {48, &vmi.set_linear_mapping}, {62, &vmi.set_initial_ap_state},
  {63, &vmi.apic_write}, {64, &vmi.apic_read},
};

/* ---- The ROM. */
static u64 relocation(u32 number)
{
  u32 eip, type;
  __asm__ volatile("call *%2" : "=a"(eip), "=d"(type) : "r"(rom->relocation), "0"(number) : "ecx", "cc", "memory");
  return (u64)type << 32 | eip;
}
static int same(const char *a, const char *b)
{
  while (*a != 0 && *a == *b) a++, b++;
  return *a == *b;
}
static int acceptable(struct rom *candidate)
{
  if (candidate->signature != 0xaa55 || candidate->vmi_signature != 0x696d5663) return 0;
  if (candidate->major != 3 || candidate->pcir == 0 || candidate->licence == 0) return 0;
  u8 sum = 0;
  for (u32 i = 0; i < candidate->units * 512u; i++) sum = (u8)(sum + ((u8 *)candidate)[i]);
  const char *licence = (char *)candidate + candidate->licence;
  u16 *pcir = (u16 *)((char *)candidate + candidate->pcir);
  return sum == 0 && (same(licence, "GPL") || same(licence, "GPL v2")) && pcir[2] == 0x15ad && pcir[3] == 0x0801;
}
static void patch(struct site *site)
{
  u64 answer = relocation(site->number);
  u32 type = (u32)(answer >> 32), eip = (u32)answer;
  if (type == NONE) return;
  memset(site->at, 0x90, site->length);
  if (type == NOP) return;
  site->at[0] = type == CALL ? 0xe8 : 0xe9;
  u32 distance = eip - (u32)(site->at + 5);
  memcpy(site->at + 1, &distance, 4);
}
void vmi_activate(void)
{
  for (u32 at = ROM_FROM; at < ROM_TO && rom == NULL; at += ROM_STEP)
    if (acceptable((struct rom *)at)) rom = (struct rom *)at;
  if (rom == NULL) {
    print("VMI: none\n");
    return;
  }
  u32 refused;
  __asm__ volatile("call *%1" : "=a"(refused) : "r"(rom->init) : "ecx", "edx", "cc", "memory");
  print("VMI: version %u.%u init %u\n", rom->major, rom->minor, refused);
  /* It cannot be written to. */
  u8 old = rom->minor;
  *(volatile u8 *)&rom->minor = (u8)(old + 1);
  check("VMI: ROM is read-only", *(volatile u8 *)&rom->minor == old);
  u32 answers[4] = {0, 0, 0, 0};
  for (u32 i = 0; i < 74; i++) {
    u64 answer = relocation(i);
    answers[(u32)(answer >> 32) & 3]++;
    if ((u32)(answer >> 32) == CALL) calls[i] = (u32)answer;
  }
  print("VMI: answers none %u call %u jump %u nop %u\n", answers[0], answers[1], answers[2], answers[3]);
  check("VMI: unknown call", relocation(74) == 0 && relocation(0xffffffff) == 0);
  for (u32 i = 0; i < COUNT(fills); i++)
    if (calls[fills[i].number] != 0) *(u32 *)fills[i].operation = calls[fills[i].number];
  vmi.keeps_stack = calls[14] != 0;
  if (calls[66] != 0) vmi.start_alarm = vmi_start_alarm, vmi.start_local_alarm = vmi_start_local_alarm;
  for (struct site *site = vmi_sites; site < vmi_sites_end; site++) patch(site);
}

/* ---- Calls that Linux leaves alone. */
#define AS_CALL(n, result, ...) ((result (*VMI_FASTCALL)(__VA_ARGS__))calls[n])
static void strings(void)
{
  static u8 bytes[8];
  u8 *at = bytes;
  u32 count = 2;
  __asm__ volatile("call *%2" : "+D"(at), "+c"(count) : "r"(calls[53]), "d"(0x21) : "eax", "memory");
  check("VMI: INSB", at == bytes + 2 && count == 0 && bytes[0] == in8(0x21) && bytes[1] == in8(0x21));
  at = bytes, count = 1;
  __asm__ volatile("call *%2" : "+D"(at), "+c"(count) : "r"(calls[52]), "d"(0xcf8) : "eax", "memory");
  check("VMI: INSL", at == bytes + 4 && *(u32 *)bytes == AS_CALL(49, u32, u32, u32)(0, 0xcf8));
  at = bytes, count = 1;
  __asm__ volatile("call *%2" : "+D"(at), "+c"(count) : "r"(calls[54]), "d"(0xcfc) : "eax", "memory");
  check("VMI: INSW", at == bytes + 2 && *(u16 *)bytes == (u16)AS_CALL(51, u32, u32, u32)(0, 0xcfc));
  const u8 *from = bytes;
  bytes[0] = 0xfd, bytes[1] = 0xfe, count = 2;
  __asm__ volatile("call *%2" : "+S"(from), "+c"(count) : "r"(calls[59]), "d"(0x21) : "eax", "memory");
  check("VMI: OUTSB", from == bytes + 2 && count == 0 && in8(0x21) == 0xfe);
  from = bytes, count = 1, *(u32 *)bytes = 0x80000800;
  __asm__ volatile("call *%2" : "+S"(from), "+c"(count) : "r"(calls[58]), "d"(0xcf8) : "eax", "memory");
  check("VMI: OUTSL", from == bytes + 4 && AS_CALL(49, u32, u32, u32)(0, 0xcf8) == 0x80000800);
  from = bytes, count = 1;
  __asm__ volatile("call *%2" : "+S"(from), "+c"(count) : "r"(calls[60]), "d"(0x80) : "eax", "memory");
  check("VMI: OUTSW", from == bytes + 2 && count == 0);
}
void vmi_rest(void)
{
  if (calls[0] == 0) return;
  u32 leaf[4], own[4];
  cpuid(0, own);
  __asm__ volatile("call *%4" : "=a"(leaf[0]), "=b"(leaf[1]), "=c"(leaf[2]), "=d"(leaf[3])
                   : "S"(calls[0]), "0"(0), "2"(0));
  check("VMI: CPUID", memcmp(leaf, own, sizeof own) == 0);
  __asm__ volatile("call *%0" : : "S"(calls[1]), "a"(0x5678), "d"(0), "c"(0x175) : "memory");
  u32 low, high;
  __asm__ volatile("call *%2" : "=a"(low), "=d"(high) : "S"(calls[2]), "c"(0x175));
  check("VMI: MSR", low == 0x5678 && high == 0);
  check("VMI: GetLDT", AS_CALL(8, u32, void)() == 0);
  u64 table[2] = {0, 0};
  AS_CALL(12, void, void *, int, u32, u32)(table, 1, 0x11, 0x22);
  check("VMI: WriteLDTEntry", table[0] == 0 && table[1] == 0x2200000011ull);
  check("VMI: GetCR3", AS_CALL(21, u32, void)() == read_cr3());
  u64 before = read_tsc();
  check("VMI: RDTSC", AS_CALL(27, u64, void)() > before);
  u32 entry = 5;
  AS_CALL(40, void, u32 *, u32)(&entry, VMI_PT);
  AS_CALL(41, void, u32 *, u32)(&entry, VMI_PT);
  AS_CALL(48, void, u32, u32, u32, u32)(0, 0, 8192, 0);
  check("VMI: UpdatePxE", entry == 5);
  check("VMI: machine address", AS_CALL(42, u32, u32)(0x12345) == 0x12345 && AS_CALL(43, u32, u32)(0x777) == 0x777);
  AS_CALL(55, void, u32, u32)(0x80000000, 0xcf8);
  check("VMI: OUTL", AS_CALL(49, u32, u32, u32)(0, 0xcf8) == 0x80000000);
  check("VMI: INW", (AS_CALL(51, u32, u32, u32)(0, 0xcfc) & 0xffff) == (AS_CALL(49, u32, u32, u32)(0, 0xcfc) & 0xffff));
  AS_CALL(56, void, u32, u32)(0xf7, 0x21);
  check("VMI: OUTB", in8(0x21) == 0xf7 && (AS_CALL(50, u32, u32, u32)(0, 0x21) & 0xff) == 0xf7);
  AS_CALL(57, void, u32, u32)(0, 0x80);
  strings();
  pic_mask_all();
  u32 state[23] = {0};
  AS_CALL(62, void, void *, u32)(state, 1);
  /* A state that cannot be read is the kernel's own page fault. */
  u32 call = calls[62];
  __asm__("movl $2f, attempt_eip\n jmp 3f\n 2: movl %0, %%ecx\n movl $0x7ffff000, %%eax\n xorl %%edx, %%edx\n call *%%ecx\n ret\n 3:" : : "m"(calls[62]));
  run_kernel_at(attempt_eip);
  check("VMI: state of nowhere", call != 0 && fault.happened && fault.frame.vector == 14 && fault.cr2 == 0x7ffff000);
}

/* ---- The clock. */
typedef u64 (*VMI_FASTCALL counter_call)(u32 which);
typedef u32 (*VMI_FASTCALL alarm_call)(u32 flags, u32 low, u32 high, u32 period_low, u32 period_high);
static void set_alarm(u32 flags, u64 expiry, u32 period)
{
  ((alarm_call)calls[68])(flags, (u32)expiry, (u32)(expiry >> 32), period, 0);
}
static void vmi_start_alarm(u32 cycles)
{
  set_alarm(0, ((counter_call)calls[67])(0) + cycles, 0);
}
static void vmi_start_local_alarm(u32 cycles)
{
  set_alarm(0x10000, ((counter_call)calls[67])(0) + cycles, 0);
}
int vmi_present(void) { return rom != NULL; }
u64 vmi_counter(u32 which) { return ((counter_call)calls[67])(which); }
void vmi_set_alarm(u32 flags, u64 expiry, u32 period) { set_alarm(flags, expiry, period); }
u32 vmi_cancel_alarm(u32 flags) { return ((alarm_call)calls[69])(flags, 0, 0, 0, 0); }
static volatile u32 periods;
static void on_tick(struct frame *frame)
{
  periods++;
  pic_eoi(0);
}
static void on_local_tick(struct frame *frame)
{
  periods++;
  if (calls[63] != 0) ((void (*VMI_FASTCALL)(u32, u32))calls[63])(0xb0, 0);
  else *(volatile u32 *)0xfee000b0 = 0;
}
static void wait_periods(u32 n)
{
  while (periods < n) {
    vmi_site_disable();
    if (periods < n) vmi.halt();
  }
  vmi_site_disable();
}
void vmi_clock(void)
{
  if (rom == NULL) return;
  u64 frequency = ((counter_call)calls[66])(0);
  print("VMI: frequency %u\n", (u32)frequency);
  u64 before = ((counter_call)calls[67])(0);
  u64 after = ((counter_call)calls[67])(0);
  check("VMI: counter goes on", after > before);
  check("VMI: available", ((counter_call)calls[67])(1) <= ((counter_call)calls[67])(0));
  check("VMI: unknown counter", ((counter_call)calls[67])(7) == 0);
  check("VMI: wallclock", ((counter_call)calls[70])(0) / 1 > 1600000000ull * 1000000000ull);
  check("VMI: not updated", ((counter_call)calls[71])(0) << 32 == 0);
  idt[0x20] = gate_descriptor(KERNEL_CS, vector_entry(0x20), GATE_INT32, 0);
  vector_handlers[0x20] = on_tick;
  /* Periodic, on the counter of available time. */
  before = ((counter_call)calls[67])(0);
  set_alarm(0x101, ((counter_call)calls[67])(1), 1000000);
  wait_periods(5);
  after = ((counter_call)calls[67])(0);
  check("VMI: five periods", after - before >= 4000000);
  check("VMI: cancel", ((alarm_call)calls[69])(1, 0, 0, 0, 0) == 1 && ((alarm_call)calls[69])(1, 0, 0, 0, 0) == 0);
  set_alarm(2, 0, 0);
  set_alarm(0xff, 0, 0);
  /* By the local APIC, where every call is one. */
  if (calls[63] != 0 && calls[64] != 0) {
    void (*VMI_FASTCALL apic_write)(u32, u32) = (void *)calls[63];
    u32 (*VMI_FASTCALL apic_read)(u32) = (void *)calls[64];
    vector_handlers[0x41] = on_local_tick;
    apic_write(0xf0, apic_read(0xf0) | 0x1ff);
    apic_write(0x320, 0x41);
    check("VMI: LVTT", apic_read(0x320) == 0x41);
    periods = 0;
    set_alarm(0x10100, ((counter_call)calls[67])(0), 1000000);
    wait_periods(3);
    ((alarm_call)calls[69])(0x10000, 0, 0, 0, 0);
  }
  /* What the host warns of, and goes on. */
  if (calls[44] != 0) vmi.allocate_page(0xfffff, VMI_PT, 0, 0, 0);
  if (calls[45] != 0) vmi.release_page(0x123, VMI_PT);
  print("VMI: done\n");
}
