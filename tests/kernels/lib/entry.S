/* Multiboot header, entry, interrupt entry points, and the jumps between rings that C cannot express. */

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS 0x1b
#define USER_DS 0x23

  .section .multiboot, "a"
  .align 4
  .long 0x1badb002
  .long 3                       /* modules on page borders, memory information */
  .long -(0x1badb002 + 3)

  .text
  .globl start
start:
  movl $kernel_stack_top, %esp
  pushl $0
  popf
  pushl %ebx                    /* multiboot information */
  pushl %eax                    /* 0x2badb002 */
  call kernel_start
0:
  hlt
  jmp 0b

/* Every vector has an entry of 16 bytes that pushes an error code, if the processor did not, and its number. */
  .align 16
  .globl vector_entries
vector_entries:
  .set vector, 0
  .rept 256
  .align 16
  .if !((vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17))
  pushl $0
  .endif
  pushl $vector
  jmp common_entry
  .set vector, vector + 1
  .endr

/* The frame built here is `struct frame` in lib.h. */
common_entry:
  pushl %ds
  pushl %es
  pushl %fs
  pushl %gs
  pushal
  cld
  movl $KERNEL_DS, %eax
  movl %eax, %ds
  movl %eax, %es
  pushl %esp
  call on_vector
  addl $4, %esp
  popal
  popl %gs
  popl %fs
  popl %es
  popl %ds
  addl $8, %esp
  iretl

/* int catch_begin(void): 0 at first, 1 when a fault came back here. Like setjmp, with one place for the context. */
  .globl catch_begin
catch_begin:
  movl (%esp), %eax
  movl %eax, catch_context
  movl %esp, catch_context + 4
  movl %ebp, catch_context + 8
  movl %ebx, catch_context + 12
  movl %esi, catch_context + 16
  movl %edi, catch_context + 20
  xorl %eax, %eax
  ret

/* void catch_resume(void): back to catch_begin from any ring, stack and segments. Only from the handler, in ring 0. */
  .globl catch_resume
catch_resume:
  movl $KERNEL_DS, %eax
  movl %eax, %ss
  movl catch_context + 4, %esp
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %fs
  movl %eax, %gs
  pushl $0
  popf
  ljmpl $KERNEL_CS, $1f
1:
  movl catch_context + 8, %ebp
  movl catch_context + 12, %ebx
  movl catch_context + 16, %esi
  movl catch_context + 20, %edi
  movl catch_context, %edx
  addl $4, %esp
  movl $1, %eax
  jmp *%edx

/* void catch_end(void): the attempt ended without a fault; flat data segments again. */
  .globl catch_end
catch_end:
  movl $KERNEL_DS, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %fs
  movl %eax, %gs
  pushl $0
  popf
  ret

/* void call_preserving(u32 eip): a call for code that keeps no register. */
  .globl call_preserving
call_preserving:
  movl 4(%esp), %eax
  pushal
  call *%eax
  popal
  ret

/* void enter_user(u32 eip, u32 esp, u32 eflags): leaves for ring 3 with flat segments and does not return. */
  .globl enter_user
enter_user:
  movl 4(%esp), %eax
  movl 8(%esp), %ecx
  movl 12(%esp), %edx
  movl $USER_DS, %ebx
  movl %ebx, %ds
  movl %ebx, %es
  movl %ebx, %fs
  movl %ebx, %gs
  pushl %ebx
  pushl %ecx
  pushl %edx
  pushl $USER_CS
  pushl %eax
  xorl %eax, %eax
  xorl %ebx, %ebx
  xorl %ecx, %ecx
  xorl %edx, %edx
  xorl %esi, %esi
  xorl %edi, %edi
  xorl %ebp, %ebp
  iretl

  .section .note.GNU-stack, "", @progbits

  .bss
  .align 4
catch_context:
  .skip 24
  .align 4096
  .skip 16384
  .globl kernel_stack_top
kernel_stack_top:
