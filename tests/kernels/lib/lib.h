/* What the test kernels share: output, descriptor tables, the fault catcher, page tables, interrupt controllers. */
#ifndef TOMEI_KERNEL_LIB_H
#define TOMEI_KERNEL_LIB_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
#define NULL ((void *)0)
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* ---- The test itself: each kernel defines this. */
void test_main(void);

/* ---- Output on COM1. `print` knows %x (hexadecimal, no padding), %08x style widths, %u, %d, %s, %c. One line a check. */
void print(const char *format, ...);
/* Prints `ok NAME` or `FAIL NAME`. */
void check(const char *name, int holds);
/* Ends the run through the debug-exit port; the exit status says whether a check failed. */
__attribute__((noreturn)) void leave(u32 status);

/* ---- Ports and control registers. */
static inline void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 in8(u16 port)
{
  u8 value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
#define CONTROL_REGISTER(n)                                                                        \
  static inline u32 read_cr##n(void)                                                               \
  {                                                                                                \
    u32 value;                                                                                     \
    __asm__ volatile("movl %%cr" #n ", %0" : "=r"(value));                                         \
    return value;                                                                                  \
  }                                                                                                \
  static inline void write_cr##n(u32 value) { __asm__ volatile("movl %0, %%cr" #n : : "r"(value) : "memory"); }
CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)
static inline u32 read_eflags(void)
{
  u32 value;
  __asm__ volatile("pushfl\n popl %0" : "=r"(value));
  return value;
}
static inline void cpuid(u32 leaf, u32 out[4])
{
  __asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(0));
}
static inline u64 read_tsc(void)
{
  u32 low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (u64)high << 32 | low;
}

#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_PG 0x80000000u
#define CR4_TSD 0x004u
#define CR4_PSE 0x010u
#define CR4_PGE 0x080u
#define CR4_OSFXSR 0x200u
#define EFLAGS_CF 0x00001u
#define EFLAGS_ZF 0x00040u
#define EFLAGS_TF 0x00100u
#define EFLAGS_IF 0x00200u
#define EFLAGS_DF 0x00400u
#define EFLAGS_OF 0x00800u
#define EFLAGS_IOPL(n) ((u32)(n) << 12)
#define EFLAGS_NT 0x04000u
#define EFLAGS_RF 0x10000u
#define EFLAGS_AC 0x40000u

/* ---- Descriptors. 0x08..0x20 are the flat segments in the order that SYSENTER wants; tests own SPARE(0..23). */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS 0x1b
#define USER_DS 0x23
#define TSS_SELECTOR 0x28
#define SPARE(n) (0x40 + 8 * (n))
#define GDT_ENTRIES 32
extern u64 gdt[GDT_ENTRIES];
/* Access bytes: present, S, type. OR in DPL(n). */
#define SEG_DATA_RO 0x90
#define SEG_DATA_RW 0x92
#define SEG_DATA_RO_DOWN 0x94
#define SEG_DATA_RW_DOWN 0x96
#define SEG_CODE_XO 0x98
#define SEG_CODE_XR 0x9a
#define SEG_CODE_XO_CONFORMING 0x9c
#define SEG_CODE_XR_CONFORMING 0x9e
#define SEG_LDT 0x82
#define SEG_TSS32 0x89
#define GATE_CALL32 0x8c
#define GATE_INT32 0x8e
#define GATE_TRAP32 0x8f
#define DPL(n) ((n) << 5)
#define NOT_PRESENT(access) ((access) & 0x7f)
/* Flag nibble: granularity, 32-bit. */
#define SEG_G 0x8
#define SEG_32 0x4
/* `limit` is the raw 20-bit field. */
u64 segment_descriptor(u32 base, u32 limit, u8 access, u8 flags);
u64 gate_descriptor(u16 selector, u32 offset, u8 access, u8 parameters);
/* Puts a descriptor into SPARE(n) and returns the selector with `rpl`. */
u16 set_spare(int n, u64 descriptor, int rpl);
extern u64 idt[256];
void set_idt_gate(int vector, u64 descriptor);
/* The offset of the common entry of a vector. */
u32 vector_entry(int vector);
/* The 32-bit task state segment that the task register holds: esp0/ss0 and the I/O permission bitmap. */
struct tss {
  u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
  u32 es, cs, ss, ds, fs, gs, ldt;
  u16 trap, io_map_base;
  u8 io_map[8192 + 1];
};
extern struct tss tss;
/* Loads the task register anew with a segment limit, so that the bitmap may be cut short. */
void load_tss(u32 limit);
#define RING0_STACK_SIZE 8192
extern u8 ring0_stack[RING0_STACK_SIZE];
extern u8 user_stack[8192];
#define USER_STACK_TOP ((u32)user_stack + sizeof user_stack)

/* ---- Faults. */
struct frame {
  u32 edi, esi, ebp, esp_at_pushal, ebx, edx, ecx, eax;
  u32 gs, fs, es, ds;
  u32 vector, error;
  u32 eip, cs, eflags;
  u32 user_esp, user_ss; /* only when the ring changed */
};
/* What the catcher saw last: a copy of the frame and CR2; `happened` is 0 when an attempt ran to its end. */
struct fault {
  int happened;
  struct frame frame;
  u32 frame_address; /* where the processor left EIP (after any error code) */
  u32 cr2;
};
extern struct fault fault;
/* Where an attempt expects the fault: set by the code under test. */
extern u32 fault_expected_eip;

int catch_begin(void) __attribute__((returns_twice));
void catch_resume(void) __attribute__((noreturn));
void catch_end(void);
void call_preserving(u32 eip);
void enter_user(u32 eip, u32 esp, u32 eflags) __attribute__((noreturn));

/* Run code until it faults: in ring 0 it ends with `ret`, in ring 3 with `int $0x80`, which shows as vector 128. */
void run_kernel_at(u32 eip);
void run_user_at(u32 eip, u32 eflags);
/* The same in virtual-8086 mode, where virtual.c has put code (see virtual.h). */
void run_virtual_at(u32 eflags);
#define USER_EXIT 0x80
extern u32 attempt_eip;
/* The same for assembly written in place: it may use every register but ESP, and the labels from 4 on. */
#define TRY(text)                                                                                  \
  do {                                                                                             \
    __asm__("movl $2f, attempt_eip\n jmp 3f\n 2:\n" text "\n ret\n 3:");                          \
    run_kernel_at(attempt_eip);                                                                    \
  } while (0)
#define TRY_USER_FLAGS(eflags, text)                                                               \
  do {                                                                                             \
    __asm__("movl $2f, attempt_eip\n jmp 3f\n 2:\n" text "\n int $0x80\n 3:");                    \
    run_user_at(attempt_eip, (eflags));                                                            \
  } while (0)
#define TRY_USER(text) TRY_USER_FLAGS(0, text)
/* Goes before the instruction that is to fault: `report` says whether EIP points there. */
#define AT " movl $1f, fault_expected_eip\n 1: "

/* Prints `ok NAME #GP(0010) eip=exact`, with cr2 for page faults, or `ok NAME none` (and `exit eax=..` from ring 3). */
void report(const char *name);

/* ---- Paging. Pages are 4 KiB unless said otherwise; the identity map covers 0..32 MiB, supervisor, writable. */
#define PTE_P 0x001u
#define PTE_W 0x002u
#define PTE_U 0x004u
#define PTE_A 0x020u
#define PTE_D 0x040u
#define PTE_PS 0x080u
#define PTE_G 0x100u
extern u32 page_directory[1024];
/* Turns paging on over the identity map. */
void paging_on(void);
void paging_off(void);
/* Maps one page; makes the page table when there is none (directory entries are P|W|U). Does not touch the TLB. */
void map_page(u32 linear, u32 physical, u32 flags);
/* The entry that maps an address; it must have a page table. */
volatile u32 *page_entry(u32 linear);
static inline void invlpg(u32 linear) { __asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory"); }
static inline void flush_tlb(void) { write_cr3(read_cr3()); }

/* ---- Interrupts. Vectors 0x20..0x2f after `pic_init`, all lines masked. */
typedef void (*irq_handler)(struct frame *frame);
/* Called for vectors that are not being caught. The handler sends the end of interrupt. */
extern irq_handler vector_handlers[256];
void pic_init(void);
void pic_unmask(int line);
void pic_mask_all(void);
void pic_eoi(int line);
/* The in-service register of the master or slave. */
u8 pic_isr(int slave);
u8 pic_irr(int slave);
/* PIT channel 0 in mode 2 (periodic) or 0 (once), with a divisor of 1,193,182 Hz. */
void pit_start(int mode, u16 divisor);

extern u32 multiboot_magic;
extern u32 *multiboot_info;
extern u8 image_end[];

void *memset(void *to, int value, u32 length);
void *memcpy(void *to, const void *from, u32 length);
int memcmp(const void *a, const void *b, u32 length);

#endif
