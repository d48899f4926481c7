/* Several processors for kernels with VMI: each has tables and a stack of its own, and starts natively or in a state that it is given. */
#ifndef TOMEI_KERNEL_SMP_H
#define TOMEI_KERNEL_SMP_H
#include "lib.h"
#include "vmi.h"

#define PROCESSORS_MAX 8u
#define APIC_ID 0x20
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define ICR_ASSERT 0x4000u
#define ICR_PENDING 0x1000u
#define ICR_SELF 0x40000u
#define ICR_OTHERS 0xc0000u
/* FS has its base at the processor's own `struct processor`. */
#define OWN_DATA SPARE(5)
#define OWN_LDT SPARE(6)
#define STACK_SIZE 4096u

struct processor {
  /* The first word is the number, which FS:0 shows. */
  u32 id;
  u64 gdt[GDT_ENTRIES];
  /* Without a bitmap. */
  u32 tss[26];
  u8 *stack;
};
extern struct processor processors[PROCESSORS_MAX];
/* As many as the MP table has. */
u32 count_processors(void);
/* Its tables: `eip` is where it begins. */
void describe_start(u32 id, struct vmi_ap_state *state, void (*eip)(void));
/* INIT, and start-up with a state; natively by a trampoline that brings the processor there. Answers before it has started. */
void start_processor(u32 id, const struct vmi_ap_state *state);
/* Sends by the local APIC, and waits until it is sent. */
void send_message(u32 id, u32 command);
void short_delay(u32 times);
/* Registers that a processor has found at its start: EAX to EDI as in the state, without ESP, then EFLAGS. */
extern u32 start_registers[8];
/* Where processors begin: stores those, and calls `processor_main` of the kernel. */
void start_secondary(void);

static inline void pause(void) { __asm__ volatile("pause" : : : "memory"); }
static inline u32 exchange(volatile u32 *at, u32 value)
{
  __asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*at) : : "memory");
  return value;
}
static inline void increment(volatile u32 *at) { __asm__ volatile("lock incl %0" : "+m"(*at) : : "memory"); }
static inline void set_bits(volatile u32 *at, u32 bits) { __asm__ volatile("lock orl %1, %0" : "+m"(*at) : "r"(bits) : "memory"); }
static inline void acquire(volatile u32 *lock)
{
  while (exchange(lock, 1) != 0) pause();
}
static inline void release(volatile u32 *lock)
{
  __asm__ volatile("" : : : "memory");
  *lock = 0;
}
#endif
