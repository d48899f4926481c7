/* The A20 gate by port 0x92: with it off, address bit 20 is forced to 0. The code runs at 0x8000, because the megabyte that
   it was loaded to is one of those that go away. Prints through C once the gate is open again. */

  .text
  .globl test_main
test_main:
  pushal
  movl $low_code, %esi
  movl $0x8000, %edi
  movl $low_code_end - low_code, %ecx
  cld
  rep movsb
  movl $0x11111111, 0x00000600
  movl $0x22222222, 0x00100600 + 0x300000   /* 0x400600: bit 20 clear */
  movl $0x33333333, 0x00500600              /* bit 20 set, same as 0x400600 when the gate is off */
  movl %esp, saved_esp
  movl $0x8000, %eax
  jmp *%eax
back:
  movl saved_esp, %esp
  pushl 0x0000070c
  pushl 0x00000708
  pushl 0x00000704
  pushl 0x00000700
  pushl $format
  call print
  addl $20, %esp
  pushl 0x00500600
  pushl 0x00400600
  pushl $after
  call print
  addl $12, %esp
  popal
  ret

low_code:
  movl 0x00500600, %eax
  movl %eax, 0x700              /* gate on: its own word */
  inb $0x92, %al
  andb $0xfc, %al
  outb %al, $0x92
  movl 0x00500600, %eax
  movl %eax, 0x704              /* gate off: the word of 0x400600 */
  movl $0x44444444, 0x00500604  /* goes to 0x400604 */
  movl 0x00400604, %eax
  movl %eax, 0x708
  inb $0x92, %al
  andb $0xfe, %al
  orb $0x02, %al
  outb %al, $0x92
  movl 0x00500600, %eax
  movl %eax, 0x70c              /* gate on again */
  movl $back, %eax
  jmp *%eax
low_code_end:

  .section .rodata
format: .asciz "ok a20 on=%x off=%x written=%x on=%x\n"
after: .asciz "ok a20-after %x %x\n"

  .bss
  .align 4
saved_esp: .skip 4

  .section .note.GNU-stack, "", @progbits
