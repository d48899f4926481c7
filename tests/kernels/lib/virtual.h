/* Code in virtual-8086 mode: run until it faults, from ring 0, with the fault caught as lib.h has it. */
#ifndef TOMEI_KERNEL_VIRTUAL_H
#define TOMEI_KERNEL_VIRTUAL_H
#include "lib.h"

#define EFLAGS_VM 0x20000u
#define EFLAGS_VIF 0x80000u
#define EFLAGS_VIP 0x100000u
#define CR4_VME 1u
#define CR4_PVI 2u
/* Where snippets run and what the segment registers hold then. SP starts at the top of the stack's 64 KiB. */
#define VIRTUAL_CS 0x900u
#define VIRTUAL_SS 0x3000u
#define VIRTUAL_DS 0x5000u
#define VIRTUAL_ES 0x5100u
#define VIRTUAL_FS 0x5200u
#define VIRTUAL_GS 0x5300u
#define VIRTUAL_SP 0x8000u

/* Copies code to the place and enters it with VM set among `eflags`; general registers are 0. */
void run_virtual(u32 from, u32 to, u32 eflags);
/* What takes the frame from the stack, in which no register is free; IRET at first. */
extern void (*virtual_return)(void);
extern u32 snippet_from, snippet_to, snippet_at;
/* 16-bit code, with a label 4: before the instruction that is to fault; it ends by INT3. */
#define VIRTUAL(eflags, text)                                                                      \
  do {                                                                                             \
    __asm__("movl $2f, snippet_from\n movl $3f, snippet_to\n movl $4f, snippet_at\n jmp 3f\n"      \
            "2: .code16\n" text "\n int3\n .code32\n 3:");                                         \
    run_virtual(snippet_from, snippet_to, (eflags));                                               \
  } while (0)
/* Prints what came: `exit` for the INT3 at the end, else the exception, and where against the label. */
void virtual_report(const char *name);
/* The nine doublewords that the processor left: EIP CS EFLAGS ESP SS ES DS FS GS (after any error code). */
#define VIRTUAL_FRAME ((volatile u32 *)fault.frame_address)

#endif
