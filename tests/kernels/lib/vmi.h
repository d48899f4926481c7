/* VMI 3.0 from the guest's side: operations that are the processor's own until a ROM is found. */
#ifndef TOMEI_KERNEL_VMI_H
#define TOMEI_KERNEL_VMI_H
#include "lib.h"

/* Flags of page tables and their entries. */
#define VMI_PT 0x01u
#define VMI_PD 0x02u
#define VMI_PDP 0x04u
#define VMI_CURRENT 0x10u
#define VMI_DEFER 0x20u
#define VMI_PAE 0x10u
#define VMI_CLONE 0x20u
#define VMI_ZEROED 0x40u
#define VMI_LAZY_NONE 0
#define VMI_LAZY_MMU 1
#define VMI_LAZY_CPU 2
#define VMI_FASTCALL __attribute__((regparm(3)))

/* In which state a processor starts (Linux: struct vmi_ap_state). */
struct vmi_ap_state {
  u32 cr0, cr2, cr3, cr4;
  u64 efer;
  u32 eip, eflags;
  u32 eax, ebx, ecx, edx, esp, ebp, esi, edi;
  u16 cs, ss, ds, es, fs, gs, ldtr, gdtr_limit;
  u32 gdtr_base, idtr_base;
  u16 idtr_limit, pad;
};
/* Like Linux's paravirt_ops: native ones at first; a pointer to the ROM where it says so. */
struct vmi_ops {
  void (*VMI_FASTCALL set_gdt)(void *table);
  void (*VMI_FASTCALL set_ldt)(u32 selector);
  void (*VMI_FASTCALL set_idt)(void *table);
  void (*VMI_FASTCALL get_gdt)(void *table);
  void (*VMI_FASTCALL get_idt)(void *table);
  u32 (*VMI_FASTCALL get_tr)(void);
  void (*VMI_FASTCALL write_gdt_entry)(void *table, int index, u32 low, u32 high);
  void (*VMI_FASTCALL write_idt_entry)(void *table, int index, u32 low, u32 high);
  void (*VMI_FASTCALL update_kernel_stack)(u32 selector, u32 esp0);
  void (*VMI_FASTCALL set_cr0)(u32 value);
  void (*VMI_FASTCALL set_cr2)(u32 value);
  void (*VMI_FASTCALL set_cr3)(u32 value);
  void (*VMI_FASTCALL set_cr4)(u32 value);
  u32 (*VMI_FASTCALL get_cr0)(void);
  u32 (*VMI_FASTCALL get_cr2)(void);
  u32 (*VMI_FASTCALL get_cr4)(void);
  void (*VMI_FASTCALL wbinvd)(void);
  void (*VMI_FASTCALL set_dr)(int n, u32 value);
  u32 (*VMI_FASTCALL get_dr)(int n);
  void (*VMI_FASTCALL clts)(void);
  void (*VMI_FASTCALL halt)(void);
  void (*VMI_FASTCALL set_entry)(u32 value, u32 *entry, u32 flags);
  void (*VMI_FASTCALL set_long_entry)(u32 low, u32 high, u32 *entry, u32 flags);
  /* An entry has been written. */
  void (*VMI_FASTCALL update_entry)(u32 *entry, u32 flags);
  void (*VMI_FASTCALL update_long_entry)(u32 *entry, u32 flags);
  void (*VMI_FASTCALL allocate_page)(u32 page, u32 flags, u32 source, u32 first, u32 count);
  void (*VMI_FASTCALL release_page)(u32 page, u32 flags);
  void (*VMI_FASTCALL inval_page)(u32 linear);
  void (*VMI_FASTCALL flush_tlb)(u32 flags);
  void (*VMI_FASTCALL set_iopl_mask)(u32 mask);
  void (*VMI_FASTCALL io_delay)(void);
  void (*VMI_FASTCALL set_lazy_mode)(u32 mode);
  void (*VMI_FASTCALL set_tr)(u32 selector);
  void (*VMI_FASTCALL set_linear_mapping)(u32 slot, u32 linear, u32 pages, u32 first);
  /* Registers of the local APIC by their offset. */
  u32 (*VMI_FASTCALL apic_read)(u32 offset);
  void (*VMI_FASTCALL apic_write)(u32 offset, u32 value);
  /* NULL where processors start by themselves. */
  void (*VMI_FASTCALL set_initial_ap_state)(const struct vmi_ap_state *state, u32 id);
  /* One interrupt 0 after about so many nanoseconds. */
  void (*start_alarm)(u32 cycles);
  /* The same by the timer entry of the local vector table, which has been set up. */
  void (*start_local_alarm)(u32 cycles);
  /* Whether update_kernel_stack writes to the task state segment. */
  int keeps_stack;
};
extern struct vmi_ops vmi;

/* Finds the ROM, and uses what it offers: fills `vmi`, patches the sites. Without one everything stays native. */
void vmi_activate(void);
/* Whether there is a ROM; its clock, where there is one: a counter, and the alarms of the processor that asks. */
int vmi_present(void);
u64 vmi_counter(u32 which);
void vmi_set_alarm(u32 flags, u64 expiry, u32 period);
u32 vmi_cancel_alarm(u32 flags);
/* What the ROM's clock and APIC say, where there is one. */
void vmi_clock(void);

/* Sites in vmi-sites.S, which are patched. */
void vmi_site_enable(void);
void vmi_site_disable(void);
u32 vmi_site_mask(void);
VMI_FASTCALL void vmi_site_set_mask(u32 mask);
/* Whether EAX, ECX and EDX survive the first two and the last. */
int vmi_sites_keep_registers(void);

/* The site of IRET, and the native one. */
void vmi_site_iret(void);
void vmi_native_iret(void);

/* EDX is where in ring 3, ECX its stack. */
void vmi_site_sysexit(void);
/* Tries what Linux does not use, where every call is one. */
void vmi_rest(void);

struct vmi_frame {
  u32 ebx, ecx, edx, esi, edi, ebp, eax, error, eip, cs, eflags, esp, ss;
};
void vmi_entry_system_call(void);
void vmi_entry_page_fault(void);
void vmi_entry_timer(void);
/* The timer of the local APIC, and messages of other processors. */
void vmi_entry_local_timer(void);
void vmi_entry_reschedule(void);
void vmi_entry_shoot(void);
void vmi_entry_count(void);
/* SYSENTER, whose stack pointer is where the one of the kernel stands; it ends by SYSEXIT. */
void vmi_entry_sysenter(void);
/* A new process begins here, with the frame of an interrupt above. */
void vmi_first_return(void);

#endif
