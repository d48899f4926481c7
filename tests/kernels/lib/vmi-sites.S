/* Patch sites, as paravirt_ops has them, and entries that end in one. A site is `vmi_sites`: where, how long, which call. */
  .macro SITE number:req, from:req, to:req
  .pushsection .data
  .long \from, \to - \from, \number
  .popsection
  .endm
  .data
  .align 4
pv_enable: .long native_enable
pv_disable: .long native_disable
pv_mask: .long native_mask
pv_set_mask: .long native_set_mask
pv_iret: .long native_iret
pv_sysexit: .long native_sysexit

  .globl vmi_sites
vmi_sites:
  /* Kernels without VMI have no handlers. */
  .weak vmi_system_call, vmi_page_fault, vmi_timer
  .weak vmi_local_timer, vmi_reschedule, vmi_shoot, vmi_count

  .text
native_enable:
  sti
  ret
native_disable:
  cli
  ret
native_mask:
  pushfl
  popl %eax
  andl $0x200, %eax
  ret
native_set_mask:
  pushl %eax
  popfl
  ret
  .text
  .globl vmi_site_enable, vmi_site_disable, vmi_site_mask, vmi_site_set_mask
vmi_site_enable:
1: pushl %ecx
  pushl %edx
  call *pv_enable
  popl %edx
  popl %ecx
2: SITE 29, 1b, 2b
  ret
vmi_site_disable:
1: pushl %ecx
  pushl %edx
  call *pv_disable
  popl %edx
  popl %ecx
2: SITE 30, 1b, 2b
  ret
vmi_site_mask:
1: pushl %ecx
  pushl %edx
  call *pv_mask
  popl %edx
  popl %ecx
2: SITE 31, 1b, 2b
  ret
vmi_site_set_mask:
1: pushl %ecx
  pushl %edx
  call *pv_set_mask
  popl %edx
  popl %ecx
2: SITE 32, 1b, 2b
  ret

  .globl vmi_sites_keep_registers
vmi_sites_keep_registers:
  pushl %ebx
  pushl %esi
  movl $0x200, %eax
  movl $0x1234567, %ecx
  movl $0x89abcde, %edx
  call vmi_site_enable
  call vmi_site_disable
  call vmi_site_set_mask
  call vmi_site_disable
  movl %eax, %ebx
  movl %ecx, %esi
  movl $0, %eax
  cmpl $0x200, %ebx
  jne 3f
  cmpl $0x1234567, %esi
  jne 3f
  cmpl $0x89abcde, %edx
  jne 3f
  incl %eax
3:
  popl %esi
  popl %ebx
  ret

  .macro SAVE
  pushl %eax
  pushl %ebp
  pushl %edi
  pushl %esi
  pushl %edx
  pushl %ecx
  pushl %ebx
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  .endm
  .macro RESTORE
  popl %ebx
  popl %ecx
  popl %edx
  popl %esi
  popl %edi
  popl %ebp
  popl %eax
  addl $4, %esp                  /* the error code */
  .endm
  .macro ENTRY name:req, handler:req, error=0
  .globl \name
\name:
  .if \error == 0
  pushl $0
  .endif
  SAVE
  pushl %esp
  call \handler
  addl $4, %esp
  jmp return_from
  .endm
  ENTRY vmi_entry_system_call, vmi_system_call
  ENTRY vmi_entry_page_fault, vmi_page_fault, 1
  ENTRY vmi_entry_timer, vmi_timer
  ENTRY vmi_entry_local_timer, vmi_local_timer
  ENTRY vmi_entry_reschedule, vmi_reschedule
  ENTRY vmi_entry_shoot, vmi_shoot
  ENTRY vmi_entry_count, vmi_count

/* Who comes by SYSENTER has its stack pointer in ECX, and where it goes on in EDX. */
  .globl vmi_entry_sysenter
vmi_entry_sysenter:
  movl (%esp), %esp
  pushl $0x23
  pushl %ecx
  pushl $0x202
  pushl $0x1b
  pushl %edx
  pushl $0
  SAVE
  pushl %esp
  call vmi_system_call
  addl $4, %esp
  movl $0x23, %eax
  movl %eax, %ds
  movl %eax, %es
  RESTORE
  movl (%esp), %edx
  movl 12(%esp), %ecx
  jmp vmi_site_sysexit

return_from:
  movl 36(%esp), %eax            /* CS of who is returned to */
  andl $3, %eax
  jz 3f
  movl $0x23, %eax
  movl %eax, %ds
  movl %eax, %es
3:
  RESTORE
  .globl vmi_site_iret, vmi_native_iret
vmi_site_iret:
iret_site:
1: jmp *%cs:pv_iret
2: SITE 33, 1b, 2b
vmi_native_iret:
native_iret:
  iretl
  .globl vmi_site_sysexit
vmi_site_sysexit:
1: jmp *%cs:pv_sysexit
2: SITE 34, 1b, 2b
native_sysexit:
  sti
  sysexit
  .globl vmi_first_return
vmi_first_return:
  movl $0x23, %eax
  movl %eax, %ds
  movl %eax, %es
  jmp iret_site

  .data
  .globl vmi_sites_end
vmi_sites_end:
  .section .note.GNU-stack, "", @progbits
